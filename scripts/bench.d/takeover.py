"""Measures what clients notice while newer processes take over: held polls and streams behind nginx, to which messages
come all the time.

usage: takeover.py ROOT HOLDFAST POLLS STREAMS RATE HANDOVERS

Two streams and the polls that fall to it share a channel. Prints figures; exits 1 if a request ended early,
a message was lost, repeated or more than a second late, or a hand-over failed.
"""

import asyncio
import json
import pathlib
import re
import resource
import sys
import time

ROOT, HOLDFAST = sys.argv[1], sys.argv[2]
POLLS, STREAMS, RATE, HANDOVERS = map(int, sys.argv[3:])
sys.path.insert(0, f"{ROOT}/scripts/pylib")

from place import Failed, Place, has_web_group, reserve_ports, until  # noqa: E402

# Seconds between two hand-overs, and before the first.
PAUSE = 4
CHANNELS = max(1, STREAMS // 2)


class Client(asyncio.Protocol):
    """A connection to nginx with one request at a time."""

    def __init__(self, port, channel, scene):
        self.port, self.channel, self.scene = port, channel, scene
        self.buffer = b""
        self.head = None
        self.seen = []
        self.begun = asyncio.get_running_loop().create_future()

    def connection_made(self, transport):
        self.transport = transport
        self.ask()

    def take(self, message):
        number, sent_at = message["data"].split(" ")
        self.seen.append(int(number))
        self.scene.delays.append(time.monotonic() - float(sent_at))

    def connection_lost(self, error):
        if not self.scene.is_over:
            self.scene.early.append(f"connection closed: {error}")

    def data_received(self, data):
        self.buffer += data
        while self.step():
            pass

    def step(self):
        """Takes one piece of the answer; False if it has not come yet."""
        if self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return False
            self.head, self.buffer, self.body = self.buffer[:end].lower(), self.buffer[end + 4 :], b""
            if b" 200 " not in self.head.split(b"\r\n")[0] and not self.scene.is_over:
                self.scene.early.append(self.head.split(b"\r\n")[0].decode())
            found = re.search(rb"content-length: (\d+)", self.head)
            self.left = int(found.group(1)) if found else None
        if self.left is not None:
            if len(self.buffer) < self.left:
                return False
            self.body, self.buffer = self.buffer[: self.left], self.buffer[self.left :]
            self.ended()
            return True
        end = self.buffer.find(b"\r\n")
        if end < 0:
            return False
        size = int(self.buffer[:end], 16)
        if len(self.buffer) < end + size + 4:
            return False
        self.piece(self.buffer[end + 2 : end + 2 + size])
        self.buffer = self.buffer[end + size + 4 :]
        if size == 0:
            self.ended()
        return True


class Poll(Client):
    cursor = "now"

    def ask(self):
        target = f"/push/c{self.channel}?since={self.cursor}&wait=50&n={id(self) % 3}"
        self.transport.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def piece(self, data):
        self.body += data

    def ended(self):
        answer = json.loads(self.body)
        self.head = None
        if answer.get("gap") is not None:
            self.scene.gaps += 1
        if not answer.get("messages") and not self.scene.is_over:
            self.scene.empty += 1
        self.cursor = answer["cursor"]
        for message in answer["messages"]:
            self.take(message)
        if not self.scene.is_over:
            self.ask()


class Stream(Client):
    def ask(self):
        target = f"/push/c{self.channel}?stream=ndjson"
        self.transport.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    def piece(self, data):
        *lines, self.body = (self.body + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            if said["kind"] == "message":
                self.take(said)
            elif said["kind"] == "hello":
                if not self.begun.done():
                    self.begun.set_result(None)
            elif said["kind"] == "gap":
                self.scene.gaps += 1
            elif said["kind"] == "bye" and not self.scene.is_over:
                self.scene.early.append(f"a stream ended: {said['reason']}")

    def ended(self):
        if not self.scene.is_over:
            self.scene.early.append("a stream ended")


class Scene:
    def __init__(self, place):
        self.place = place
        self.early, self.delays, self.gaps, self.empty, self.is_over = [], [], 0, 0, False
        # The numbers that were acknowledged, by channel.
        self.published = [[] for _ in range(CHANNELS)]
        self.next = 0
        self.refused = 0

    async def start(self):
        place = self.place
        self.socket = f"{place.directory}/holdfast.sock"
        group = "group = www-data\n" if has_web_group() else ""
        self.ini = place.write(
            "holdfast.ini",
            f"[fastcgi]\nlisten = {self.socket}\n{group}[bus]\ndirectory = {place.directory}/bus\n"
            f"socket = {place.directory}/bus.sock\nmax_bytes = 64M\n[allow **]\nread = everyone\npublish = everyone\n"
            "[hold]\njitter = 0%\n[limits]\nheld_per_address = any\nchannels = 100000\n",
        )
        self.process = await self.begin()
        await until("Holdfast listens", self.is_listening)
        self.port, second, third = reserve_ports(3)
        text = place.derived(
            "nginx.conf", "--directory", place.directory, "--port", self.port, "--second", second,
            "--http2", third, "--socket", self.socket, "--replace", "worker_processes auto;", "worker_processes 4;",
        )
        self.nginx = await place.start(
            "nginx", "nginx", "-p", place.directory, "-e", f"{place.directory}/log/error.log",
            "-c", place.write("nginx.conf", text), "-g", "daemon off;",
        )
        await until("nginx answers", self.answers)

    def begin(self, *arguments):
        return self.place.start("holdfast", HOLDFAST, "serve", "--config", self.ini, *arguments)

    async def is_listening(self):
        return pathlib.Path(self.socket).exists() and pathlib.Path(f"{self.place.directory}/bus.sock").exists()

    async def answers(self):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.close()
            return True
        except OSError:
            return False

    async def status(self):
        reader, writer = await asyncio.open_unix_connection(f"{self.place.directory}/bus.sock", limit=1 << 20)
        writer.write(b"status\n")
        status = json.loads(await reader.readline())
        writer.close()
        return status

    async def connect(self):
        """All clients, until each of them is held."""
        loop = asyncio.get_running_loop()
        self.clients = []
        for begin in range(0, POLLS + STREAMS, 200):
            made = []
            for number in range(begin, min(begin + 200, POLLS + STREAMS)):
                kind = Stream if number < STREAMS else Poll
                client = kind(self.port, number % CHANNELS, self)
                made.append(loop.create_connection(lambda client=client: client, "127.0.0.1", self.port))
                self.clients.append(client)
            await asyncio.gather(*made)

        async def all_wait():
            return (await self.status())["held"] >= POLLS + STREAMS

        await until("all are held", all_wait, 120)

    async def publish(self, ending, workers, worker):
        """One publisher of several, through nginx."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        begun = time.monotonic()
        count = 0
        while not ending.is_set():
            count += 1
            await asyncio.sleep(max(0, begun + count * workers / RATE - time.monotonic()))
            number, self.next = self.next, self.next + 1
            channel = number % CHANNELS
            body = f"{number} {time.monotonic()}"
            writer.write(
                f"POST /push/c{channel} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head).group(1)))
            if b" 201 " in head.split(b"\r\n")[0] + b" ":
                self.published[channel].append(number)
            else:
                self.refused += 1
        writer.close()

    async def renew(self):
        """A newer process takes over; how long that took, from its start on, in milliseconds."""
        begun = time.monotonic()
        newer = await self.begin("--take-over")
        if await asyncio.wait_for(self.process.wait(), 60) != 0:
            raise Failed("the older process has not ended well")
        self.process = newer
        return (time.monotonic() - begun) * 1000


async def run(place):
    scene = Scene(place)
    await scene.start()
    await scene.connect()
    ending = asyncio.Event()
    publishers = [asyncio.create_task(scene.publish(ending, 4, number)) for number in range(4)]
    whole = []
    for _ in range(HANDOVERS):
        await asyncio.sleep(PAUSE)
        whole.append(await scene.renew())
    await asyncio.sleep(PAUSE)
    ending.set()
    await asyncio.gather(*publishers)
    await asyncio.sleep(2)
    scene.is_over = True
    status = await scene.status()
    held, overdue = status["held"], status["ended"]["deadline"]
    # With so many held, holds become shorter: an answer without a message is one at its deadline, which all processes
    # together have counted.
    scene.early += ["a poll was answered without a message"] * max(0, scene.empty - overdue)
    lost = repeated = misordered = 0
    for client in scene.clients:
        published = scene.published[client.channel]
        lost += len(set(published) - set(client.seen))
        repeated += len(client.seen) - len(set(client.seen))
        misordered += client.seen != sorted(client.seen)
        client.transport.abort()
    log = pathlib.Path(f"{place.directory}/log/holdfast.log").read_text()
    steps = [int(found) for found in re.findall(r"handed over .*?milliseconds=(\d+)", log)]
    building = [int(found) for found in re.findall(r"taken over .*?milliseconds=(\d+)", log)]
    total = sum(len(numbers) for numbers in scene.published)
    late = max(scene.delays, default=0)
    print(f"{POLLS} polls and {STREAMS} streams behind nginx, {CHANNELS} channels, {RATE} messages/s for {PAUSE * (HANDOVERS + 1)} s")
    print(f"hand-overs                                   {HANDOVERS:8}")
    print(f"… from the start of the newer process, ms    {', '.join(f'{one:.0f}' for one in whole):>8}")
    print(f"… while nothing was served, ms               {', '.join(map(str, steps)):>8}")
    print(f"… of which building it up in the newer, ms   {', '.join(map(str, building)):>8}")
    print(f"messages published                           {total:8}")
    print(f"publications refused                         {scene.refused:8}")
    print(f"deliveries                                   {len(scene.delays):8}")
    print(f"requests ended early                         {len(scene.early):8}")
    print(f"polls answered at their deadline             {scene.empty:8}")
    print(f"held in the end                              {held:8}")
    print(f"messages lost                                {lost:8}")
    print(f"messages repeated                            {repeated:8}")
    print(f"clients with another order                   {misordered:8}")
    print(f"gaps                                         {scene.gaps:8}")
    print(f"largest delay, ms                            {late * 1000:8.0f}")
    for sentence in sorted(set(scene.early))[:5]:
        print(f"early: {sentence}")
    return bool(scene.early or lost or repeated or misordered or scene.gaps or late > 1)


async def main():
    place = Place(ROOT, HOLDFAST, "takeover")
    failed = True
    try:
        failed = await run(place)
    finally:
        await place.close(keep=failed)
    return failed


resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
sys.exit(1 if asyncio.run(main()) else 0)
