"""The work of scripts/torture, which explains it."""
import argparse
import asyncio
import random
import sqlite3
import sys
from collections import Counter

import machines
from machine import Machine
from place import Failed, Place
from publishers import ByBusSocket, ByCommandLine, ByHTTP, ByPipe, ByPipeWithKey
from subscriber import Subscriber

# A subscriber that receives nothing for this long after the end will receive nothing more.
DRAIN_SECONDS = 30


async def kill_some(machine, chance, ending, kills, counts, faults):
    """Every second, kills one process and starts it again at once, or lets a newer one take over from it."""
    while not ending.is_set():
        try:
            await asyncio.wait_for(ending.wait(), 1)
        except asyncio.TimeoutError:
            index = chance.randrange(len(machine.responders))
            if chance.random() < 0.6:
                fault = await machine.renew_responder(index, chance, counts)
                if fault is not None:
                    faults.append(fault)
                    return
                continue
            kills[index] += 1
            await machine.kill_responder(index)
            await machine.start_responder(index)


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
        if publisher.may_repeat:
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
    place = Place(options.root, options.holdfast, "torture")
    machine = Machine(place, options.processes)
    ways = (ByHTTP, ByHTTP, ByHTTP, ByBusSocket, ByCommandLine, ByPipe, ByPipeWithKey)
    publishers = {}
    for number, way in enumerate(ways):
        name = f"{way.__name__}{number}"
        publishers[name] = way(name, [machine])
    subscribers = [Subscriber(machine, number) for number in range(options.subscribers)]
    kills, counts = Counter(), Counter()
    faults = []
    try:
        await machine.start()
        await machine.wait_until_ready()
        published, drained = asyncio.Event(), asyncio.Event()
        reading = [asyncio.create_task(one.run(publishers, drained)) for one in subscribers]
        interval = len(ways) / options.rate
        writing = [asyncio.create_task(one.run(interval, published)) for one in publishers.values()]
        killing = asyncio.create_task(kill_some(machine, chance, published, kills, counts, faults))
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
        if not await machine.stop():
            faults.append("a process did not end with status 0 after SIGTERM")
        log = sqlite3.connect(f"file:{machine.bus}/log.sqlite?mode=ro", uri=True)
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
    parser.add_argument("--machines", type=int, default=1)
    parser.add_argument("--processes", type=int)
    parser.add_argument("--subscribers", type=int, default=200)
    parser.add_argument("--rate", type=float, default=15)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    if options.processes is None:
        options.processes = 4 if options.machines == 1 else 2
    try:
        return asyncio.run(run(options) if options.machines == 1 else machines.run(options))
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 130
    except Failed as failure:
        print(f"WRONG: {failure}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
