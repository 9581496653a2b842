// Holds eventParser of holdfast.js against the HTML standard's rules: node eventparser.mjs MODULE
// Each stream is given whole, byte by byte, and cut at each place. Prints what is wrong.
import { pathToFileURL } from "node:url";

const { eventParser } = await import(pathToFileURL(process.argv[2]));

const cases = [
  ["data: a\n\n", ["message|a|"]],
  ["data:a\n\n", ["message|a|"]],
  ["data:  a\n\n", ["message| a|"]],
  ["data: a\r\n\r\n", ["message|a|"]],
  ["data: a\r\rdata: b\r\r", ["message|a|", "message|b|"]],
  ["data: a\ndata: b\ndata\ndata:\n\n", ["message|a\nb\n\n|"]],
  ["event: x\ndata: a\n\ndata: b\n\n", ["x|a|", "message|b|"]],
  ["event: x\n\ndata: a\n\n", ["message|a|"]],
  ["id: 1\ndata: a\n\ndata: b\n\nid\ndata: c\n\n", ["message|a|1", "message|b|1", "message|c|"]],
  ["id: 1\n\ndata: a\n\n", ["message|a|1"]],
  ["id: a\0b\ndata: a\n\n", ["message|a|"]],
  ["id: ü :x\ndata: a\n\n", ["message|a|ü :x"]],
  [": comment\ndata: a\n:\n\n", ["message|a|"]],
  ["retry: 12\nretry: 1x\nretry:\ndata: a\n\n", ["(retry) 12", "message|a|"]],
  ["event: retry\ndata: 5\n\n", ["retry|5|"]],
  ["data: a: b: c\nunknown: y\nDATA: z\n\n", ["message|a: b: c|"]],
  ["data\n\n", ["message||"]],
  ["data: unfinished\n", []],
  ["data: unfinished", []],
  ["\n\n\r\n:\n\n", []],
  ["data: \u2028\u0085x\n\n", ["message|\u2028\u0085x|"]],
];

const parse = (pieces) => {
  const events = [];
  const take = eventParser(
    (type, data, id) => events.push(`${type}|${data}|${id}`),
    (milliseconds) => events.push(`(retry) ${milliseconds}`),
  );
  pieces.forEach(take);
  return JSON.stringify(events);
};

let wrong = 0;
for (const [text, events] of cases) {
  const expected = JSON.stringify(events);
  const ways = [[text], [...text], ...[...text].map((_, at) => [text.slice(0, at), text.slice(at)])];
  for (const pieces of ways) {
    // A lone CR at the very end may still become CR LF, so that its line waits for more.
    const got = parse(text.endsWith("\r") ? [...pieces, ":"] : pieces);
    if (got === expected) continue;
    wrong += 1;
    console.log(JSON.stringify(pieces), got, expected);
  }
}
process.exit(wrong ? 1 : 0);
