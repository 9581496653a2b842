<?php
// Logs in.
require __DIR__ . '/session.php';

$failed = false;
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    if (is_of_other_site()) {
        http_response_code(403);
        exit('This form belongs to another site.');
    }
    $user = (string) ($_POST['user'] ?? '');
    if (is_password_of($user, (string) ($_POST['password'] ?? ''))) {
        start_session();
        session_regenerate_id(true);   // an id that was known before does not become that of a login
        $_SESSION['user'] = $user;
        go_to('index.php');
    }
    $failed = true;
}
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="../examples.css">
<title>Log in</title>
<main>
  <h1>Log in</h1>
  <form method="post" class="card">
    <label>Name <input id="user" name="user" required autocomplete="username" autocapitalize="none"></label>
    <label>Password <input id="password" name="password" type="password" required autocomplete="current-password"></label>
    <?php if ($failed): ?><p class="bad" role="alert">The name or the password is wrong.</p><?php endif ?>
    <button>Log in</button>
  </form>
  <p class="aside">In this example there are ann and bob, and the password is “secret”.</p>
</main>
</html>
