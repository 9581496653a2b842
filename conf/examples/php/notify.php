<?php
// Notifies a user from the command line, a cron job, a worker: php notify.php USER TEXT
require __DIR__ . '/publish.php';

[, $user, $text] = $argv;
echo publish("inbox/$user", ['from' => 'the system', 'text' => $text]), "\n";
