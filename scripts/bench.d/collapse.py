"""Measures what conf/recipes/nginx-collapse.conf saves and costs: many clients poll one channel through nginx, at
/push/, where each is a held request of Holdfast, and at /public/, where all are one.

usage: collapse.py ROOT HOLDFAST CLIENTS MESSAGES

For each message: all clients wait with the cursor of the one before; the message is published; each takes its answer.
Prints a table. Exits 1 if a client misses a message or gets one twice.
"""

import asyncio
import json
import os
import pathlib
import statistics
import sys
import time

ROOT, HOLDFAST, CLIENTS, MESSAGES = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
sys.path.insert(0, f"{ROOT}/scripts/pylib")

from place import Place, reserve_ports, until  # noqa: E402
from responder import Responder  # noqa: E402
from servers import Server  # noqa: E402

SETTINGS = "[allow public/**]\nread = everyone\npublish = everyone\n[limits]\nheld_per_address = 1000000\n"
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pids):
    """CPU time of these processes, in milliseconds."""
    total = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total * 1000 / TICKS


def workers_of(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(child) for child in children]


class Poller:
    """A client with a connection of its own that polls with the cursor it has."""

    async def open(self, port):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)

    def ask(self, target):
        self.writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def answer(self):
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
        )
        body = json.loads(await self.reader.readexactly(length))
        return time.monotonic(), body


class Scene:
    def __init__(self):
        self.delays, self.requests, self.wrong = [], 0, 0
        self.cpu = {"holdfast": 0.0, "nginx": 0.0}


async def measure(responder, server, port, base):
    """One way of polling; the first message only warms up."""
    scene = Scene()
    pids = {"holdfast": [responder.process.pid], "nginx": workers_of(server.process.pid)}
    pollers = [Poller() for _ in range(CLIENTS)]
    for poller in pollers:
        await poller.open(port)
    pollers[0].ask(f"{base}public/bench")
    cursor = (await pollers[0].answer())[1]["cursor"]
    for number in range(MESSAGES + 1):
        before = {name: cpu(of) for name, of in pids.items()}
        requests = (await responder.status())["requests"]
        for poller in pollers:
            poller.ask(f"{base}public/bench?since={cursor}&wait=50")
        wanted = CLIENTS if base == "/push/" else 1

        async def all_wait():
            return (await responder.status())["held"] >= wanted

        await until("the clients wait", all_wait)
        # nginx has accepted all of them.
        await asyncio.sleep(1)
        published = time.monotonic()
        await responder.publish("public/bench", str(number))
        answers = await asyncio.gather(*(poller.answer() for poller in pollers))
        cursor = answers[0][1]["cursor"]
        for _, body in answers:
            if [message["data"] for message in body["messages"]] != [str(number)] or body["cursor"] != cursor:
                scene.wrong += 1
        if number == 0:
            continue
        scene.delays += [(at - published) * 1000 for at, _ in answers]
        scene.requests += (await responder.status())["requests"] - requests
        for name, of in pids.items():
            scene.cpu[name] += cpu(of) - before[name]
    for poller in pollers:
        poller.writer.close()
    return scene


async def run(place):
    responder = Responder(place, SETTINGS, "max_bytes = 64M\n")
    await responder.start()
    os.chmod(responder.socket, 0o666)
    server = Server(place, "nginx", responder.socket, responder.ini)
    public = reserve_ports(1)[0]
    recipe = place.derived("recipes/nginx-collapse.conf", "--directory", server.directory, "--port", public)
    await server.start("--append", place.write("recipe", recipe))
    scenes = {"/push/": await measure(responder, server, server.port, "/push/")}
    scenes["/public/"] = await measure(responder, server, public, "/public/")
    await server.stop()
    return scenes


def table(scenes):
    def row(what, value):
        print(f"{what:<58}" + "".join(f"{value(scene):>12}" for scene in scenes.values()))

    print(f"{CLIENTS} clients poll one channel; {MESSAGES} messages")
    print(" " * 58 + "".join(f"{name:>12}" for name in scenes))
    row("FastCGI requests for a message", lambda one: f"{one.requests / MESSAGES:.0f}")
    row("CPU of Holdfast for a message, ms", lambda one: f"{one.cpu['holdfast'] / MESSAGES:.1f}")
    row("CPU of nginx for a message, ms", lambda one: f"{one.cpu['nginx'] / MESSAGES:.1f}")
    row("from publish to the client, median, ms", lambda one: f"{statistics.median(one.delays):.0f}")
    row("… 99th percentile", lambda one: f"{statistics.quantiles(one.delays, n=100)[98]:.0f}")
    row("… longest", lambda one: f"{max(one.delays):.0f}")
    row("missed, repeated or wrong", lambda one: f"{one.wrong}")


async def main():
    place = Place(ROOT, HOLDFAST, "collapse")
    try:
        scenes = await run(place)
    finally:
        await place.close(keep=False)
    table(scenes)
    return sum(scene.wrong for scene in scenes.values())


sys.exit(1 if asyncio.run(main()) else 0)
