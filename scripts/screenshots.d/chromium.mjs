// A headless Chromium by the DevTools protocol over a pipe: no driver, no port.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export const launch = async () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-chromium-"));
  const child = spawn(
    "chromium",
    [
      "--headless=new", "--remote-debugging-pipe", "--disable-gpu", "--no-first-run", "--disable-dev-shm-usage",
      "--disable-background-networking", "--no-proxy-server", "--hide-scrollbars", `--user-data-dir=${directory}`,
      ...(process.getuid() === 0 ? ["--no-sandbox"] : []), "about:blank",
    ],
    { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
  );
  const ended = new Promise((resolve) => child.on("exit", resolve));
  const waiting = new Map();
  let rest = "";
  child.stdio[4].on("data", (data) => {
    const messages = (rest + data).split("\0");
    rest = messages.pop();
    for (const text of messages) {
      const { id, result, error } = JSON.parse(text);
      const [resolve, reject] = waiting.get(id) ?? [];
      waiting.delete(id);
      if (error) reject?.(new Error(error.message));
      else resolve?.(result);
    }
  });
  let last = 0;
  const call = (method, params = {}, sessionId) =>
    new Promise((resolve, reject) => {
      waiting.set(++last, [resolve, reject]);
      child.stdio[3].write(JSON.stringify({ id: last, method, params, sessionId }) + "\0");
    });

  return {
    /** A page as another person's browser; `look` is { width, height, scale, scheme } and perhaps a cookie. */
    async open(url, look) {
      const { browserContextId } = await call("Target.createBrowserContext");
      const { targetId } = await call("Target.createTarget", { url: "about:blank", browserContextId });
      const { sessionId } = await call("Target.attachToTarget", { targetId, flatten: true });
      const to = (method, params) => call(method, params, sessionId);
      const resize = ({ width, height, scale }) =>
        to("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: scale, mobile: scale > 1 });
      await resize(look);
      await to("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: look.scheme }] });
      if (look.cookie) {
        const [name, value] = look.cookie.split("=");
        await to("Network.setCookie", { name, value, url });
      }
      await to("Page.enable");
      await to("Page.navigate", { url });
      const page = {
        async evaluate(expression) {
          const { result, exceptionDetails } = await to("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
          if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description}`);
          return result.value;
        },
        async until(expression) {
          for (let tries = 0; tries < 600; tries++) {
            if (await page.evaluate(expression).catch(() => false)) return;
            await new Promise((resolve) => setTimeout(resolve, 50));
          }
          throw new Error(`waited in vain: ${expression}`);
        },
        /** The window; or all of the page. */
        async picture(file, isWhole) {
          const { data } = await to("Page.captureScreenshot", { captureBeyondViewport: isWhole });
          writeFileSync(file, Buffer.from(data, "base64"));
        },
        resize,
        /** No further request gets through. */
        async offline() {
          await to("Network.enable");
          await to("Network.emulateNetworkConditions", { offline: true, latency: 0, downloadThroughput: -1, uploadThroughput: -1 });
        },
        close: () => call("Target.closeTarget", { targetId }),
      };
      return page;
    },
    async close() {
      call("Browser.close").catch(() => {});
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
};
