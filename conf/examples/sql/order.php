<?php
// Orders products, and publishes what is left of each: php order.php OPTIONS PRODUCT=COUNT...
// OPTIONS are libpq's, as 'dbname=site user=shop'. Either everything is ordered and published, or nothing.
[, $options] = $argv;
$site = new PDO("pgsql:$options");
$take = $site->prepare('UPDATE stock SET quantity = quantity - ? WHERE product = ? RETURNING quantity');
$publish = $site->prepare("SELECT holdfast.publish('stock', ?::jsonb, topic => ?)");
$site->beginTransaction();
try {
    foreach (array_slice($argv, 2) as $item) {
        [$product, $count] = explode('=', $item);
        $take->execute([(int) $count, $product]);
        $left = $take->fetchColumn();
        if ($left === false) throw new Exception("no product $product");
        $publish->execute([json_encode(['product' => $product, 'left' => $left]), $product]);
    }
    $site->commit();
} catch (Exception $error) {
    $site->rollBack();
    fwrite(STDERR, 'nothing is ordered: ' . $error->getMessage() . "\n");
    exit(1);
}
