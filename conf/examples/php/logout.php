<?php
// Logs out. What is held for this user ends by granted_life of [hold], five minutes if not set.
require __DIR__ . '/session.php';

if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    start_session();
    $_SESSION = [];
    session_destroy();
}
go_to('login.php');
