<?php
// nginx asks this before it passes a request below /push/ to Holdfast, and hands on what it says (nginx.conf).
require __DIR__ . '/session.php';

$user = user();
if ($user === null) {
    http_response_code(401);
    exit;
}
header("Holdfast-User: $user");
// Each user reads their own inbox, and what is for all. Pages do not publish: send.php does that.
header("Holdfast-Read: inbox/$user news");
