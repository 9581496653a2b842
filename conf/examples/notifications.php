<?php
// Notifies a user, by HTTP from anywhere: php notifications.php USER TEXT [BASE]
[, $user, $text] = $argv;
$answer = file_get_contents(($argv[3] ?? 'http://localhost/push/') . "notices/$user", false, stream_context_create(['http' => [
    'method' => 'POST',
    'header' => ['Content-Type: application/json', 'Holdfast-Type: warning'],
    'content' => json_encode(['text' => $text]),
    'timeout' => 10,
]]));
if ($answer === false) exit(1);
echo json_decode($answer)->id, "\n";
