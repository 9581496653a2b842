<?php
// Sends a note from one user to another.
require __DIR__ . '/session.php';
require __DIR__ . '/publish.php';

$user = user();
if ($user === null) go_to('login.php');
$to = (string) ($_POST['to'] ?? '');
$text = trim((string) ($_POST['text'] ?? ''));
// The name becomes part of a channel's: only one that exists may.
if (isset(USERS[$to]) && $text !== '') publish("inbox/$to", ['from' => $user, 'text' => $text]);
go_to('index.php');
