// The chat page, built on holdfast.js, and an example to read.
//
// It keeps the cursor and messages of this tab, so that nothing is missed across a reload. What others wrote is shown
// as text, never as HTML.

import { showHere, watchRoom } from "./here.js";
import { presence, publish, subscribe } from "./holdfast.js";
import { $, base, element, hue, isChannel, showState, stored } from "./page.js";

const HISTORY = 50; // messages shown on a first visit
const KEEP = 300; // messages kept on the page and in the tab's storage

const asked = new URLSearchParams(location.search).get("channel") || "chat";
const channel = isChannel(asked) ? asked : "chat";
const storageKey = `holdfast-chat ${base}${channel}`;

let cursor;
let messages = [];
let unread = 0;
let stuck = true; // the newest message is in sight, and stays so
let user = null; // the name by which the web server knows the reader
let last = null; // the message shown last, for grouping
const shown = new Set(); // ids on the page
const outgoing = new Map(); // id → element in the outbox

// ---- Showing

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

const initial = (nick) => [...(nick || "?")][0].toUpperCase();

/** The text with its addresses of http and https as links; all the rest stays text. */
const linked = (text) =>
  text.split(/\b(https?:\/\/[^\s<>"]+)/i).flatMap((part, at) => {
    if (at % 2 === 0) return part;
    // What ends a sentence or closes a bracket around the address does not belong to it.
    const closing = part.includes("(") ? ".,;:!?'…]}" : ".,;:!?'…]})";
    let end = part.length;
    while (closing.includes(part[end - 1])) end -= 1;
    const address = part.slice(0, end);
    if (!URL.canParse(address)) return part;
    const link = element("a", "", address);
    Object.assign(link, { href: address, target: "_blank", rel: "noopener noreferrer" });
    return [link, part.slice(address.length)];
  });

const bubble = (nick, text, time) => {
  const item = element("li", "message");
  item.style.setProperty("--hue", hue(nick));
  const avatar = element("div", "avatar", initial(nick));
  avatar.setAttribute("aria-hidden", "true");
  const body = element("div", "bubble");
  body.append(element("div", "who", nick || "anonymous"));
  const said = element("div", "said");
  said.append(...linked(text));
  const when = element(time ? "time" : "span", "when", time ? clock.format(time) : "");
  if (time) when.dateTime = time.toISOString();
  body.append(said, when);
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
  $("empty").hidden = refused || $("log").childElementCount + $("outbox").childElementCount > 0;
  $("unreadable").hidden = !refused;
};

let here = null;

const showMembers = (members = here) => {
  here = members;
  showHere(here, { nick: $("nick").value.trim(), user });
};

// ---- What the reader may do

/** Asks what this reader may do, so that the page offers nothing that would be refused. */
const learnRights = async () => {
  try {
    const response = await fetch(`${base}-/rights/${channel}`, { cache: "no-store" });
    if (!response.ok) return;
    const rights = await response.json();
    if (rights.user !== user) {
      user = rights.user;
      $("nick").value ||= user ?? "";
      showName();
      showMembers();
    }
    showWriting(rights.publish);
  } catch {
    // As if everything were allowed: what is not is refused.
  }
};

const showWriting = (isAllowed) => {
  $("form").hidden = $("send").disabled = !isAllowed;
  $("reading").hidden = isAllowed;
  $("reading").textContent = refused ? "You cannot write here." : "You can read here, but not write.";
  $("first").textContent = isAllowed
    ? "Write the first message below, open this page in a second window, or publish from a terminal:"
    : "What is published on this channel appears here.";
  $("curl").parentElement.hidden = !isAllowed;
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
    if (state === "refused") $("unreadable-why").textContent = info.problem;
    if (state === "refused" || state === "live") {
      if (refused !== (state === "refused") || !wasLive) learnRights();
      refused = state === "refused";
      showEmpty();
    }
    wasLive = state === "live";
    if (state === "live") {
      showArrived();
      showEmpty();
      remember(subscription?.cursor ?? cursor);
    }
  },
};

let refused = false;
let wasLive = false;
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

/** Now, whatever the pause: as if the page had been opened anew. */
const retry = () => {
  cursor = subscription.cursor ?? cursor;
  subscription.close();
  members.close();
  subscription = members = null;
  begin($("nick").value.trim());
  showState("connecting");
};

// ---- Sending

// Sends until the server accepts or refuses. The key makes a repeat harmless: the message is kept once.
const send = async (nick, text, item, key) => {
  item.classList.remove("failed");
  item.classList.add("pending");
  item.querySelector(".when").textContent = "Sending …";
  item.querySelector(".trouble")?.remove();
  try {
    const { id } = await publish(channel, { nick, message: text }, { key, retries: 4 });
    item.classList.remove("pending"); // also if the client may publish but not read
    item.querySelector(".when").textContent = "Sent";
    if (shown.has(id)) item.remove();
    else outgoing.set(id, item);
  } catch (error) {
    item.classList.replace("pending", "failed");
    item.querySelector(".when").textContent = "";
    const why = error.status === 403 ? "you may not write here" : error.status ? error.message : "the server could not be reached";
    const line = element("p", "trouble", `Not sent: ${why}`);
    if (error.status === 403) {
      console.warn(error.message);
      learnRights();
    }
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
  grow();
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

/** Once there is a name, its first letter stands for it; that is a button to change it. */
const showName = (isAsked = false) => {
  const nick = $("nick").value.trim();
  const isKnown = nick !== "" && !isAsked;
  $("form").classList.toggle("named", isKnown);
  $("naming").hidden = isKnown;
  $("me").hidden = !isKnown;
  $("me").textContent = initial(nick);
  $("me").title = `You are ${nick}: change the name`;
  $("me").setAttribute("aria-label", $("me").title);
  $("me").style.setProperty("--hue", hue(nick));
};
showName();
$("me").addEventListener("click", () => {
  showName(true);
  $("nick").select();
});
$("nick").addEventListener("blur", () => showName());
$("nick").addEventListener("change", () => {
  const nick = $("nick").value.trim();
  stored("local", "holdfast-chat nick", nick);
  showName();
  begin(nick);
});

// Enter sends; with Shift, or while a word is being composed, it does what it does in any text.
$("message").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("form").requestSubmit();
});

/** The field is as high as its text, in browsers that do not see to that themselves. */
const grow = () => {
  if (CSS.supports("field-sizing", "content")) return;
  $("message").style.height = "";
  $("message").style.height = `${$("message").scrollHeight + 2}px`;
};
$("message").addEventListener("input", grow);

$("retry").addEventListener("click", retry);
// A keyboard on the screen leaves little room, and in some browsers covers the page instead of shrinking it.
const fit = () => {
  if (visualViewport.scale > 1.01) return;
  document.body.style.height = `${visualViewport.height}px`;
  document.body.classList.toggle("short", visualViewport.height < 480);
};
globalThis.visualViewport?.addEventListener("resize", fit);
$("newest").addEventListener("click", toEnd);
$("scroll").addEventListener("scroll", () => {
  stuck = isAtEnd();
  if (stuck) $("newest").hidden = true;
});
// A resized window, an on-screen keyboard or the list of members takes room away: the newest message stays in sight.
new ResizeObserver(() => stuck && toEnd()).observe($("scroll"));
watchRoom();
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
