// node linked.mjs CHAT.JS: which part of a text the chat page makes a link, and that its length costs little.
import assert from "node:assert";
import { readFileSync } from "node:fs";

const script = readFileSync(process.argv[2], "utf8");
const source = script.slice(script.indexOf("const linked"), script.indexOf("const bubble"));
const linked = new Function("element", `${source}return linked`)((kind, style, text) => ({ text }));
const parts = (text) => linked(text).map((part) => (part.text ? [part.text] : part));

assert.deepEqual(parts("a (https://b.c/d_(e), or https://b.c)."), ["a (", ["https://b.c/d_(e)"], ",", " or ", ["https://b.c"], ").", ""]);
assert.deepEqual(parts("https://b.c/…!"), ["", ["https://b.c/"], "…!", ""]);
assert.deepEqual(parts("https://"), ["https://"]);

let copies = 0;
const { slice } = String.prototype;
String.prototype.slice = function (...range) {
  copies += 1;
  return slice.apply(this, range);
};
assert.deepEqual(parts(`https://b.c${")".repeat(10_000)}`)[1], ["https://b.c"]);
assert(copies < 10, `${copies} copies`);
