// Subscribes with a function that makes tokens of two seconds, until it was asked for four of them:
// node tokenclient.mjs MODULE BASE TRANSPORT SECRET
// Prints what came in the wrong order or as a gap, states that are not expected, and "done".
import crypto from "node:crypto";
import { pathToFileURL } from "node:url";

const [module, base, transport, secret] = process.argv.slice(2);
const { leave, publish, subscribe } = await import(pathToFileURL(module));
const encode = (value) => Buffer.from(value).toString("base64url");
const made = (seconds) => {
  const claims = {
    exp: Math.ceil(Date.now() / 1000) + seconds,
    holdfast: { read: "user/1", publish: "user/1" },
  };
  const signed = encode('{"alg":"HS256"}') + "." + encode(JSON.stringify(claims));
  return signed + "." + crypto.createHmac("sha256", secret).update(signed).digest("base64url");
};

let calls = 0, next = 0;
const token = async () => {
  calls += 1;
  return made(2);
};
const send = (data) => publish("user/1", data, { base, token: made(60) });
await new Promise((resolve) => {
  subscribe("user/1", {
    message({ data }) {
      if (data === "end") return resolve();
      if (data !== next++) console.log("got", data, "for", next - 1);
      setTimeout(() => send(calls < 4 ? next : "end"), 50);
    },
    gap: (gap) => console.log("gap", gap),
    state(state, info) {
      if (state === "refused") console.log(state, info.problem);
      if (state === "live" && next === 0) send(0);
    },
  }, { base, transport, token });
});
console.log("done");
leave();
