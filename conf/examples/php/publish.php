<?php
// Publishes from PHP, without HTTP: the bus socket of the same machine.

/** Publishes data as JSON and returns the message's id, once the message is in the log. */
function publish(string $channel, array $data): string {
    $socket = $_SERVER['HOLDFAST_BUS'] ?? '/run/holdfast-bus/bus.sock';
    $bus = @stream_socket_client("unix://$socket", $code, $why, 5);
    if (!$bus) throw new RuntimeException("no bus: $why");
    stream_set_timeout($bus, 5);
    fwrite($bus, "json $channel " . json_encode($data, JSON_THROW_ON_ERROR) . "\n");
    $answer = json_decode((string) fgets($bus));
    if (($answer->kind ?? '') !== 'ok') throw new RuntimeException($answer->detail ?? 'no answer');
    return $answer->id;
}
