// The classic chat's script. See index.html for what it talks to.
"use strict";

const $ = (id) => document.getElementById(id);
const port = new URLSearchParams(location.search).get("poll");
const other = /^\d{1,5}$/.test(port ?? "") ? `${location.protocol}//${location.hostname}:${port}` : "";
// With another port, the cursor cookie travels only with credentials; without it, messages between two polls are lost.
const options = { cache: "no-store", credentials: other ? "include" : "same-origin" };

$("where").textContent = other ? `This page came from ${location.host} and polls ${other}.` : `Polls ${location.host}.`;

const say = ({ nick, message }) => {
  const line = document.createElement("li");
  const name = document.createElement("b");
  name.textContent = `${nick}: `;
  line.append(name, message);
  $("messages").append(line);
};

// Anybody may publish anything to the channel: the form's fields, JSON of another shape, text from a shell, bytes.
const read = async (response) => {
  const type = (response.headers.get("Content-Type") ?? "").split(";")[0].trim().toLowerCase();
  const nick = "anonymous";
  if (type.startsWith("text/")) return { nick, message: await response.text() };
  if (type !== "application/json" && !type.endsWith("+json")) return { nick, message: `(${type || "no type"})` };
  const text = await response.text();
  try {
    const data = JSON.parse(text);
    if (typeof data?.message === "string") return { nick: data.nick ? String(data.nick) : nick, message: data.message };
  } catch {
    // shown as it came
  }
  return { nick, message: text };
};

const poll = async () => {
  try {
    const response = await fetch(`${other}/sub`, options);
    // No message arrived in time: 204 or, as on_timeout in the ini file says, an error that nevertheless has a cursor.
    const nothing = response.status === 204 || (response.status === 503 && response.headers.has("Holdfast-Cursor"));
    if (!response.ok && !nothing) throw new Error(`status ${response.status}`);
    if (!nothing) say(await read(response));
    $("state").textContent = "";
    setTimeout(poll, nothing ? 1000 : 0);
  } catch (error) {
    $("state").textContent = `${error.message}; trying again`;
    setTimeout(poll, 1000);
  }
};

const count = async () => {
  try {
    const response = await fetch(`${other}/debug`, options);
    if (response.ok) $("debug").textContent = await response.text();
  } catch {
    // shown by the next one that works
  }
  setTimeout(count, 2000);
};

$("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const body = new URLSearchParams(new FormData(event.target));
  // Cleared at once, so that what is typed while the answer is on its way becomes the next message.
  $("message").value = "";
  try {
    const response = await fetch("/pub", { method: "POST", body });
    const answer = await response.json();
    if (answer.status !== "sent") throw new Error(answer.detail ?? `status ${response.status}`);
    $("state").textContent = "";
  } catch (error) {
    $("state").textContent = `not sent: ${error.message}`;
    $("message").value ||= body.get("message");
  }
});

poll();
count();
