// node take.mjs BASE DIRECTORY SECONDS: makes some traffic for as long, and takes the pictures.
import { createHmac } from "node:crypto";
import { join } from "node:path";
import { launch } from "./chromium.mjs";

const [base, directory, seconds] = process.argv.slice(2);
const site = new URL("../", base).href;
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

for (let tries = 0; ; tries++) {
  if (await fetch(base + "-/ready").then(({ ok }) => ok, () => false)) break;
  if (tries === 300) throw new Error("nothing answers");
  await pause(0.1);
}

// ---- Traffic

const channels = ["news/sport", "news/weather", "jobs/43", "prices/eur", "prices/chf"];
let isOver = false;
const over = new AbortController();

const poll = async (number) => {
  for (let since = ""; !isOver; ) {
    const signal = AbortSignal.timeout(Math.round(2000 + Math.random() * 30000)); // some leave
    const query = new URLSearchParams({ wait: 2 + (number % 9), ...(since && { since }) });
    try {
      since = (await (await fetch(`${base}${channels[number % channels.length]}?${query}`, { signal })).json()).cursor;
    } catch {
      since = "";
    }
  }
};

const publish = async () => {
  for (let number = 0; !isOver; number++) {
    const channel = channels[Math.floor(Math.random() * channels.length)];
    await fetch(base + channel, { method: "POST", body: "x".repeat(50 + Math.random() * 900) }).catch(() => {});
    await pause(0.05 + 0.5 * Math.abs(Math.sin(number / 25)));
  }
};

const post = (channel, data, headers = {}) =>
  fetch(base + channel, { method: "POST", headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(data) });

const talk = [
  ["Ann", "Is the build green again?"],
  ["Bob", "Since ten minutes. The disk was full, and the log trimmed itself:\nhttps://ci.example.org/builds/1842"],
  ["Bob", "Nobody noticed, but for one gap on the status page."],
  ["Zoë", "Then I try the new page now: <script>alert('text stays text')</script>"],
  ["Ann", "Works behind lighttpd, too, and on the train: it was offline for two minutes and missed nothing."],
  ["Zoë", "Good. Lunch?"],
];
for (const channel of ["chat", "crowd", "readers"]) {
  for (const [nick, message] of talk) await post(channel, { nick, message }, { Cookie: "write=readers" });
}

const crowd = "Ada,Alexandra,Bao,Björn,Chiara,Dmitri,Elif,Fatima,Gustavo,Hana,Ines,Jan-Willem,Kwame,Lena,Marguerite,Noor,Olu,Priya,Quentin,Rosa,Søren,Tomás,Uma,Vera,Wei,Yusuf".split(",");
const attend = async (name, number) => {
  while (!isOver) {
    const query = new URLSearchParams({ wait: 55, name, subscriber: `one-of-the-crowd-${number}` });
    await fetch(`${base}crowd?${query}`, { signal: over.signal }).then((answer) => answer.text(), () => pause(1));
  }
};
const traffic = [...[...Array(60).keys()].map(poll), publish(), ...crowd.map(attend)];
// The key is that of scripts/screenshots.
const key = createHmac.bind(null, "sha256", "0123456789abcdef0123456789abcdef");
const encode = (data) => Buffer.from(data).toString("base64url");
const token = (claims, head = `${encode('{"alg":"HS256"}')}.${encode(JSON.stringify(claims))}`) => `${head}.${key().update(head).digest("base64url")}`;
const soon = Math.floor(Date.now() / 1000) + 3600;
for (let count = 0; count < 40; count++) await fetch(`${base}private/ann?access_token=${token({ exp: soon, holdfast: { read: ["private/**"] } })}`);
for (const one of [token({ exp: 1 }), token({ exp: soon }).slice(0, -3) + "AAA"]) await fetch(`${base}private/ann?access_token=${one}`);
for (let count = 0; count < 12; count++) {
  const link = `channel=private/ann&expires=${soon + count}`;
  await fetch(`${base}?${link}&signature=${key().update(link).digest("hex")}`);
}
for (let step = 1; step <= 6; step++) await post("jobs/42", { done: step, of: 10 });
await post("notices/ann", { text: "The backup of last night took 42 minutes." });
await post("notices/ann", { text: "The disk of “archive” is 93 % full." }, { "Holdfast-Type": "warning" });
for (const [name, price] of [["CHF", 0.9391], ["EUR", 1], ["GBP", 0.8342], ["USD", 1.0563]]) await post("prices", { name, price }, { Topic: name });

// ---- Pictures

const browser = await launch();
const wide = { width: 1280, height: 860, scale: 1 }, phone = { width: 390, height: 844, scale: 2 };
const live = "document.getElementById('state').dataset.state === 'live'";
const shows = (text) => `document.body.innerText.includes(${JSON.stringify(text)})`;
const click = (selector) => `document.querySelector(${JSON.stringify(selector)}).click()`;
const write = (text) => `document.getElementById("message").value = ${JSON.stringify(text)}; document.getElementById("form").requestSubmit()`;
const open = async (page, look) => {
  const opened = await browser.open(base + page, look);
  await opened.until("document.readyState === 'complete'");
  return opened;
};

const named = async (nick, look, channel = "chat") => {
  const page = await open(`-/chat?channel=${channel}`, look);
  await page.until(live);
  await page.evaluate(`document.getElementById("nick").value = "${nick}"; document.getElementById("nick").dispatchEvent(new Event("change")); sessionStorage.clear(); location.reload()`);
  await page.until(`${live} && document.getElementById("here-names").textContent.includes("${nick}") && document.querySelectorAll(".message").length >= ${talk.length}`);
  return page;
};

/** The states of the pages, each by its name; `take(page, isWhole)` makes the picture. */
const states = {
  async chat(look, take) {
    const page = await named("Ann", look);
    await page.until(shows("3 here"));
    await take(page);
    return page;
  },
  async "chat-first"(look, take) {
    const page = await open("-/chat", look);
    await page.until(`${live} && ${shows("Lunch?")}`);
    await take(page);
    return page;
  },
  async "chat-keyboard"(look, take) {
    if (look.width > 500) return;
    const page = await named("Ann", look);
    await page.resize({ ...look, height: 430 });
    await page.evaluate("document.getElementById('message').focus()");
    await page.until("document.body.classList.contains('short')");
    await take(page);
    return page;
  },
  async "chat-crowd"(look, take) {
    const page = await named("Ann", look, "crowd");
    await page.until(shows("27 here"));
    await take(page);
    return page;
  },
  async "chat-crowd-all"(look, take) {
    const page = await named("Ann", look, "crowd");
    await page.until(shows("27 here"));
    await page.evaluate(click("#here-more"));
    await take(page);
    return page;
  },
  async "chat-empty"(look, take) {
    const page = await open("-/chat?channel=empty", look);
    await page.until(live);
    await take(page);
    return page;
  },
  async "chat-reader"(look, take) {
    const page = await open("-/chat?channel=readers", look);
    await page.until(`${live} && ${shows("not write")} && ${shows("Lunch?")}`);
    await take(page);
    return page;
  },
  async "chat-refused"(look, take) {
    const page = await open("-/chat?channel=closed", look);
    await page.until(`${shows("not open to you")} && ${shows("You cannot write here")}`);
    await take(page);
    return page;
  },
  async "chat-offline"(look, take) {
    const page = await named("Ann", look);
    await page.offline();
    await page.evaluate(`${write("Is anybody there?")}; dispatchEvent(new Event("online"))`);
    await page.until(`${shows("Sending")} && !document.getElementById("retry").hidden`);
    await take(page);
    return page;
  },
  async "chat-failed"(look, take) {
    const page = await named("Ann", look);
    await page.offline();
    await page.evaluate(`${write("Is anybody there?")}; dispatchEvent(new Event("online"))`);
    await page.until(shows("Not sent"));
    await take(page);
    return page;
  },
  async console(look, take) {
    const page = await open("-/console", look);
    await page.evaluate(`document.getElementById("form").value = "text/event-stream"; ${click("#subscribe [type=submit]")}`);
    await page.until(shows("event: hello"));
    await page.evaluate(`document.getElementById("pretty").click(); ${click("#publish [type=submit]")}`);
    await page.until(shows("201 Created"));
    await pause(1);
    await take(page, true);
    return page;
  },
  async index(look, take) {
    const page = await open("", look);
    await take(page);
    return page;
  },
  async status(look, take) {
    const page = await open("-/status", { ...look, cookie: "operator=1" });
    await page.until(live);
    await pause(seconds);
    await page.until(live);
    await take(page);
    return page;
  },
  async "status-whole"(look, take) {
    const page = await open("-/status", { ...look, cookie: "operator=1" });
    await page.until(live);
    await pause(seconds);
    await page.until(live);
    await take(page, true);
    return page;
  },
  async "status-refused"(look, take) {
    const page = await open("-/status", look);
    await page.until(shows("HOLDFAST_OPERATOR"));
    await take(page, true);
    return page;
  },
  async classic(look, take) {
    const page = await browser.open(site, look);
    await page.until("/polling = \\d/.test(document.body.innerText)");
    await page.evaluate("document.getElementById('nick').value = 'Ann'");
    await pause(1); // until it polls
    await post("chat", { nick: "Bob", message: "This page asks for one message at a time." });
    await page.until(shows("one message at a time"));
    await take(page);
    return page;
  },
  ...Object.fromEntries(
    [["progress", "6 of 10"], ["notifications", "93 %"], ["table", "1.06"]].map(([name, text]) => [
      `example-${name}`,
      async (look, take) => {
        const page = await browser.open(`${site}examples/${name}.html`, look);
        await page.until(`${shows(text)} && !${shows("not live")}`);
        await take(page);
        return page;
      },
    ]),
  ),
};

const others = [await named("Bob", { ...wide, scheme: "light" }), await named("Zoë", { ...wide, scheme: "light" })];
for (const [size, look] of Object.entries({ phone, wide })) { // the wide, light ones last: their charts are the fullest
  for (const scheme of ["dark", "light"]) {
    // Each in a browser of its own, one at a time, so that the clients that wait do so together; but those present are counted.
    const together = Object.entries(states).filter(([name]) => name !== "chat");
    const run = async ([name, state]) => {
      const page = await state({ ...look, scheme }, (page, isWhole) => page.picture(join(directory, `${name}-${size}-${scheme}.png`), isWhole));
      await page?.close();
    };
    await run(["chat", states.chat]);
    await Promise.all(together.map(run));
    await pause(3); // until none of these is present
  }
}
isOver = true;
over.abort();
for (const page of others) await page.close();
await browser.close();
await Promise.all(traffic);
