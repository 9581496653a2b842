// Uses holdfast.js in Node, and without the global crypto, as in Node 18: node client.mjs MODULE BASE TRANSPORT
// Publishes, subscribes, prints what comes, and ends by itself once all is closed.
import { pathToFileURL } from "node:url";

const [module, base, transport] = process.argv.slice(2);
delete globalThis.crypto;
const { leave, publish, subscribe } = await import(pathToFileURL(module));
const options = { base, transport };

await publish("news", "before", options);
await new Promise((resolve) => {
  subscribe("news", {
    message({ data, type }) {
      console.log(type ?? "message", JSON.stringify(data));
      if (data === "end") resolve();
    },
    async state(state, info) {
      if (state !== "live") return;
      console.log("live", info.transport);
      await publish("news", { n: 1 }, { ...options, type: "number" });
      await publish("news", "end", options);
    },
  }, { ...options, since: "last:1" });
});
try {
  await publish("no/../channel", "x", options);
} catch (error) {
  console.log(error.constructor.name);
}
leave();
