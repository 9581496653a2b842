// What once went wrong with holdfast.js: node regressions.mjs CASE MODULE BASE; prints what it sees.
import { pathToFileURL } from "node:url";

const [name, module, base] = process.argv.slice(2);
const { leave, presence, publish, subscribe } = await import(pathToFileURL(module));
const really = globalThis.fetch;
const list = (prefix, count) => Array.from({ length: count }, (_, number) => `${prefix}/${number}`);

/** Until `count` messages have come; a state's problem does not end it. */
const reader = (channels, options, count = 1) => {
  const made = { got: [], states: [] };
  made.live = new Promise((resolve) => (made.isLive = resolve));
  made.all = new Promise((resolve) => {
    made.subscription = subscribe(channels, {
      message: ({ type, data }) => made.got.push(type ?? data) === count && resolve(made.got),
      state(state, info) {
        made.states.push(state);
        if (state === "live") made.isLive(info.transport);
      },
    }, { base, ...options });
  });
  return made;
};

const refusal = (status, headers) => new Response("{}", { status, headers });

const cases = {
  async "a type called retry"() {
    const one = reader("news", { transport: "sse" }, 3);
    await one.live;
    for (const type of ["retry", "data", "id"]) await publish("news", "x", { base, type });
    console.log((await one.all).join());
  },

  async "too many channels together"() {
    const both = ["a", "b"].map((prefix) => reader(list(prefix, 40)));
    await Promise.all(both.map(({ live }) => live));
    // Each alone is live at times while the union is still refused: until messages come.
    for (const prefix of ["a", "b"]) await publish(`${prefix}/39`, prefix, { base });
    console.log((await Promise.all(both.map(({ all }) => all))).join());
  },

  async "streams refused"() {
    globalThis.fetch = (url, init) =>
      init.headers.Accept === "text/event-stream" ? Promise.resolve(refusal(403)) : really(url, init);
    const one = reader("news");
    console.log(await one.live);
    await publish("news", "x", { base });
    console.log((await one.all).join());
  },

  async "a slow stream"() {
    // Kept back until the reader gives up.
    globalThis.fetch = (url, init) =>
      init.headers.Accept === "text/event-stream"
        ? new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)))
        : really(url, init);
    const one = reader("news");
    console.log(await one.live);
    globalThis.fetch = really;
    const today = Date.now;
    Date.now = () => today() + 301_000;
    const again = new Promise((resolve) => (one.isLive = resolve));
    // Ends the hold, after which a stream is tried.
    await publish("news", "x", { base });
    console.log((await one.all).join());
    console.log(await again);
    await publish("news", "y", { base });
    while (!one.got[1]) await new Promise((resolve) => setTimeout(resolve, 10));
    console.log(one.got[1]);
  },

  async "away"() {
    let times = 0;
    globalThis.fetch = (url, init) =>
      init.headers.Accept === "text/event-stream" && !times++
        ? Promise.resolve(new Response("retry: 20\n", { headers: { "Content-Type": "text/event-stream" } }))
        : really(url, init);
    const states = [];
    let came;
    const message = new Promise((resolve) => (came = resolve));
    await new Promise((resolve) => {
      subscribe("news", {
        message: ({ data }) => came(data),
        state(state, info) {
          states.push(info.transport ?? (info.problem ? `${state}: ${info.problem}` : state));
          if (state === "live") resolve();
        },
      }, { base });
    });
    console.log(states.join());
    await publish("news", "x", { base });
    console.log(await message);
  },

  async "no answer"() {
    const problem = () =>
      new Promise((resolve) => {
        const one = subscribe("news", {
          state(_, info) {
            if (!info.problem) return;
            resolve(info.problem);
            one.close();
          },
        }, { base, transport: "sse" });
      });
    const never = (_, { signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    const timeout = AbortSignal.timeout;
    AbortSignal.timeout = () => timeout.call(AbortSignal, 50);
    globalThis.fetch = never;
    console.log(await problem());
    globalThis.fetch = (url, init) => (init.headers.Accept === "text/event-stream" ? never : really)(url, init);
    console.log(await problem());
  },

  async "caches"() {
    const seen = new Set();
    globalThis.fetch = (url, init) => {
      seen.add(init.cache);
      return really(url, init);
    };
    const one = reader("news");
    await one.live;
    await publish("news", "x", { base });
    await one.all;
    await presence("news", undefined, { base }).catch(() => {});
    console.log([...seen].join());
  },

  async "a list too long for a URL"() {
    for (const transport of ["sse", "poll"]) {
      const one = reader(list("n".repeat(110), 64), { transport });
      console.log(await one.live);
      await publish(`${"n".repeat(110)}/63`, "x", { base });
      console.log((await one.all).join());
      one.subscription.close();
    }
  },

  async "others end no pause"() {
    let count = 0, tried;
    const first = new Promise((resolve) => (tried = resolve));
    globalThis.fetch = (url, init) => {
      if (!init.headers?.["Idempotency-Key"]) return really(url, init);
      count++;
      tried();
      return Promise.resolve(refusal(429, { "Retry-After": "600" }));
    };
    const stop = new AbortController();
    const sent = publish("news", "x", { base, signal: stop.signal }).catch((error) => error);
    await first;
    for (let number = 0; number < 6; number++) {
      const one = reader(`other/${number}`, { name: `${number}` });
      await one.live;
      one.subscription.close();
    }
    console.log(count);
    globalThis.fetch = (_, { signal }) => Promise.reject(signal.reason);
    stop.abort(new Error("enough"));
    console.log((await sent).message);
  },

  async "what can't be sent"() {
    globalThis.fetch = () => console.log("it was tried");
    console.log(await publish("news", "x", { base, topic: "日本" }).catch((error) => error.name));
  },

  async "presence with a stored cursor"() {
    globalThis.localStorage = { getItem: () => "zzzzzzzz-1", setItem() {} };
    let asked = 0;
    globalThis.fetch = (url, init) => {
      if (url.includes("-/presence/")) asked++;
      return really(url, init);
    };
    let seen;
    const joined = new Promise((resolve) => (seen = resolve));
    const ready = new Promise((resolve) =>
      presence("news", (members, change) => (change ? seen(change) : resolve()), { base, persist: "local", name: "Ann" }),
    );
    await ready;
    reader("news", { name: "Bob" });
    const { type, name: who } = await joined;
    console.log(type, who, asked);
  },
};

await cases[name]();
leave();
