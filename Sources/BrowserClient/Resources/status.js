// The status page: what all processes of the bus hold, have done, and may do.

import { chart, short } from "./chart.js";
import { eventParser } from "./holdfast.js";
import { $, base, element, showState } from "./page.js";

const SPAN = 300; // seconds in the charts
const EVERY = 2; // seconds between requests for what the stream does not carry

const reasons = {
  released: ["answered with messages", "--one"],
  deadline: ["reached the deadline", "--two"],
  closed: ["client left", "--three"],
  probe: ["client gone at a probe", "--six"],
  superseded: ["client came back", "--four"],
  left: ["client said good-bye", "--seven"],
  gap: ["told of a gap", "--eight"],
  aborted: ["aborted by the server", "--nine"],
  newer_request: ["replaced on its connection", "--ten"],
  shutdown: ["Holdfast stopped", "--five"],
  slow: ["did not read", "--nine"],
  limit: ["made room at a bound", "--ten"],
  revoked: ["lost the right to read", "--eight"],
};
const spare = ["--five", "--six", "--nine", "--ten"];
const color = (reason) => `var(${reasons[reason]?.[1] ?? spare[reason.length % spare.length]})`;
const words = (name) => name.replaceAll("_", " ");

// ---- Where the figures come from

class Refusal extends Error {}

const get = async (name) => {
  const response = await fetch(base + "-/" + name, { headers: { Accept: "application/json" }, cache: "no-store" });
  if (response.ok) return response.json();
  const { detail } = await response.json().catch(() => ({}));
  if (response.status === 403) throw new Refusal(detail ?? "This is for the operator.");
  throw new Error(`the server answered ${response.status}`);
};

/** Calls `show` with the status each second, from Holdfast's own stream, until that ends. */
const follow = async (show, signal) => {
  const response = await fetch(base + "-/status?stream=sse", { cache: "no-store", signal });
  if (!/^text\/event-stream/.test(response.headers.get("Content-Type"))) throw new Error("no stream");
  const parse = eventParser((type, data) => type === "status" && show(JSON.parse(data)));
  for (const reader = response.body.pipeThrough(new TextDecoderStream()).getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) return;
    parse(value);
  }
};

/** Calls `show` with { status, channels } repeatedly while the page is visible, and `fail` with the reason if there is nothing. */
const watch = async (show, fail) => {
  let channels, isRefused, came = 0, abort;
  const shown = (status) => {
    came = Date.now();
    show({ status, channels });
  };
  const look = async () => {
    if (document.hidden) return;
    try {
      channels = await get("channels?limit=1000");
      // If no stream comes through, each request fetches the status, too.
      if (Date.now() - came > 1.5 * EVERY * 1000) shown(await get("status"));
      isRefused = false;
    } catch (error) {
      isRefused = error instanceof Refusal;
      fail(error);
    }
  };
  const stream = async () => {
    if (document.hidden || isRefused || abort) return;
    abort = new AbortController();
    await follow(shown, abort.signal).catch(() => {});
    abort = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? abort?.abort() : (look(), stream())));
  addEventListener("online", look);
  for (;;) {
    await look();
    stream();
    await new Promise((resolve) => setTimeout(resolve, (isRefused ? 15 : EVERY) * 1000));
  }
};

// ---- The last minutes

const samples = []; // { time, held, deliveries, published, ended }, oldest first

const isRestart = (former, next) =>
  former && (next.deliveries < former.deliveries || next.processes !== former.processes || next.time - former.time > 10 * EVERY);

const sample = (status) => {
  const next = {
    time: Date.now() / 1000,
    held: status.held,
    deliveries: status.deliveries,
    published: status.log.messages,
    ended: status.ended,
    processes: status.processes.map(({ pid }) => pid).join(),
  };
  next.restarted = isRestart(samples.at(-1), next);
  samples.push(next);
  while (samples[0].time < next.time - SPAN - 2 * EVERY) samples.shift();
};

/** Rates per second between neighbouring samples; null where counting started anew. */
const rates = (value) =>
  samples.map((one, at) => {
    const former = samples[at - 1];
    if (!former || one.restarted) return null;
    return Math.max(0, (value(one) - value(former)) / (one.time - former.time));
  });

// ---- Showing

const number = (value) => Math.round(value).toLocaleString();

const size = (bytes) => {
  const unit = Math.min(Math.floor(Math.log2(Math.max(bytes, 1)) / 10), 4);
  const value = bytes / 1024 ** unit;
  return `${value < 10 && unit ? value.toFixed(1) : Math.round(value)} ${["B", "kB", "MB", "GB", "TB"][unit]}`;
};

const duration = (seconds) => {
  for (const [unit, length] of [["day", 86400], ["hour", 3600], ["minute", 60]]) {
    const count = Math.floor(seconds / length);
    if (count) return `${count} ${unit}${count > 1 ? "s" : ""}`;
  }
  return `${Math.floor(seconds)} s`;
};

const moment = (date) =>
  date.toDateString() === new Date().toDateString() ? date.toLocaleTimeString() : date.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

const setText = (id, text) => {
  if ($(id).textContent !== text) $(id).textContent = text;
};

/** Cells are text, or [text, class]; the first is the row's heading. */
const fill = (id, rows, nothing) => {
  const made = rows.map((cells) => {
    const row = element("tr");
    cells.forEach((cell, at) => {
      const [text, className] = [cell].flat();
      const made = element(at ? "td" : "th", className, text);
      if (!at) made.scope = "row";
      row.append(made);
    });
    return row;
  });
  if (!made.length) {
    const cell = element("td", "", nothing);
    cell.colSpan = 9;
    made.push(element("tr"));
    made[0].append(cell);
  }
  $(id).replaceChildren(...made);
};

const showCharts = () => {
  const times = samples.map(({ time }) => time);
  const held = samples.map((one) => one.held);
  const deliveries = rates((one) => one.deliveries);
  const published = rates((one) => one.published);
  setText("held", short(held.at(-1)));
  setText("deliveries", short(deliveries.at(-1) ?? 0));
  setText("published", short(published.at(-1) ?? 0));
  chart($("chart-held"), times, [{ color: "var(--one)", values: held }], { span: SPAN, label: `Held requests over ${SPAN / 60} minutes; now ${held.at(-1)}` });
  chart($("chart-deliveries"), times, [{ color: "var(--two)", values: deliveries }], { span: SPAN, label: `Deliveries per second over ${SPAN / 60} minutes` });

  const names = Object.keys(samples.at(-1).ended);
  const series = names.map((name) => ({ name, color: color(name), values: rates((one) => one.ended[name] ?? 0) }));
  const seen = series.filter(({ values }) => values.some((value) => value > 0));
  chart($("chart-ended"), times, seen, { span: SPAN, stacked: true, label: "Ended holds per second, by reason" });
  const totals = names.filter((name) => samples.at(-1).ended[name] > 0);
  $("legend").replaceChildren(
    ...totals.map((name) => {
      const item = element("li", "", `${reasons[name]?.[0] ?? words(name)} `);
      item.style.setProperty("--series", color(name));
      item.append(element("b", "", number(samples.at(-1).ended[name])));
      return item;
    }),
  );
};

const showBounds = ({ limits = {}, processes, connections, bus_clients, held, log, bounds_reached }, kept) => {
  const count = processes.length;
  const bounds = [
    ["Held requests", held, limits.held * count, number],
    ["Connections", connections, limits.connections * count, number],
    ["Clients of the bus socket", bus_clients, limits.bus_clients * count, number],
    ["Channels remembered", log.channels, limits.channels, number],
    ["Bytes of messages kept", kept, limits.log_bytes, size],
  ];
  $("bounds").replaceChildren(
    ...bounds
      .filter(([, , most]) => most > 0)
      .map(([name, value, most, format]) => {
        const bound = element("div", "bound");
        const line = element("p");
        line.append(element("span", "", name), element("span", "", `${format(value)} of ${format(most)}`));
        const meter = element("meter");
        Object.assign(meter, { max: most, low: most * 0.7, high: most * 0.9, optimum: 0, value: Math.max(value, most / 200) });
        meter.setAttribute("aria-label", name);
        bound.append(line, meter);
        return bound;
      }),
  );
  const reached = Object.entries(bounds_reached).filter(([, times]) => times > 0);
  setText(
    "reached",
    reached.length
      ? `Reached since the start: ${reached.map(([name, times]) => `${words(name)} ${number(times)} ${times === 1 ? "time" : "times"}`).join(", ")}.`
      : "None has been reached since the start.",
  );
};

const showTables = ({ status, channels }) => {
  fill(
    "fronts",
    (status.front_ends ?? []).filter((one) => one.server || one.shown + one.revealed + one.overtaken).map((one) => [
      (one.server || "unnamed") + (one.forwarded ? ", behind a proxy" : ""),
      [`${one.why}; its streams ${one.streams}`, "why"],
      one.probed ? "yes" : "no",
      [number(one.shown), "number"],
      [number(one.revealed), "number"],
      [number(one.overtaken), "number"],
    ]),
    "No request has arrived yet.",
  );
  const list = channels.channels.toSorted?.((a, b) => b.held - a.held || b.messages - a.messages) ?? channels.channels;
  fill(
    "channels",
    list.slice(0, 100).map((one) => [
      one.channel,
      [number(one.held), "number"],
      [number(one.messages), "number"],
      [size(one.bytes), "number"],
      one.time ? moment(new Date(one.time)) : "–",
    ]),
    "Nothing has been published yet.",
  );
  const hidden = list.length - 100;
  $("channels-more").hidden = hidden <= 0 && !channels.next;
  setText("channels-more", `And ${channels.next ? "more" : hidden} others; -/channels lists all.`);
  fill(
    "processes",
    status.processes.map((one) => [
      String(one.pid),
      (one.ready ? "ready" : "not ready") + (one.serves_bus ? ", serves bus and pipes" : ""),
      [number(one.held), "number"],
      duration(one.uptime_seconds),
    ]),
  );
};

watch(
  (figures) => {
    const { status, channels } = figures;
    $("trouble").hidden = true;
    $("all").hidden = false;
    showState("live");
    const kept = channels.channels.reduce((sum, one) => sum + one.bytes, 0);
    setText("about", `Version ${status.version}, ${status.processes.length === 1 ? "one process" : `${status.processes.length} processes`}`);
    setText("held-of", `on ${number(status.connections)} connections`);
    setText("kept", short(status.log.kept));
    setText("kept-of", `messages, ${size(kept)}`);
    sample(status);
    showCharts();
    showBounds(status, kept);
    showTables(figures);
  },
  (error) => {
    const isRefused = error instanceof Refusal;
    showState(isRefused ? "refused" : "waiting");
    $("trouble").hidden = false;
    setText("trouble", isRefused ? error.message : `Holdfast cannot be reached (${error.message}). This page keeps trying.`);
  },
);
addEventListener("resize", () => samples.length && showCharts());
