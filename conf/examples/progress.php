<?php
// Does a job in ten steps and reports its progress: php progress.php [JOB [SOCKET]]
$job = $argv[1] ?? '42';
function stop($why) { fwrite(STDERR, "$why\n"); exit(1); }

$bus = @stream_socket_client('unix://' . ($argv[2] ?? '/run/holdfast-bus/bus.sock'), $code, $why, 5);
if (!$bus) stop("no bus: $why");
for ($step = 1; $step <= 10; $step++) {
    usleep(100_000);   // the work
    fwrite($bus, "json jobs/$job " . json_encode(['done' => $step, 'of' => 10]) . "\n");
    $answer = json_decode((string) fgets($bus));
    if (($answer->kind ?? '') !== 'ok') stop($answer->detail ?? 'no answer');
}
