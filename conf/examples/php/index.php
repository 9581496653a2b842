<?php
// The live page: what arrives in the inbox of the user who is logged in.
require __DIR__ . '/session.php';

$user = user();
if ($user === null) go_to('login.php');
header('Cache-Control: no-store');
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<link rel="stylesheet" href="../examples.css">
<title>Inbox of <?= html($user) ?></title>
<main>
  <header>
    <h1>Inbox of <?= html($user) ?></h1>
    <form method="post" action="logout.php"><button class="quiet">Log out</button></form>
  </header>
  <p id="state" role="status">Connecting …</p>
  <ul id="list" class="card list" aria-live="polite" aria-label="Notes, newest first"></ul>
  <form method="post" action="send.php" class="card">
    <label>To <select id="to" name="to"><?php foreach (array_keys(USERS) as $name): ?><option><?= html($name) ?></option><?php endforeach ?></select></label>
    <label class="wide">Note <input id="text" name="text" required maxlength="1000"></label>
    <button>Send</button>
  </form>
</main>
<script type="module" data-user="<?= html($user) ?>" id="script">
  import { subscribe } from "/push/-/holdfast.js";

  const $ = (id) => document.getElementById(id);
  const words = { live: "Up to date", refused: "Please log in again", connecting: "Connecting …", waiting: "Reconnecting …" };

  subscribe(`inbox/${$("script").dataset.user}`, {
    message({ data: { from, text }, time }) {
      const item = document.createElement("li");
      const about = document.createElement("small");
      about.textContent = `${from}, ${new Date(time).toLocaleTimeString()}`;
      item.append(text, about); // text stays text
      $("list").prepend(item);
    },
    gap: () => $("list").append("Older notes are no longer kept."),
    state: (state) => ($("state").textContent = words[state] ?? ""),
  }, { since: "last:20" });
</script>
</html>
