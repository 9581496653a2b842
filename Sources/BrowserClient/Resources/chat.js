// The chat page, built on holdfast.js, and an example to read.
//
// It keeps the cursor and messages of this tab, so that nothing is missed across a reload. What others wrote is shown
// as text, never as HTML.

import { presence, publish, subscribe } from "./holdfast.js";
import { $, base, element, isChannel, showState, stored } from "./page.js";

const HISTORY = 50; // messages shown on a first visit
const KEEP = 300; // messages kept on the page and in the tab's storage

const asked = new URLSearchParams(location.search).get("channel") || "chat";
const channel = isChannel(asked) ? asked : "chat";
const storageKey = `holdfast-chat ${base}${channel}`;

let cursor;
let messages = [];
let unread = 0;
let stuck = true; // the newest message is in sight, and stays so
let last = null; // the message shown last, for grouping
const shown = new Set(); // ids on the page
const outgoing = new Map(); // id → element in the outbox

// ---- Showing

// The same colour for a name on every page (FNV-1a).
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

// Made once: thousands of messages may arrive at a time.
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });

const bubble = (nick, text, time) => {
  const item = element("li", "message");
  item.style.setProperty("--hue", hue(nick));
  const avatar = element("div", "avatar", [...(nick || "?")][0].toUpperCase());
  avatar.setAttribute("aria-hidden", "true");
  const body = element("div", "bubble");
  body.append(element("div", "who", nick || "anonymous"));
  body.append(element("div", "said", text));
  if (time) {
    const when = element("time", "when", clock.format(time));
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

const note = (text) => {
  const atEnd = isAtEnd();
  $("log").append(element("li", "note", text));
  last = null;
  $("empty").hidden = true;
  if (atEnd) toEnd();
};

const show = (message) => {
  if (shown.has(message.id)) return false;
  shown.add(message.id);
  const { nick, text } = read(message);
  const parsed = new Date(message.time);
  const time = Number.isNaN(parsed.getTime()) ? null : parsed;
  const day = time ? calendar.format(time) : "";
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
  return true;
};

const countUnread = (count) => {
  unread = document.hidden ? unread + count : 0;
  document.title = (unread ? `(${unread}) ` : "") + "Chat · Holdfast";
};

const showEmpty = () => {
  $("empty").hidden = $("log").childElementCount + $("outbox").childElementCount > 0;
};

const showMembers = (members) => {
  $("here").hidden = !members;
  const names = (members ?? []).map(({ name }) => name || "anonymous").sort((a, b) => a.localeCompare(b));
  $("here-count").textContent = names.length === 1 ? "1 here" : `${names.length} here`;
  $("here-names").replaceChildren(
    ...names.slice(0, 100).map((name) => {
      const item = element("li", "", name);
      item.style.setProperty("--hue", hue(name));
      return item;
    }),
  );
};

// ---- Waiting for messages

const gapTexts = {
  trimmed: "Some older messages are no longer kept, so a few may be missing here.",
  deleted: "Messages were deleted from this channel.",
  restarted: "The message log was replaced; messages may be missing here.",
  future: "The message log is older than this page; messages may be missing here.",
};

let arrived = []; // not shown yet: a burst is laid out and stored once

const showArrived = () => {
  const came = arrived;
  arrived = [];
  if (!came.length) return;
  const atEnd = isAtEnd();
  const fresh = came.slice(-KEEP).filter(show);
  while ($("log").childElementCount > KEEP) $("log").firstElementChild.remove();
  messages = [...messages, ...fresh].slice(-KEEP);
  if (fresh.length && subscription?.state === "live") countUnread(came.length);
  showEmpty();
  if (atEnd) toEnd();
  else $("newest").hidden = false;
  remember(came.at(-1).id);
};

const handlers = {
  message(message) {
    // While the page is hidden nothing is drawn, but unread messages are counted.
    if (arrived.push(message) === 1) document.hidden ? setTimeout(showArrived, 100) : requestAnimationFrame(showArrived);
  },
  gap({ reason }) {
    showArrived();
    note(gapTexts[reason] ?? "Messages may be missing here.");
  },
  state(state, info) {
    showState(state, info);
    if (state === "refused" && !refused) note(`This channel cannot be read: ${info.problem}`);
    refused = state === "refused";
    if (state === "live") {
      showArrived();
      showEmpty();
      remember(subscription?.cursor ?? cursor);
    }
  },
};

let refused = false;
let subscription = null;
let members = null;

const remember = (position) => {
  cursor = position;
  stored("session", storageKey, JSON.stringify({ cursor, messages }));
};

// Under another name, others see this as another subscriber.
const begin = (name) => {
  const options = { name, since: subscription?.cursor ?? cursor ?? `last:${HISTORY}` };
  const [former, formerMembers] = [subscription, members];
  subscription = subscribe(channel, handlers, options);
  members = presence(channel, showMembers, { name });
  former?.close();
  formerMembers?.close();
};

// ---- Sending

// Sends until the server accepts or refuses. The key makes a repeat harmless: the message is kept once.
const send = async (nick, text, item, key) => {
  item.classList.remove("failed");
  item.classList.add("pending");
  item.querySelector(".trouble")?.remove();
  try {
    const { id } = await publish(channel, { nick, message: text }, { key, retries: 4 });
    item.classList.remove("pending"); // also if the client may publish but not read
    if (shown.has(id)) item.remove();
    else outgoing.set(id, item);
  } catch (error) {
    item.classList.add("failed");
    const line = element("p", "trouble", `Not sent: ${error.status ? error.message : "the server could not be reached"}`);
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
  }
};

// crypto.randomUUID exists on https and localhost only.
const randomKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const nick = $("nick").value.trim();
  const text = $("message").value.trim();
  if (!nick || !text) {
    (nick ? $("message") : $("nick")).focus();
    return;
  }
  $("message").value = "";
  $("message").focus();
  $("empty").hidden = true;
  const item = bubble(nick, text, null);
  item.classList.add("own", "pending");
  $("outbox").append(item);
  toEnd();
  send(nick, text, item, randomKey());
});

// ---- Start, and return

$("channel").textContent = channel;
$("curl").textContent =
  `curl -H 'Content-Type: application/json' \\\n     -d '{"nick":"curl","message":"hello"}' \\\n     ${base}${channel}`;
$("nick").value = stored("local", "holdfast-chat nick") ?? "";
($("nick").value ? $("message") : $("nick")).focus({ preventScroll: true });

$("nick").addEventListener("change", () => {
  const nick = $("nick").value.trim();
  stored("local", "holdfast-chat nick", nick);
  begin(nick);
});
$("newest").addEventListener("click", toEnd);
$("scroll").addEventListener("scroll", () => {
  stuck = isAtEnd();
  if (stuck) $("newest").hidden = true;
});
// A resized window, an on-screen keyboard or the list of members takes room away: the newest message stays in sight.
new ResizeObserver(() => stuck && toEnd()).observe($("scroll"));
document.addEventListener("visibilitychange", () => {
  showArrived();
  if (!document.hidden) countUnread(0);
});
addEventListener("pagehide", showArrived);

try {
  const kept = JSON.parse(stored("session", storageKey) ?? "{}");
  if (typeof kept.cursor === "string" && Array.isArray(kept.messages)) {
    ({ cursor, messages } = kept);
    messages.forEach(show);
    toEnd();
  }
} catch {
  // not ours
}
if (channel !== asked) note(`“${asked.slice(0, 128)}” is not a valid channel name; this is “chat”.`);
begin($("nick").value.trim());
