<?php
// Publishes a value, then prints the newest message and the next one: php example.php [SOCKET]
function stop($why) { fwrite(STDERR, "$why\n"); exit(1); }   // exit("text") alone would be a success

$bus = @stream_socket_client('unix://' . ($argv[1] ?? '/run/holdfast-bus/bus.sock'), $code, $why, 5);
if (!$bus) stop("no bus: $why");

fwrite($bus, 'json news ' . json_encode(['from' => 'PHP', 'n' => 1]) . "\n");
$answer = json_decode((string) fgets($bus));
if (($answer->kind ?? '') !== 'ok') stop($answer->detail ?? 'no answer');
echo "published as $answer->id\n";

stream_set_timeout($bus, 60);   // a ping comes every 15 seconds
fwrite($bus, "subscribe news since last:1\n");
for ($seen = 0; $seen < 2;) {
    $event = json_decode((string) fgets($bus));
    if (!$event || $event->kind === 'error' || $event->kind === 'bye') stop($event->detail ?? 'the bus ended');
    if ($event->kind !== 'message') continue;
    echo $event->channel, ' ', json_encode($event->data), "\n";
    $seen++;
}
