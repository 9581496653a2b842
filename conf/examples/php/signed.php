<?php
// The live page by a signed link (link.php) instead of auth.php: what arrives in the inbox of the user who is logged in.
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
</main>
<script type="module">
  const $ = (id) => document.getElementById(id);
  let since = "last:20";

  const show = ({ data: { from, text }, time }) => {
    const item = document.createElement("li");
    const about = document.createElement("small");
    about.textContent = `${from}, ${new Date(time).toLocaleTimeString()}`;
    item.append(text, about); // text stays text
    $("list").prepend(item);
  };

  /** Gets a link, and listens until it expires; then again, with the next one, behind the last message. */
  const listen = async () => {
    const answer = await fetch("link.php").catch(() => null);
    if (answer?.status === 401) return ($("state").textContent = "Please log in again");
    if (!answer?.ok) return setTimeout(listen, 5000);
    const { link } = await answer.json();
    const stream = new EventSource(`${link}&stream=sse&since=${encodeURIComponent(since)}`);
    let pause = 15000; // for a link that never opened anything
    stream.onopen = () => {
      pause = 1000;
      $("state").textContent = "Up to date";
    };
    for (const kind of ["hello", "message"]) {
      stream.addEventListener(kind, ({ data, lastEventId }) => {
        since = lastEventId;
        if (kind === "message") show(JSON.parse(data));
      });
    }
    // A browser comes back by itself, unless the link is refused: it has expired.
    stream.onerror = () => {
      $("state").textContent = "Reconnecting …";
      if (stream.readyState === EventSource.CLOSED) setTimeout(listen, pause);
    };
  };
  listen();
</script>
</html>
