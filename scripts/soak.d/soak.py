"""The work of scripts/soak, which explains it."""
import argparse
import asyncio
import random
import sys
from collections import Counter

from churn import Churner
from place import Failed, Place, until
from responder import Responder
from servers import KINDS, Server

ROUNDS = 6
# These rounds set up what is set up only once, and warm the allocator.
WARMING_ROUNDS = 2
WARMING_SECONDS = 20
MESSAGES_PER_SECOND = 20
CHANNELS = [f"soak/{number}" for number in range(8)]


class Figures:
    """What Holdfast holds while there are no clients."""

    def __init__(self, responder, status):
        self.held = status["held"]
        self.interests = status["interests"]
        # A server may keep idle connections.
        self.descriptors = len(responder.descriptors()) - status["connections"]
        self.memory = responder.memory()


async def publish(responder, chance):
    """Small messages on all channels, which release some of the waiting clients."""
    while True:
        await responder.publish(chance.choice(CHANNELS), "x" * chance.randrange(1, 200))
        await asyncio.sleep(1 / MESSAGES_PER_SECOND)


class Soak:
    def __init__(self, options):
        self.options = options
        self.place = Place(options.root, options.holdfast, "soak")
        self.responder = Responder(
            self.place,
            "[allow **]\nread = everyone\npublish = everyone\n"
            # Ends everything that can end within a round.
            "[hold]\nmax_wait = 3s\nprobe_interval = 1s\nheartbeat = 1s\nstream_life = 3s\n"
            "[limits]\nunsent_timeout = 1s\n[retain **]\ncount = 100\n[retain large]\nbytes = 2M\n",
            # The log is small, so that it is full soon and stays full.
            bus_settings="memory_messages = 256\nmemory_bytes = 256k\n",
            environment={"MALLOC_MMAP_THRESHOLD_": "131072"},
        )
        self.servers = [
            Server(self.place, name, self.responder.socket, self.responder.ini) for name in options.servers
        ]
        self.counts = Counter()
        self.ended = {}

    async def run(self):
        seed = self.options.seed if self.options.seed is not None else random.randrange(1_000_000)
        chance = random.Random(seed)
        faults = ["it did not end"]
        try:
            await self.responder.start()
            await self.responder.publish_batch("large", ["x" * 60_000] * 16)
            for channel in CHANNELS:
                for _ in range(100):
                    await self.responder.publish(channel, "x" * 100)
            for server in self.servers:
                await server.start()
            names = ", ".join(f"{server.kind.title} {server.kind.version}" for server in self.servers)
            print(f"seed {seed}, {self.options.seconds} s in {ROUNDS} rounds, through {names}")
            rounds = []
            for number in range(1, ROUNDS + 1):
                seconds = self.options.seconds / ROUNDS
                if number <= WARMING_ROUNDS:
                    seconds = max(seconds, WARMING_SECONDS)
                # Twice as many clients at first, so that no later round needs more at a time.
                crowd = self.options.clients * (2 if number <= WARMING_ROUNDS else 1)
                await self.churn(chance, crowd, asyncio.get_running_loop().time() + seconds)
                rounds.append(await self.rest())
                print(
                    f"round {number}: {sum(self.counts.values())} clients so far; at rest {rounds[-1].held} held, "
                    f"{rounds[-1].descriptors} descriptors, {rounds[-1].memory} kB resident"
                )
            self.ended = {why: count for why, count in (await self.responder.status())["ended"].items() if count}
            faults = self.compare(rounds[WARMING_ROUNDS - 1], rounds[-1])
        finally:
            await self.place.close(self.options.keep or bool(faults))
        print("clients: " + ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items())))
        print("holds ended: " + ", ".join(f"{count} {why}" for why, count in self.ended.items()))
        for fault in faults:
            print(f"LEAKED: {fault}")
        return 1 if faults else 0

    async def churn(self, chance, crowd, end):
        churners = [
            Churner(server, version, random.Random(chance.random()), CHANNELS, self.counts)
            for server in self.servers
            for version in ("1.1", "2")
            if version == "1.1" or server.kind.has_http2
            for _ in range(crowd)
        ]
        publishing = asyncio.create_task(publish(self.responder, chance))
        working = asyncio.gather(*(one.run(end) for one in churners))
        await asyncio.wait([publishing, working], return_when=asyncio.FIRST_COMPLETED)
        if publishing.done():
            working.cancel()
            publishing.result()
        await working
        publishing.cancel()

    async def rest(self):
        """Waits until all are released, at most as long as that should take; returns the figures."""
        kept = sum(4 * self.options.clients for server in self.servers if server.keeps_connections)

        async def is_at_rest():
            status = await self.responder.status()
            return status["held"] == status["interests"] == 0 and status["connections"] <= kept

        try:
            await until("all are released", is_at_rest)
        except Failed:
            # What was left is a finding, not a failure.
            pass
        return Figures(self.responder, await self.responder.status())

    def compare(self, first, last):
        faults = []
        if last.held or last.interests:
            faults.append(f"{last.held} held requests, {last.interests} interests")
        if last.descriptors > first.descriptors:
            faults.append(f"{last.descriptors - first.descriptors} descriptors: {self.responder.descriptors()}")
        if last.memory > first.memory * (1 + self.options.percent / 100):
            faults.append(f"{last.memory - first.memory} kB of memory, of {first.memory} kB after round {WARMING_ROUNDS}")
        return faults


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--servers", default="nginx,lighttpd,apache")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--percent", type=float, default=1)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    options.servers = options.servers.split(",")
    for name in options.servers:
        if name not in KINDS:
            raise SystemExit(f"soak: no server '{name}'; there are {', '.join(KINDS)}")
    try:
        return asyncio.run(Soak(options).run())
    except Failed as problem:
        print(f"soak: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
