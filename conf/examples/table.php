<?php
// Sets a row of the table: php table.php NAME PRICE [SOCKET]
// NAME is one word, because it is also the message's topic.
[, $name, $price] = $argv;
function stop($why) { fwrite(STDERR, "$why\n"); exit(1); }

$bus = @stream_socket_client('unix://' . ($argv[3] ?? '/run/holdfast-bus/bus.sock'), $code, $why, 5);
if (!$bus) stop("no bus: $why");
$body = json_encode(['name' => $name, 'price' => (float) $price]);
fwrite($bus, 'put prices ' . strlen($body) . " topic=$name content-type=application/json\n$body");
$answer = json_decode((string) fgets($bus));
if (($answer->kind ?? '') !== 'ok') stop($answer->detail ?? 'no answer');
