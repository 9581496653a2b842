<?php
// Sets a row of the table: php table.php NAME PRICE [SOCKET]
// NAME is one word, for it is the message's topic, too.
[, $name, $price] = $argv;
$bus = stream_socket_client('unix://' . ($argv[3] ?? '/run/holdfast-bus/bus.sock'), $code, $why, 5);
if (!$bus) exit("no bus: $why\n");
$body = json_encode(['name' => $name, 'price' => (float) $price]);
fwrite($bus, 'put prices ' . strlen($body) . " topic=$name content-type=application/json\n$body");
$answer = json_decode(fgets($bus));
if ($answer->kind !== 'ok') exit("$answer->detail\n");
