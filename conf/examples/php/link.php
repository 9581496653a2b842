<?php
// A signed link to the inbox of the user who is logged in, as JSON: without auth.php, nginx asks PHP for nothing else.
require __DIR__ . '/session.php';

header('Cache-Control: no-store');
header('Content-Type: application/json');
$user = user();
if ($user === null) {
    http_response_code(401);
    exit('{}');
}
// [key php] of holdfast.ini; the text of the file without its line break is the secret.
$secret = rtrim((string) @file_get_contents($_SERVER['HOLDFAST_SECRET'] ?? '/etc/holdfast/php.secret'), "\r\n");
if ($secret === '') {
    error_log('the secret of links cannot be read');
    http_response_code(503);
    exit('{}');
}
// After logging out, a user can read for as long as this at most.
$seconds = (int) ($_SERVER['LINK_SECONDS'] ?? 600);
$signed = "channel=inbox/$user&expires=" . (time() + $seconds);
echo json_encode(['link' => "/signed/?$signed&signature=" . hash_hmac('sha256', $signed, $secret)]);
