<?php
// nginx asks this before it passes a request below /push/ to Holdfast, and hands on what it says (nginx.conf).
require __DIR__ . '/session.php';

$user = user();
if ($user === null) {
    http_response_code(401);
    exit;
}
header("Holdfast-User: $user");
// Each user reads an inbox of his own, and what is for all. Nobody publishes from a page: send.php does that.
header("Holdfast-Read: inbox/$user news");
