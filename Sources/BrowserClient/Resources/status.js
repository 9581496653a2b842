// The status page: what all processes of the bus hold, have done, and may do.

import { chart, short } from "./chart.js";
import { eventParser } from "./holdfast.js";
import { $, base, element, showState } from "./page.js";

const SPAN = 300; // seconds in the charts
const EVERY = 2; // seconds between requests for what the stream does not carry
const WINDOW = 5; // seconds over which rates are taken, as in the server's history

const reasons = {
  released: ["answered with messages", "--one"],
  deadline: ["nothing new in time", "--two"],
  closed: ["client left", "--three"],
  probe: ["found gone by a probe", "--six"],
  superseded: ["client came back", "--four"],
  left: ["client said good-bye", "--seven"],
  gap: ["told of a gap", "--eight"],
  aborted: ["aborted by the server", "--nine"],
  newer_request: ["replaced on its connection", "--ten"],
  shutdown: ["Holdfast stopped", "--five"],
  lifetime: ["stream to be renewed", "--ten"],
  slow: ["did not read", "--nine"],
  limit: ["made room at a bound", "--ten"],
  revoked: ["lost the right to read", "--eight"],
  expired: ["token or link expired", "--six"],
  behind: ["to ask again", "--five"],
};
const spare = ["--five", "--six", "--nine", "--ten"];
const color = (reason) => `var(${reasons[reason]?.[1] ?? spare[reason.length % spare.length]})`;
const words = (name) => name.replaceAll("_", " ");

// ---- Where the figures come from

class Refusal extends Error {}

const get = async (name) => {
  const response = await fetch(base + "-/" + name, { headers: { Accept: "application/json" }, cache: "no-store" });
  if (response.ok) return response.json();
  if (response.status === 403 || response.status === 401) {
    throw Object.assign(new Refusal(), { server: response.headers.get("Server") });
  }
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
      // At first for what the server has kept; and always if no stream comes through.
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

// Rates are per second, and null where counting started anew.
let samples = []; // { time, held, deliveries, published, ended: { reason: rate } }, oldest first
let totals = []; // { time, processes, deliveries, published, ended: { reason: count } } of the last seconds

const each = (object, change) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value, name)]));

/** What the server has kept: an array for each figure, with a number for each slot of some seconds. */
const remember = ({ slot_seconds: slot, ended_milliseconds_ago: ago, held, deliveries, log, ended }) => {
  const end = (Date.now() - ago) / 1000;
  const rate = (count) => (count === null ? null : count / slot);
  samples = held.map((value, at) => ({
    time: end - (held.length - 1 - at) * slot,
    held: value,
    deliveries: rate(deliveries[at]),
    published: rate(log.messages[at]),
    ended: each(ended, (counts) => rate(counts[at])),
  }));
  totals = [];
};

const sample = (status) => {
  const time = Date.now() / 1000;
  if (status.history && !(time - samples.at(-1)?.time < 2 * WINDOW)) remember(status.history);
  const next = {
    time,
    processes: status.processes.map(({ pid }) => pid).join(),
    deliveries: status.deliveries,
    published: status.log.messages,
    ended: status.ended,
  };
  const former = totals.at(-1);
  const isRestart = former && (next.deliveries < former.deliveries || next.processes !== former.processes || time - former.time > 2 * WINDOW);
  if (isRestart) totals = [];
  totals.push(next);
  while (totals[1]?.time <= time - WINDOW) totals.shift();
  const first = totals[0];
  // The first count alone gives no rate, and a moment later none that says anything.
  if (time - first.time < 2 && !isRestart && samples.length) return;
  const rate = (count, before) => (first === next ? null : Math.max(0, (count - (before ?? 0)) / (time - first.time)));
  samples.push({
    time,
    held: status.held,
    deliveries: rate(next.deliveries, first.deliveries),
    published: rate(next.published, first.published),
    ended: each(next.ended, (count, name) => rate(count, first.ended[name])),
  });
  while (samples[0].time < time - SPAN - 2 * WINDOW) samples.shift();
};

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

// In narrow windows tables are not laid out as such, and would not be read out as such without this.
const roles = { table: "table", "thead, tbody": "rowgroup", "thead tr": "row", "thead th": "columnheader" };
for (const [name, role] of Object.entries(roles)) {
  for (const one of document.querySelectorAll(name)) one.setAttribute("role", role);
}

/** Cells are text, or [text, class]; the first is the row's heading. */
const fill = (id, rows, nothing) => {
  const headings = [...$(id).closest("table").querySelectorAll("thead th")].map(({ textContent }) => textContent);
  const made = rows.map((cells) => {
    const row = element("tr");
    row.setAttribute("role", "row");
    cells.forEach((cell, at) => {
      const [text, className] = [cell].flat();
      const made = element(at ? "td" : "th", className, text);
      made.setAttribute("role", at ? "cell" : "rowheader");
      if (at) made.dataset.heading = headings[at]; // for narrow windows, where each row is a list
      else made.scope = "row";
      row.append(made);
    });
    return row;
  });
  if (!made.length) {
    const cell = element("td", "nothing", nothing);
    cell.colSpan = 9;
    made.push(element("tr"));
    made[0].append(cell);
  }
  $(id).replaceChildren(...made);
};

const showCharts = ({ held, ended }) => {
  const times = samples.map(({ time }) => time);
  const values = (value) => samples.map(value);
  const [deliveries, published] = [values((one) => one.deliveries), values((one) => one.published)];
  const minutes = `over the last ${SPAN / 60} minutes`;
  setText("held", short(held));
  setText("deliveries", short(deliveries.at(-1) ?? 0));
  setText("published", short(published.at(-1) ?? 0));
  chart($("chart-held"), times, [{ color: "var(--one)", values: values((one) => one.held) }], { span: SPAN, label: `Held requests ${minutes}; now ${held}` });
  chart($("chart-deliveries"), times, [{ color: "var(--two)", values: deliveries }], { span: SPAN, label: `Deliveries per second ${minutes}` });

  const series = Object.keys(ended).map((name) => ({ name, color: color(name), values: values((one) => one.ended[name] ?? null) }));
  const seen = series.filter(({ values }) => values.some((value) => value > 0));
  chart($("chart-ended"), times, seen, { span: SPAN, stacked: true, label: `Ended holds per second ${minutes}, by reason` });
  $("legend").replaceChildren(
    ...Object.entries(ended).filter(([, count]) => count > 0).map(([name, count]) => {
      const item = element("li", "", `${reasons[name]?.[0] ?? words(name)} `);
      item.style.setProperty("--series", color(name));
      item.append(element("b", "", number(count)));
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
        Object.assign(meter, { max: most, low: most * 0.7, high: most * 0.9, optimum: 0, value });
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

/** The tokens and links that requests came with; hidden if there were none. */
const showIdentity = ({ tokens, links, refused_credentials: refused }) => {
  const total = Object.values(refused).reduce((sum, count) => sum + count, 0);
  // A remembered verdict may be a refusal: those are among the refused.
  const bad = total - links.refused;
  const good = tokens.verified + tokens.remembered - (bad - tokens.refused);
  $("identity").hidden = good + links.verified + total === 0;
  fill("credentials", [
    ["Tokens", [number(good), "number"], [number(bad), "number"], [number(tokens.remembered), "number"]],
    ["Signed links", [number(links.verified), "number"], [number(links.refused), "number"], ["–", "number"]],
  ]);
  const codes = Object.entries(refused).filter(([, count]) => count > 0);
  setText("refusals", codes.length ? `Refused for: ${codes.map(([code, count]) => `${words(code)} ${number(count)}`).join(", ")}.` : "None was refused.");
};

const counted = (count, one, many = one + "s") => `${number(count)} ${count === 1 ? one : many}`;

/** How far a machine is, or was when it was last seen. */
const standing = ({ lag_groups: groups, seen_seconds_ago: seconds }, isNow) =>
  groups ? `${counted(groups, "group")} behind${isNow ? "" : " then"}` : seconds > 60 && !isNow ? "up to date then" : "up to date";

/** The state of this machine within a site of several; hidden if it is a bus of its own. */
const showSite = ({ engine, limits = {} }) => {
  $("site").hidden = !engine;
  if (!engine) return;
  const { head, lag_groups: groups, lag_milliseconds: lag, publishing, following, machine, machines, epoch, site } = engine;
  const behind = lag >= 1000;
  const parts = [
    lag === undefined
      ? "The engine has not been asked yet."
      : !publishing
        ? `This machine was up to date ${duration(lag / 1000)} ago.`
        : behind
          ? `This machine is behind the others, for ${duration(lag / 1000)}${groups ? `: it lacks ${counted(groups, "group")}` : ""}.`
          : "This machine is up to date.",
  ];
  if (!publishing) parts.push("Nothing can be published.");
  if (following === false) parts.push("What other machines publish does not arrive.");
  // As a rule, they are taken at once.
  const waiting = (engine.outbox_milliseconds ?? 0) / 1000;
  if (waiting >= 1) parts.push(`About ${counted(engine.outbox, "message")} of SQL not taken by any machine, the oldest for ${duration(waiting)}.`);
  $("site-state").dataset.is = !publishing || following === false || waiting > 60 || lag > 1000 * (limits.lag_seconds ?? 10) ? "wrong" : "right";
  setText("site-state", parts.join(" "));
  fill(
    "machines",
    machines.map((one) => [
      one.name + (one.id === machine ? " (this one)" : ""),
      standing(one, one.id === machine && groups !== undefined),
      one.seen_seconds_ago < 2 ? "now" : `${duration(one.seen_seconds_ago)} ago`,
    ]),
    "The engine has not been asked yet.",
  );
  const wrong = [
    [engine.refused, "publication refused", "publications refused"],
    [engine.unknown, "publication with an unknown outcome", "publications with an unknown outcome"],
    [engine.repeats, "group sent again after a lost answer", "groups sent again after a lost answer"],
    [engine.reconnections, "connection lost and made again", "connections lost and made again"],
    [engine.epochs, "failover or other new epoch", "failovers or other new epochs"],
    [engine.losses, "loss told to subscribers", "losses told to subscribers"],
    [engine.restarts, "time its log began anew", "times its log began anew"],
  ].filter(([count]) => count > 0);
  const counts = [
    head === undefined ? "" : `Site “${site}”, group ${number(head)}, epoch ${epoch}.`,
    `Since the start this machine has appended ${counted(engine.groups, "group")} and applied ${counted(engine.applied_messages, "message")}`,
    wrong.length ? `and met: ${wrong.map((one) => counted(...one)).join(", ")}.` : "and nothing was refused, sent again or lost.",
  ];
  setText("site-counts", counts.join(" "));
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

// ---- The lines that are missing

const path = new URL(base).pathname;
const lines = {
  nginx: `location ~ ^${path}-/(status|metrics|channels) {
    auth_basic Holdfast;
    auth_basic_user_file /etc/nginx/holdfast.htpasswd;
    fastcgi_param HOLDFAST_OPERATOR 1;
    # A location inherits no fastcgi_param once it has one:
    fastcgi_param REQUEST_METHOD $request_method;
    fastcgi_param REQUEST_URI $request_uri;
    fastcgi_param HTTPS $https if_not_empty;
    fastcgi_param REMOTE_ADDR $remote_addr;
    fastcgi_param SERVER_SOFTWARE nginx;
    fastcgi_pass unix:/run/holdfast/holdfast.sock;
}`,
  lighttpd: `# mod_auth, mod_authn_file and mod_setenv before mod_fastcgi in server.modules
auth.backend = "htpasswd"
auth.backend.htpasswd.userfile = "/etc/lighttpd/holdfast.htpasswd"
$HTTP["url"] =~ "^${path}-/(status|metrics|channels)" {
    auth.require = ( "" => ( "method" => "basic", "realm" => "Holdfast", "require" => "valid-user" ) )
    setenv.add-environment = ( "HOLDFAST_OPERATOR" => "1" )
}`,
  Apache: `<LocationMatch "^${path}-/(status|metrics|channels)">
    AuthType Basic
    AuthName Holdfast
    AuthUserFile /etc/apache2/holdfast.htpasswd
    Require valid-user
    SetEnv HOLDFAST_OPERATOR 1
</LocationMatch>`,
  Caddy: `@operator path ${path}-/status* ${path}-/metrics* ${path}-/channels*
handle @operator {
    basicauth {
        operator HASH        # from: caddy hash-password
    }
    reverse_proxy unix//run/holdfast/holdfast.sock {
        flush_interval -1
        transport fastcgi {
            root /run/holdfast
            env HOLDFAST_OPERATOR 1
        }
    }
}`,
};

const showLines = (server) => {
  const known = Object.keys(lines);
  $("server").replaceChildren(...known.map((name) => element("option", "", name)));
  $("server").value = known.find((name) => server?.toLowerCase().startsWith(name.toLowerCase())) ?? known[0];
  $("lines").textContent = lines[$("server").value];
};
$("server").addEventListener("change", () => ($("lines").textContent = lines[$("server").value]));

let last;

watch(
  (figures) => {
    const { status, channels } = figures;
    $("trouble").hidden = $("refused").hidden = true;
    $("all").hidden = false;
    showState("live");
    const kept = channels.channels.reduce((sum, one) => sum + one.bytes, 0);
    setText("about", `Version ${status.version}, ${status.processes.length === 1 ? "one process" : `${status.processes.length} processes`}`);
    setText("held-of", `on ${number(status.connections)} ${status.connections === 1 ? "connection" : "connections"}`);
    setText("kept", short(status.log.kept));
    setText("kept-of", `messages, ${size(kept)}`);
    sample(status);
    showCharts((last = status));
    showBounds(status, kept);
    showSite(status);
    showIdentity(status);
    showTables(figures);
  },
  (error) => {
    const isRefused = error instanceof Refusal;
    showState(isRefused ? "refused" : "waiting");
    if (isRefused && $("refused").hidden) showLines(error.server);
    $("refused").hidden = !isRefused;
    if (isRefused) $("all").hidden = true;
    $("trouble").hidden = isRefused;
    setText("trouble", `Holdfast cannot be reached (${error.message}). This page keeps trying.`);
  },
);
addEventListener("resize", () => last && showCharts(last));
