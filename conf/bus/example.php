<?php
// Publishes a value, and prints the newest message and the next: php example.php [SOCKET]
$bus = stream_socket_client('unix://' . ($argv[1] ?? '/run/holdfast-bus/bus.sock'), $code, $why, 5);
if (!$bus) exit("no bus: $why\n");

fwrite($bus, 'json news ' . json_encode(['from' => 'PHP', 'n' => 1]) . "\n");
$answer = json_decode(fgets($bus));
if ($answer->kind !== 'ok') exit("$answer->code: $answer->detail\n");
echo "published as $answer->id\n";

stream_set_timeout($bus, 60);   // a ping comes every 15 seconds
fwrite($bus, "subscribe news since last:1\n");
for ($seen = 0; $seen < 2 && ($line = fgets($bus)) !== false;) {
    $event = json_decode($line);
    if ($event->kind !== 'message') continue;
    echo $event->channel, ' ', json_encode($event->data), "\n";
    $seen++;
}
