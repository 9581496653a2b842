"""A subscriber that moves from machine to machine with its cursor, and what it received."""
import array
import asyncio
import json

from subscriber import Subscriber

FIRST = "first"
# The last message of each channel.
LAST_TEXT = "last 0"


def parsed(cursor):
    """The epoch's name and the offset; clients need not know either."""
    epoch, offset = cursor.split("-")
    return epoch, int(offset, 16)


class Run:
    """What was received in one epoch and without a gap: everything after `start` up to `end`."""

    def __init__(self, epoch, start, gap=None):
        self.epoch, self.start, self.end, self.gap = epoch, start, start, gap
        self.offsets = array.array("q")


class Received:
    """All that a subscriber received, and what is obviously wrong with it."""

    def __init__(self, channels, truth):
        """`truth`: channel and text by id, of all that any subscriber received; shared."""
        self.channels, self.truth = channels, truth
        self.runs = [Run(None, 0)]
        self.faults = []
        self.count = 0
        self.gaps = []
        # Channels whose last message is still to come.
        self.awaited = set(channels)

    @property
    def is_complete(self):
        return not self.awaited

    def take(self, cursor, messages, gap=None, resumed=None):
        """An answer, or a line of a stream; `cursor` is after it, `resumed` where it continues after its gap."""
        epoch, end = parsed(cursor)
        if gap is not None:
            self.gaps.append(gap)
            self.runs.append(Run(epoch, parsed(resumed)[1], gap))
        elif epoch != self.runs[-1].epoch:
            self.runs.append(Run(epoch, self.runs[-1].end))
        run = self.runs[-1]
        for message in messages:
            channel, text, offset = message["channel"], message["data"], parsed(message["id"])[1]
            if not run.end < offset <= end:
                self.faults.append(f"got {message['id']} ({text}) after {run.epoch}-{run.end:x}, at {cursor}")
            if channel not in self.channels:
                self.faults.append(f"got {message['id']} of channel {channel}")
            known = self.truth.setdefault(message["id"], (channel, text))
            if known != (channel, text):
                self.faults.append(f"got {message['id']} as {text}, where others got {known[1]}")
            if text == LAST_TEXT:
                self.awaited.discard(channel)
            run.offsets.append(offset)
            run.end = offset
            self.count += 1
        if end < run.end:
            self.faults.append(f"was sent back from {run.epoch}-{run.end:x} to {cursor}")
        run.end = end


class Wanderer:
    def __init__(self, number, machines, channels, truth, publishers, latencies, chance):
        """`latencies`: how often a delivery took each number of milliseconds; shared."""
        self.number, self.machines, self.publishers, self.chance = number, machines, publishers, chance
        self.latencies = latencies
        self.received = Received(channels, truth)
        self.target = "/push/" + ",".join(channels)
        self.machine = chance.choice(machines)
        self.cursor = FIRST
        self.moves = self.failures = self.naps = 0

    async def run(self):
        """Until it has the last message of each channel."""
        while not self.received.is_complete:
            if self.chance.random() < 0.5:
                self.move()
            if self.chance.random() < 0.03 and self.cursor != FIRST:
                # Like a laptop that is closed.
                self.naps += 1
                await asyncio.sleep(self.chance.random() * 10)
            connection = None
            try:
                connection = await asyncio.open_connection("127.0.0.1", self.machine.port, limit=1 << 22)
                await (self.stream if self.number % 2 else self.poll)(*connection)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                await self.fail()
            finally:
                if connection is not None:
                    connection[1].close()

    def move(self):
        other = self.chance.choice(self.machines)
        self.moves += other is not self.machine
        self.machine = other

    async def fail(self):
        self.failures += 1
        self.move()
        await asyncio.sleep(0.05 + self.chance.random() * 0.2)

    async def poll(self, reader, writer):
        """A few polls over one connection."""
        for number in range(self.chance.randint(1, 6)):
            wait = self.chance.choice((0, 1, 5, 5))
            # With a number, so that not all share an answer.
            target = f"{self.target}?wait={wait}&since={self.cursor}&n={self.number % 7}"
            writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            status, body = await asyncio.wait_for(Subscriber.answer(reader), 30)
            if status in (502, 503, 504):
                await self.fail()
                return
            if status != 200:
                self.received.faults.append(f"got the unexpected answer {status} {body[:200]!r}")
                self.received.awaited.clear()
                return
            answer = json.loads(body)
            gap = answer["gap"] or {}
            self.take(answer["cursor"], answer["messages"], gap.get("reason"), gap.get("resumed"))
            if self.received.is_complete:
                return

    async def stream(self, reader, writer):
        target = f"{self.target}?stream=ndjson&since={self.cursor}&n={self.number % 7}"
        writer.write(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        status = int(head.split(b" ", 2)[1])
        if status != 200:
            if status not in (502, 503, 504):
                self.received.faults.append(f"got the unexpected answer {status}")
                self.received.awaited.clear()
            await self.fail()
            return
        loop = asyncio.get_running_loop()
        end = loop.time() + self.chance.random() * 8
        rest = b""
        while not self.received.is_complete and (left := end - loop.time()) > 0:
            try:
                chunk = await asyncio.wait_for(Subscriber.chunk(reader), left)
            except asyncio.TimeoutError:
                return
            if not chunk:
                return
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line:
                    self.take_line(json.loads(line))

    def take_line(self, line):
        kind = line["kind"]
        if kind == "message":
            self.take(line.get("cursor", line["id"]), [line])
        elif kind == "gap":
            self.take(line["cursor"], [], line["reason"], line["cursor"])
        elif "cursor" in line and kind != "bye":
            self.take(line["cursor"], [])

    def take(self, cursor, messages, gap=None, resumed=None):
        now = asyncio.get_running_loop().time()
        self.cursor = cursor
        self.received.take(cursor, messages, gap, resumed)
        for message in messages:
            name, _, number = message["data"].partition(" ")
            publisher = self.publishers.get(name)
            sent_at = publisher and publisher.sent_at.get(int(number))
            if sent_at:
                self.latencies[int((now - sent_at) * 1000)] += 1
