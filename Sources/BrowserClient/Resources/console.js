// The console: one request at a time, with what is sent and received. It uses fetch alone, so that nothing stands
// between the reader and the bytes.

import { $, base, element, stored } from "./page.js";

const KEEP = 30; // exchanges on the page
const SHOWN = 256 * 1024; // characters shown of one answer

let current = null; // the AbortController of the running subscription

// ---- Ways to show bytes

/** JSON in lines of its own, also in a line of an event stream; other text as it is. */
const pretty = (text) =>
  text.split("\n").map((line) => {
    const [, field, value] = /^(data: ?)?([[{].*[\]}])\r?$/.exec(line) ?? [];
    if (!value) return line;
    try {
      return (field ?? "") + JSON.stringify(JSON.parse(value), null, 2);
    } catch {
      return line;
    }
  }).join("\n");

const raw = new WeakMap(); // of the elements with pieces of answers

const layOut = (piece) => (piece.textContent = $("pretty").checked ? pretty(raw.get(piece)) : raw.get(piece));

/** The same request for a shell. */
const curl = (method, url, headers, body) => {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const words = ["curl -i" + (/stream|ndjson/.test(headers.Accept) ? " -N" : "")];
  for (const one of Object.entries(headers)) words.push(`-H ${quoted(one.join(": "))}`);
  if (method !== "GET") words.push(`--data-raw ${quoted(body)}`);
  return [...words, quoted(url.href)].join(" \\\n  ");
};

/** Resolves to whether the clipboard has the text; browsers give it to pages of https and localhost only. */
const copy = async (text) => {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = element("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const isDone = document.execCommand("copy");
    field.remove();
    return isDone;
  }
};

const button = (text, act) => {
  const made = element("button", "quiet small", text);
  made.type = "button";
  made.addEventListener("click", () => act(made));
  return made;
};

/** Shows an exchange in progress. Returns the functions that add to it. */
const exchange = (method, url, headers, body, abort) => {
  const item = element("li", "card open");
  const what = element("div", "what");
  const status = element("span", "", "waiting …");
  const count = element("span", "count");
  const stop = button("Stop", () => abort.abort());
  const asCurl = button("Copy as curl", async (button) => {
    button.textContent = $("summary").textContent = (await copy(curl(method, url, headers, body))) ? "Copied" : "Not copied";
    setTimeout(() => (button.textContent = "Copy as curl"), 2000);
  });
  what.append(element("code", "", `${method} ${url.pathname}${url.search}`), status, count, stop, asCurl);
  const sent = [`${method} ${url.pathname}${url.search} HTTP/1.1`, `Host: ${url.host}`, ...Object.entries(headers).map((one) => one.join(": "))];
  item.append(what, element("pre", "sent", sent.join("\n") + (body ? `\n\n${body}` : "")));
  const answer = element("pre", "answer");
  answer.tabIndex = 0;
  answer.setAttribute("role", "region");
  answer.setAttribute("aria-label", "Answer");
  $("nothing").hidden = true;
  $("exchanges").prepend(item);
  while ($("exchanges").childElementCount > KEEP) $("exchanges").lastElementChild.remove();

  const began = performance.now();
  let bytes = 0, shown = 0;
  const seconds = (digits = 3) => `${((performance.now() - began) / 1000).toFixed(digits)} s`;
  const tell = () => (count.textContent = `open for ${seconds(0)}, ${bytes.toLocaleString()} bytes`);
  const clock = setInterval(tell, 1000);
  tell();
  return {
    head(response) {
      status.textContent = `${response.status} ${response.statusText}`.trim();
      status.className = response.ok ? "good" : "bad";
      // Browsers give header field names in lower case, and not all fields.
      const fields = [...response.headers].map((one) => one.join(": "));
      const head = element("span", "chunk", [`HTTP ${status.textContent}`, ...fields].join("\n"));
      head.dataset.at = seconds();
      answer.append(head);
      item.append(answer);
    },
    chunk(length, text) {
      bytes += length;
      tell();
      if (shown > SHOWN) return;
      shown += text.length;
      const atEnd = answer.scrollHeight - answer.scrollTop - answer.clientHeight < 40;
      const part = element("span", "chunk");
      raw.set(part, text + (shown > SHOWN ? "\n… the rest is not shown" : ""));
      layOut(part);
      part.dataset.at = seconds();
      answer.append(part);
      if (atEnd) answer.scrollTop = answer.scrollHeight;
    },
    end(text, isBad) {
      clearInterval(clock);
      item.classList.remove("open");
      stop.remove();
      count.textContent = `${bytes.toLocaleString()} bytes, ${text} after ${seconds()}`;
      if (status.textContent === "waiting …") status.textContent = text;
      if (isBad) status.className = "bad";
      $("summary").textContent = `${method} ${url.pathname}: ${status.textContent}, ${count.textContent}`;
    },
  };
};

/** One request; resolves to the text of its answer, or null. */
const ask = async (method, url, headers, body, abort = new AbortController()) => {
  const { signal } = abort;
  const view = exchange(method, url, headers, body, abort);
  try {
    const response = await fetch(url, { method, headers, body, signal, cache: "no-store" });
    view.head(response);
    const decoder = new TextDecoder();
    let text = "";
    for (const reader = response.body?.getReader(); reader; ) {
      const { done, value } = await reader.read();
      if (done) break;
      const part = decoder.decode(value, { stream: true });
      if (text.length < SHOWN) text += part;
      view.chunk(value.length, part);
    }
    view.end("ended", false);
    return { response, text };
  } catch (error) {
    view.end(signal.aborted ? "stopped" : `failed: ${error.message}`, !signal.aborted);
    return null;
  }
};

const pathOf = (channels) => channels.split(/[\s,]+/).filter(Boolean).map(encodeURIComponent).join(",").replaceAll("%2F", "/");

/** The cursor for the next request, whatever the form of the answer. */
const cursorIn = ({ response, text }, form) => {
  if (form === "application/json") return JSON.parse(text).cursor;
  if (form === "text/event-stream") return [...text.matchAll(/^id: ?(.+)$/gm)].at(-1)?.[1];
  if (form === "application/x-ndjson") return [...text.matchAll(/"cursor":"([^"]+)"/g)].at(-1)?.[1];
  return response.headers.get("Holdfast-Cursor");
};

const pause = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()));
  });

$("subscribe").addEventListener("submit", async (event) => {
  event.preventDefault();
  current?.abort();
  const abort = (current = new AbortController());
  $("stop").disabled = false;
  const form = $("form").value;
  const isStream = form !== "application/json" && form !== "bare";
  let since = $("since").value.trim();
  for (;;) {
    const url = new URL(pathOf($("channels").value), base);
    if (since) url.searchParams.set("since", since);
    if (!isStream && $("wait").value) url.searchParams.set("wait", $("wait").value);
    if (form === "bare") url.searchParams.set("format", "bare");
    const began = performance.now();
    const outcome = await ask("GET", url, form === "bare" ? {} : { Accept: form }, undefined, abort);
    if (abort.signal.aborted || !outcome?.response.ok || !$("follow").checked) break;
    const cursor = cursorIn(outcome, form);
    if (!cursor) break;
    since = $("since").value = cursor;
    // Without a wait, or with a server that is ending, this would ask without a pause.
    if (performance.now() - began < 1000) await pause(1, abort.signal);
    if (abort.signal.aborted) break;
  }
  if (current === abort) {
    current = null;
    $("stop").disabled = true;
  }
});

$("stop").addEventListener("click", () => current?.abort());

$("publish").addEventListener("submit", (event) => {
  event.preventDefault();
  const headers = { "Content-Type": $("type").value.trim() || "text/plain" };
  for (const [name, id] of [["Holdfast-Type", "event"], ["TTL", "ttl"], ["Topic", "topic"], ["Idempotency-Key", "key"]]) {
    const value = $(id).value.trim();
    if (value) headers[name] = value;
  }
  ask("POST", new URL(pathOf($("to").value), base), headers, $("body").value);
});

$("form").addEventListener("change", () => {
  $("wait").disabled = $("form").value.includes("stream") || $("form").value.includes("ndjson");
});

$("pretty").checked = stored("local", "holdfast-console pretty") === "true";
$("pretty").addEventListener("change", () => {
  stored("local", "holdfast-console pretty", $("pretty").checked);
  document.querySelectorAll(".chunk").forEach((piece) => raw.has(piece) && layOut(piece));
});

$("clear").addEventListener("click", () => {
  $("exchanges").replaceChildren();
  $("nothing").hidden = false;
});
