// node take.mjs BASE DIRECTORY SECONDS: makes some traffic for as long, and takes the pictures.
import { join } from "node:path";
import { launch } from "./chromium.mjs";

const [base, directory, seconds] = process.argv.slice(2);
const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

for (let tries = 0; ; tries++) {
  if (await fetch(base + "-/ready").then(({ ok }) => ok, () => false)) break;
  if (tries === 300) throw new Error("nobody answers");
  await pause(0.1);
}

// ---- Traffic

const channels = ["news/sport", "news/weather", "jobs/42", "prices/eur", "prices/chf"];
let isOver = false;

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

const talk = [
  ["Ann", "Is the build green again?"],
  ["Bob", "Since ten minutes. The disk was full, and the log trimmed itself."],
  ["Bob", "Nobody noticed, but for one gap on the status page."],
  ["Zoë", "Then I try the new page now: <script>alert('text stays text')</script>"],
  ["Ann", "Works behind lighttpd, too, and on the train: it was offline for two minutes and missed nothing."],
  ["Zoë", "Good. Lunch?"],
];
for (const [nick, message] of talk) {
  await fetch(base + "chat", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ nick, message }) });
}
const traffic = [...Array(60).keys()].map(poll).concat(publish());

// ---- Pictures

const browser = await launch();
const wide = { width: 1280, height: 860, scale: 1 }, phone = { width: 390, height: 844, scale: 2 };
const looks = { wide, phone };
const live = "document.getElementById('state').dataset.state === 'live'";

const named = async (nick, look) => {
  const page = await browser.open(base + "-/chat", look);
  await page.until(live);
  await page.evaluate(`document.getElementById("nick").value = "${nick}"; document.getElementById("nick").dispatchEvent(new Event("change")); sessionStorage.clear(); location.reload()`);
  await page.until(`${live} && document.getElementById("here-names").textContent.includes("${nick}") && document.querySelectorAll(".message").length >= ${talk.length}`);
  return page;
};

const others = [await named("Bob", { ...wide, scheme: "light" }), await named("Zoë", { ...wide, scheme: "light" })];
const pages = [];
for (const [size, look] of Object.entries(looks)) {
  for (const scheme of ["light", "dark"]) {
    const name = (page, part = "") => join(directory, `${page}-${size}-${scheme}${part}.png`);
    const chat = await named("Ann", { ...look, scheme });
    await chat.picture(name("chat"));
    await chat.close();
    const empty = await browser.open(base + "-/chat?channel=empty", { ...look, scheme });
    await empty.until(live);
    await empty.picture(name("chat", "-empty"));
    await empty.close();
    const console = await browser.open(base + "-/console", { ...look, scheme });
    await console.until("document.readyState === 'complete'");
    await console.evaluate("document.getElementById('form').value = 'text/event-stream'; document.querySelector('#subscribe [type=submit]').click()");
    await console.until("document.body.innerText.includes('event: hello')");
    await console.evaluate("document.getElementById('to').value = 'news/sport'; document.querySelector('#publish [type=submit]').click()");
    await console.until("document.body.innerText.includes('201 Created')");
    await console.picture(name("console"), true);
    await console.close();
    pages.push([await browser.open(base + "-/status", { ...look, scheme }), name]);
  }
}
await pause(seconds);
for (const [page, name] of pages) {
  await page.until(live);
  await page.picture(name("status"));
  await page.picture(name("status", "-whole"), true);
}
isOver = true;
for (const page of others) await page.close();
await browser.close();
await Promise.all(traffic);
