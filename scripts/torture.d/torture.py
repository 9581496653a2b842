"""The work of scripts/torture, which explains it."""
import argparse
import asyncio
import os
import random
import signal
import sqlite3
import sys
from collections import Counter

from place import Place, free_ports, has_web_group
from publishers import ByBusSocket, ByCommandLine, ByHTTP, ByPipe, ByPipeWithKey
from subscriber import Subscriber

# A subscriber that receives nothing for this long after the end will receive nothing more.
DRAIN_SECONDS = 30


class Site(Place):
    """Several Holdfasts that share a bus, behind nginx."""

    def __init__(self, options):
        super().__init__(options.root, options.holdfast, "torture")
        self.ini = f"{self.directory}/holdfast.ini"
        self.bus_socket = f"{self.directory}/bus.sock"
        self.pipe = f"{self.directory}/bus.pipe"
        self.responders = [None] * options.processes
        self.nginx = None
        self.port, self.second, self.third = free_ports(3)
        self.write_ini()

    def write_ini(self):
        group = "group = www-data\n" if has_web_group() else ""
        self.write(
            "holdfast.ini",
            f"[fastcgi]\nlisten = {self.socket(0)}\n{group}"
            f"[bus]\ndirectory = {self.directory}/bus\nsocket = {self.bus_socket}\n"
            f"[pipe {self.pipe}]\nmode = 0660\n"
            "[retain **]\ncount = 10000000\n"
            "[allow **]\nread = everyone\npublish = everyone\n",
        )

    def socket(self, index):
        return f"{self.directory}/{index}.sock"

    async def start_responder(self, index):
        self.responders[index] = await self.start(
            f"holdfast-{index}", self.holdfast, "serve", "--config", self.ini, "--listen", self.socket(index)
        )

    async def kill_responder(self, index):
        self.responders[index].send_signal(signal.SIGKILL)
        await self.responders[index].wait()

    async def renew_responder(self, index, chance, counts):
        """Lets a newer process take over, and perhaps kills one of the two at any moment of that.

        Returns a sentence if neither of them serves afterwards, although that was not its own doing.
        """
        older = self.responders[index]
        newer = await self.start(
            f"holdfast-{index}", self.holdfast, "serve", "--config", self.ini, "--listen", self.socket(index),
            "--take-over",
        )
        victim = chance.choice([None, newer, older])
        if victim is not None:
            # Reading the ini file and opening the log take most of this, the hand-over itself some milliseconds.
            await asyncio.sleep(chance.random() ** 2 * 0.25)
            if victim.returncode is None:
                victim.send_signal(signal.SIGKILL)
                await victim.wait()
        try:
            if victim is None:
                # It may be refused: while it is busy, say.
                await asyncio.wait_for(
                    asyncio.wait({asyncio.create_task(one.wait()) for one in (older, newer)},
                                 return_when=asyncio.FIRST_COMPLETED), 20)
            elif victim is newer:
                # The older one ends only if it has handed over before.
                await asyncio.sleep(0.2)
        except asyncio.TimeoutError:
            return f"process {index}: after 20 s there are two processes, or none"
        counts["handed over" if victim is None else "newer killed" if victim is newer else "older killed"] += 1
        if newer.returncode is None:
            if older.returncode not in (None, 0, -signal.SIGKILL):
                return f"process {index}: the older one has ended with {older.returncode}"
            if older.returncode is None:
                return f"process {index}: both serve"
            self.responders[index] = newer
        elif older.returncode is not None:
            if victim is newer and older.returncode == 0:
                # It was killed once it had everything, as any process may be.
                counts["newer killed when it had everything"] += 1
                await self.start_responder(index)
            else:
                return f"process {index}: nobody serves; newer {newer.returncode}, older {older.returncode}"
        elif victim is None:
            counts["refused"] += 1
        return None

    async def start_nginx(self):
        # nginx asks a killed responder again at once, and another one in its place.
        servers = " ".join(
            f"server unix:{self.socket(index)} max_fails=0;" for index in range(len(self.responders))
        )
        text = self.derived(
            "nginx.conf", "--directory", self.directory, "--descriptors", 2048,
            "--port", self.port, "--second", self.second, "--http2", self.third,
            "--replace", "server unix:/run/holdfast/holdfast.sock;", servers,
        )
        path = self.write("nginx.conf", text)
        self.nginx = await self.start(
            "nginx", "nginx", "-p", self.directory, "-e", f"{self.directory}/log/error.log",
            "-c", path, "-g", "daemon off;",
        )

    async def wait_until_ready(self):
        for _ in range(600):
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write(b"GET /push/-/ready HTTP/1.0\r\n\r\n")
                answer = await reader.read()
                writer.close()
                if b" 200 " in answer.split(b"\r\n")[0] and os.path.exists(self.bus_socket):
                    return
            except OSError:
                pass
            await asyncio.sleep(0.05)
        raise SystemExit("Holdfast does not become ready; see " + self.directory)

    async def stop(self):
        """Sends SIGTERM; returns whether all ended as they should."""
        statuses = [await self.end(process) for process in self.responders + [self.nginx] if process is not None]
        return all(status == 0 for status in statuses)


async def kill_some(place, chance, ending, kills, counts, faults):
    """Every second, kills one process and starts it again at once, or lets a newer one take over from it."""
    while not ending.is_set():
        try:
            await asyncio.wait_for(ending.wait(), 1)
        except asyncio.TimeoutError:
            index = chance.randrange(len(place.responders))
            if chance.random() < 0.6:
                fault = await place.renew_responder(index, chance, counts)
                if fault is not None:
                    faults.append(fault)
                    return
                continue
            kills[index] += 1
            await place.kill_responder(index)
            await place.start_responder(index)


def check(subscriber, publishers):
    """The problems with what one subscriber received, as sentences, and the number of pipe lines received twice."""
    faults = [f"was told of a gap: {gap}" for gap in subscriber.gaps]
    numbers = {name: [] for name in publishers}
    for text in subscriber.seen:
        name, number = text.split(" ")
        numbers[name].append(int(number))
    repeats = 0
    for name, publisher in publishers.items():
        found = numbers[name]
        if type(publisher) is ByPipe:
            # Repeated lines are left out; the rest must be complete and in order.
            first = list(dict.fromkeys(found))
            repeats += len(found) - len(first)
            found = first
        if found != list(range(1, publisher.acknowledged + 1)):
            missing = set(range(1, publisher.acknowledged + 1)) - set(found)
            twice = [number for number, count in Counter(found).items() if count > 1]
            faults.append(
                f"{name}: {len(found)} messages for {publisher.acknowledged} acknowledged; missing "
                f"{sorted(missing)[:5]}, twice {twice[:5]}, in order: {found == sorted(found)}"
            )
    return faults, repeats


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


async def run(options):
    seed = options.seed if options.seed is not None else random.randrange(1_000_000)
    chance = random.Random(seed)
    place = Site(options)
    ways = (ByHTTP, ByHTTP, ByHTTP, ByBusSocket, ByCommandLine, ByPipe, ByPipeWithKey)
    publishers = {}
    for number, way in enumerate(ways):
        name = f"{way.__name__}{number}"
        publishers[name] = way(name, place)
    subscribers = [Subscriber(place, number) for number in range(options.subscribers)]
    kills, counts = Counter(), Counter()
    faults = []
    try:
        await asyncio.gather(*(place.start_responder(index) for index in range(options.processes)))
        await place.start_nginx()
        await place.wait_until_ready()
        published, drained = asyncio.Event(), asyncio.Event()
        reading = [asyncio.create_task(one.run(publishers, drained)) for one in subscribers]
        interval = len(ways) / options.rate
        writing = [asyncio.create_task(one.run(interval, published)) for one in publishers.values()]
        killing = asyncio.create_task(kill_some(place, chance, published, kills, counts, faults))
        # A task that fails ends the run.
        await asyncio.wait(
            [asyncio.create_task(asyncio.sleep(options.seconds)), *writing, *reading],
            return_when=asyncio.FIRST_COMPLETED,
        )
        published.set()
        await killing
        await asyncio.gather(*writing)
        total = sum(one.acknowledged for one in publishers.values())
        for _ in range(DRAIN_SECONDS * 10):
            if all(len(set(one.seen)) >= total for one in subscribers):
                break
            await asyncio.sleep(0.1)
        drained.set()
        await asyncio.wait_for(asyncio.gather(*reading), 40)

        repeats = 0
        for one in subscribers:
            wrong, repeats = check(one, publishers)
            faults += [f"subscriber {one.number} {sentence}" for sentence in wrong]
        orders = len({tuple(one.ids) for one in subscribers})
        if orders != 1:
            faults.append(f"{orders} different orders among {len(subscribers)} subscribers")
        if not await place.stop():
            faults.append("a process did not end with status 0 after SIGTERM")
        log = sqlite3.connect(f"file:{place.directory}/bus/log.sqlite?mode=ro", uri=True)
        integrity = log.execute("PRAGMA integrity_check").fetchone()[0]
        kept = log.execute("SELECT count(*) FROM messages").fetchone()[0]
        log.close()
        if integrity != "ok":
            faults.append(f"the log's integrity check says {integrity}")
        latencies = [latency for one in subscribers for latency in one.latencies]
        print(f"seed {seed}, {options.seconds} s, {options.processes} processes behind nginx")
        print(f"kills with -9           {sum(kills.values())}, {dict(sorted(kills.items()))} by process")
        print(f"hand-overs              {sum(counts.values())}, {dict(sorted(counts.items()))}")
        for name, one in publishers.items():
            print(f"acknowledged            {one.acknowledged:6} {name}, {one.retries} repeated requests")
        print(f"messages in the log     {kept:6}, integrity {integrity}")
        print(f"deliveries              {sum(len(one.seen) for one in subscribers):6} to {len(subscribers)} subscribers")
        print(f"answers                 {sum(one.answers for one in subscribers):6}")
        print(f"failed polls            {sum(one.failures for one in subscribers):6}, repeated with the same cursor")
        print(f"repeated pipe lines     {repeats:6}, allowed where they have no key")
        print(f"gaps                    {sum(len(one.gaps) for one in subscribers):6}")
        print(
            f"to delivery             {percentile(latencies, 0.5) * 1000:.1f} ms median, "
            f"{percentile(latencies, 0.99) * 1000:.0f} ms 99th percentile, {max(latencies, default=0):.1f} s most"
        )
    finally:
        await place.close(options.keep or bool(faults))
    for fault in faults[:20]:
        print(f"WRONG: {fault}")
    print(f"{len(faults)} faults")
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--subscribers", type=int, default=200)
    parser.add_argument("--rate", type=float, default=15)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep", action="store_true")
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
