// The chat page's script: a complete long-poll client in one file, for reading as much as for using.
//
// It polls with the cursor of the last answer, so that nothing is missed between two polls, and keeps cursor and
// messages for this tab, so that nothing is missed over a reload either. Messages are shown as text, never as HTML.
"use strict";

(() => {
  const WAIT = 25; // seconds a poll is held; the server may cut it
  const HISTORY = 50; // messages shown to somebody who comes anew
  const KEEP = 300; // messages kept on the page and in the tab's storage
  const LONGEST_PAUSE = 30; // seconds between tries

  const $ = (id) => document.getElementById(id);

  // What the server takes for a name; a segment "..", say, would lead out of the channels to another path of the site.
  const isChannelName = (name) =>
    name.length <= 128 && /^[A-Za-z0-9._~/-]+$/.test(name) && !/^(~|-(\/|$))|(^|\/)\.{0,2}(\/|$)/.test(name);

  const asked = new URLSearchParams(location.search).get("channel") || "chat";
  const channel = isChannelName(asked) ? asked : "chat";
  const channelURL = new URL("../" + channel.split("/").map(encodeURIComponent).join("/"), location.href);
  const storageKey = "holdfast-chat " + channelURL.pathname;

  let cursor = null;
  let messages = [];
  let unread = 0;
  let last = null; // the message shown last, for grouping
  const shown = new Set(); // ids on the page
  const outgoing = new Map(); // id → element in the outbox

  // ---- What the tab remembers

  const stored = (storage, key) => {
    try {
      return storage().getItem(key);
    } catch {
      return null; // storage may be forbidden
    }
  };
  const store = (storage, key, value) => {
    try {
      storage().setItem(key, value);
    } catch {
      // forbidden or full: the page works without
    }
  };
  const session = () => sessionStorage;
  const local = () => localStorage;

  const remember = () => {
    messages = messages.slice(-KEEP);
    store(session, storageKey, JSON.stringify({ cursor, messages }));
  };

  const forget = () => {
    cursor = null;
    messages = [];
    last = null;
    shown.clear();
    $("log").replaceChildren();
    store(session, storageKey, "{}");
  };

  // ---- Showing

  const element = (tag, className, text) => {
    const made = document.createElement(tag);
    if (className) made.className = className;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // The count is not read out, once a second, by screen readers.
  const setState = (name, text, count = "") => {
    $("state").dataset.state = name;
    if ($("state-text").textContent !== text) $("state-text").textContent = text;
    $("state-count").textContent = count;
  };

  // The same colour for the same name on every page (FNV-1a).
  const hue = (name) => {
    let hash = 0x811c9dc5;
    for (const letter of name) hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193) >>> 0;
    return (hash % 24) * 15;
  };

  // Anybody may publish anything to the channel: text from a shell, JSON of another shape, bytes.
  const read = (message) => {
    const data = message.data;
    if (message.encoding === "base64") return { nick: "", text: `(binary data, ${message.contentType || "no type"})` };
    if (data !== null && typeof data === "object" && typeof data.message === "string") {
      return { nick: typeof data.nick === "string" ? data.nick : "", text: data.message };
    }
    return { nick: "", text: typeof data === "string" ? data : JSON.stringify(data) };
  };

  const bubble = (nick, text, time) => {
    const item = element("li", "message");
    item.style.setProperty("--hue", hue(nick));
    const avatar = element("div", "avatar", [...(nick || "?")][0].toUpperCase());
    avatar.setAttribute("aria-hidden", "true");
    const body = element("div", "bubble");
    body.append(element("div", "who", nick || "anonymous"));
    body.append(element("div", "said", text));
    if (time) {
      const when = element("time", "when", time.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
      when.dateTime = time.toISOString();
      body.append(when);
    }
    item.append(avatar, body);
    return item;
  };

  const isAtEnd = () => {
    const view = $("scroll");
    return view.scrollHeight - view.scrollTop - view.clientHeight < 80;
  };

  const toEnd = () => {
    $("scroll").scrollTop = $("scroll").scrollHeight;
    $("newest").hidden = true;
  };

  const trim = () => {
    const log = $("log");
    while (log.childElementCount > KEEP) log.firstElementChild.remove();
  };

  const note = (text) => {
    const atEnd = isAtEnd();
    $("log").append(element("li", "note", text));
    last = null;
    if (atEnd) toEnd();
  };

  const show = (message) => {
    if (shown.has(message.id)) return;
    shown.add(message.id);
    const { nick, text } = read(message);
    const parsed = new Date(message.time);
    const time = Number.isNaN(parsed.getTime()) ? null : parsed;
    const day = time ? time.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" }) : "";
    if (day && (!last || last.day !== day)) {
      $("log").append(element("li", "day", day));
      last = null;
    }
    const item = bubble(nick, text, time);
    if (nick !== "" && nick === $("nick").value.trim()) item.classList.add("own");
    if (last && last.nick === nick && time && last.time && time - last.time < 300000) item.classList.add("same");
    last = { nick, time, day };
    $("log").append(item);
    outgoing.get(message.id)?.remove();
    outgoing.delete(message.id);
  };

  const countUnread = (count) => {
    unread = document.hidden ? unread + count : 0;
    document.title = (unread ? `(${unread}) ` : "") + "Chat · Holdfast";
  };

  const showAll = (arrived) => {
    const atEnd = isAtEnd();
    arrived.forEach(show);
    trim();
    $("empty").hidden = $("log").childElementCount + $("outbox").childElementCount > 0;
    if (atEnd) toEnd();
    else if (arrived.length) $("newest").hidden = false;
  };

  const gapTexts = {
    trimmed: "Some older messages are no longer kept, so a few may be missing here.",
    deleted: "Messages were deleted from this channel.",
    restarted: "The message log was replaced; messages may be missing here.",
    future: "The message log is older than this page; messages may be missing here.",
  };

  // ---- Waiting

  let wakeUp = () => {}; // ends the pause between two tries
  // Tells whether it was ended early.
  const pause = (seconds) =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), seconds * 1000);
      wakeUp = () => {
        clearTimeout(timer);
        resolve(true);
      };
    });

  // Seconds or a date (RFC 9110 §10.2.3).
  const retryAfter = (response) => {
    const value = response?.headers.get("Retry-After");
    if (!value) return 0;
    const seconds = /^\d+$/.test(value) ? Number(value) : (Date.parse(value) - Date.now()) / 1000;
    return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), 300) : 0;
  };

  // Doubles from one second; by chance between half and all of that, so that pages which lost the server together
  // don't come back together; never before the server wants.
  const pauseBefore = (attempt, response) => {
    const longest = Math.min(2 ** attempt, LONGEST_PAUSE);
    const wanted = retryAfter(response);
    return wanted + (wanted ? Math.random() : longest * (0.5 + Math.random() / 2));
  };

  const problemText = async (response) => {
    try {
      const problem = await response.json();
      return typeof problem.detail === "string" ? problem.detail : `the server answered ${response.status}`;
    } catch {
      return `the server answered ${response.status}`;
    }
  };

  const countDown = async (seconds) => {
    const until = Date.now() + seconds * 1000;
    let woken = false;
    while (!woken && Date.now() < until) {
      const left = (until - Date.now()) / 1000;
      setState("waiting", navigator.onLine === false ? "Offline" : "Reconnecting", `in ${Math.ceil(left)} s`);
      woken = await pause(Math.min(1, left));
    }
    setState("connecting", "Connecting");
  };

  let request = null; // the AbortController of the poll under way

  // One poll. Throws when the server can't be reached or answers nonsense.
  const poll = async (hold) => {
    const url = new URL(channelURL);
    url.searchParams.set("since", cursor ?? `last:${HISTORY}`);
    if (hold) url.searchParams.set("wait", WAIT);
    const abort = new AbortController();
    request = abort;
    // A server that neither answers nor ends the connection must not hold the page for ever.
    const timer = setTimeout(() => abort.abort(), (WAIT + 20) * 1000);
    try {
      const response = await fetch(url, {
        headers: { Accept: "application/json" },
        cache: "no-store",
        signal: abort.signal,
      });
      return { response, answer: response.ok ? await response.json() : null };
    } finally {
      clearTimeout(timer);
    }
  };

  const take = (answer) => {
    if (typeof answer.cursor !== "string" || !Array.isArray(answer.messages)) throw new Error("not an answer");
    if (answer.gap) note(gapTexts[answer.gap.reason] ?? "Messages may be missing here.");
    const fresh = answer.messages.filter((message) => !shown.has(message.id));
    showAll(fresh);
    messages.push(...fresh);
    cursor = answer.cursor;
    remember();
    return fresh.length;
  };

  let running = null; // the loop that runs; a page that comes back begins another

  const run = async () => {
    const self = {};
    running = self;
    let attempt = 0;
    let hold = false; // the first poll only reads what there is
    while (running === self) {
      let response = null;
      try {
        const began = Date.now();
        const result = await poll(hold);
        response = result.response;
        if (running !== self) return;
        if (result.answer) {
          const count = take(result.answer);
          if (hold) countUnread(count);
          attempt = 0;
          setState("live", "Live");
          // A server that is ending or full answers at once with nothing; asking again at once would only add to it.
          if (hold && count === 0 && !result.answer.more && Date.now() - began < 1000) {
            await pause(1 + Math.random());
          }
          hold = !result.answer.more;
          continue;
        }
        if (response.status === 400 && cursor !== null) {
          forget(); // a cursor that this server never gave out
          continue;
        }
        if (response.status === 403 || response.status === 404) {
          const text = await problemText(response);
          setState("refused", "Not allowed");
          if (attempt === 0) note(`This channel can't be read: ${text}`);
          attempt += 1;
          await pause(LONGEST_PAUSE);
          continue;
        }
      } catch {
        if (running !== self) return;
      }
      hold = false;
      await countDown(pauseBefore(attempt, response));
      attempt += 1;
    }
  };

  // ---- Sending

  const randomKey = () => {
    // crypto.randomUUID is there on https and localhost only.
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  };

  // Sends until the server says yes or no. The key makes a repetition safe: the message is kept once.
  const send = async (nick, text, item, key) => {
    item.classList.remove("failed");
    item.querySelector(".trouble")?.remove();
    let trouble = "the server could not be reached";
    for (let attempt = 0; attempt < 5; attempt += 1) {
      let response = null;
      try {
        response = await fetch(channelURL, {
          method: "POST",
          headers: { "Content-Type": "application/json", "Idempotency-Key": key },
          body: JSON.stringify({ nick, message: text }),
        });
        if (response.ok) {
          const { id } = await response.json();
          if (shown.has(id)) item.remove();
          else outgoing.set(id, item);
          return;
        }
        trouble = await problemText(response);
        if (response.status < 500 && response.status !== 429) break;
      } catch {
        // not reached: try again
      }
      await new Promise((resolve) => setTimeout(resolve, pauseBefore(attempt, response) * 1000));
    }
    item.classList.add("failed");
    const line = element("p", "trouble", `Not sent: ${trouble}`);
    line.setAttribute("role", "alert");
    const again = element("button", "", "Try again");
    again.type = "button";
    again.addEventListener("click", () => send(nick, text, item, key));
    const drop = element("button", "", "Discard");
    drop.type = "button";
    drop.addEventListener("click", () => item.remove());
    line.append(again, drop);
    item.querySelector(".bubble").append(line);
    toEnd();
  };

  $("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const nick = $("nick").value.trim();
    const text = $("message").value.trim();
    if (!nick || !text) {
      (nick ? $("message") : $("nick")).focus();
      return;
    }
    store(local, "holdfast-chat nick", nick);
    $("message").value = "";
    $("message").focus();
    $("empty").hidden = true;
    const item = bubble(nick, text, null);
    item.classList.add("own", "pending");
    $("outbox").append(item);
    toEnd();
    send(nick, text, item, randomKey());
  });

  // ---- Beginning, and coming back

  $("channel").textContent = channel;
  $("curl").textContent =
    `curl -H 'Content-Type: application/json' \\\n     -d '{"nick":"curl","message":"hello"}' \\\n     ${channelURL}`;
  $("nick").value = stored(local, "holdfast-chat nick") ?? "";
  ($("nick").value ? $("message") : $("nick")).focus({ preventScroll: true });

  $("newest").addEventListener("click", toEnd);
  $("scroll").addEventListener("scroll", () => {
    if (isAtEnd()) $("newest").hidden = true;
  });
  addEventListener("resize", () => {
    if ($("newest").hidden) toEnd();
  });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return;
    countUnread(0);
    wakeUp();
  });
  addEventListener("online", () => wakeUp());
  // A page in the back-forward cache must not keep a poll.
  addEventListener("pagehide", () => {
    running = null;
    request?.abort();
  });
  addEventListener("pageshow", (event) => {
    if (event.persisted) run();
  });

  try {
    const kept = JSON.parse(stored(session, storageKey) ?? "{}");
    if (typeof kept.cursor === "string" && Array.isArray(kept.messages)) {
      ({ cursor, messages } = kept);
      messages.forEach(show);
      toEnd();
    }
  } catch {
    forget();
  }
  if (channel !== asked) note(`No channel can be called “${asked.slice(0, 128)}”; this is “chat”.`);
  run();
})();
