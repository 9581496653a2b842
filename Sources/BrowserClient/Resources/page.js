// What the pages share.

export const $ = (id) => document.getElementById(id);

/** Creates an element; text is set as text, whatever it contains. */
export const element = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

/** The same colour for a name on every page (FNV-1a). */
export const hue = (name) => {
  let hash = 0x811c9dc5;
  for (const letter of name) hash = Math.imul(hash ^ letter.codePointAt(0), 0x01000193) >>> 0;
  return (hash % 24) * 15;
};

const words = { connecting: "Connecting", live: "Live", waiting: "Reconnecting", refused: "Not allowed", closed: "Closed" };
let countdown;

/** Shows a subscription's state in the header. Screen readers do not read out the countdown each second. */
export const showState = (state, { until, transport } = {}) => {
  clearInterval(countdown);
  const [text, count] = $("state").children;
  const shown = state === "waiting" && navigator.onLine === false ? "Offline, retrying" : words[state];
  $("state").dataset.state = state;
  $("state").title = transport ? { sse: "by a stream", poll: "by long-poll" }[transport] : "";
  // A pause that is over soon needs no button.
  if ($("retry")) $("retry").hidden = !(until - Date.now() > 2000);
  if (text.textContent !== shown) text.textContent = shown;
  const tick = () => {
    const seconds = Math.ceil((until - Date.now()) / 1000);
    count.textContent = state === "waiting" && seconds > 0 ? `in ${seconds} s` : "";
  };
  tick();
  if (state === "waiting") countdown = setInterval(tick, 500);
};

// Storage may be forbidden or full: pages work without it.
export const stored = (kind, key, value) => {
  try {
    const storage = kind === "session" ? sessionStorage : localStorage;
    if (value === undefined) return storage.getItem(key);
    storage.setItem(key, value);
  } catch {
    // as if nothing had been stored
  }
  return null;
};

/** Whether the server accepts this as a channel name. */
export const isChannel = (name) =>
  name.length <= 128 && /^[A-Za-z0-9._~/-]+$/.test(name) && !/^(~|-(\/|$))|(^|\/)\.{0,2}(\/|$)/.test(name);

/** Where Holdfast is mounted: these pages are below "-/". */
export const base = new URL("../", import.meta.url).href;
