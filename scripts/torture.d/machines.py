"""The work of scripts/torture --machines, which explains it."""
import asyncio
import fcntl
import functools
import os
import random
import signal
import termios
from collections import Counter

import psycopg
from member import Member
from place import Failed, Place, until
from postgresql import PROMOTED_WRONGLY, Cluster, reason_not_to_run
from publishers import (
    ByBatch, ByBusSocket, ByCommandLine, ByHTTP, ByHTTPWithoutKey, ByPipe, ByPipeWithKey, BySQL, BySQLWithoutKey,
)
from verdict import Epochs, SiteLog, Verdict
from wanderer import FIRST, LAST_TEXT, Wanderer

CHANNELS = ("one", "two")
WAYS = (
    ByHTTP, ByHTTP, ByHTTPWithoutKey, ByBatch, ByBusSocket, ByCommandLine, ByPipe, ByPipeWithKey,
    BySQL, BySQL, BySQLWithoutKey,
)
# How long everything may take to reach the end, on a busy machine.
DRAIN_SECONDS = 120


class Torture:
    def __init__(self, options):
        self.options = options
        self.seed = options.seed if options.seed is not None else random.randrange(1_000_000)
        self.place = Place(options.root, options.holdfast, "torture")
        self.counts = Counter()
        self.latencies = Counter()
        self.faults = []
        self.log = SiteLog()
        self.truth = {}
        self.cluster = Cluster(self.place, self.chance("postgresql"), self.counts)
        self.machines = [
            Member(self, number, self.chance(f"machine {number}"))
            for number in range(1, options.machines + 1)
        ]
        self.publishers, self.wanderers, self.pipes = {}, [], []

    def chance(self, name):
        """One for each part, so that the order in which parts run makes no difference."""
        return random.Random(f"{self.seed} {name}")

    async def start(self):
        await self.cluster.start()
        for machine in self.machines:
            await machine.connect()
        script = await self.machines[0].run("engine", "init", "--name", "torture")
        await self.cluster.sql(script)
        await self.cluster.sql("CREATE ROLE node LOGIN; GRANT holdfast_machine TO node")
        await self.cluster.sql("CREATE ROLE shop LOGIN; GRANT holdfast_publisher TO shop")
        for machine in self.machines:
            await machine.run("engine", "join", "--name", machine.name)
        for machine in self.machines:
            await machine.start()
        for machine in self.machines:
            await machine.wait_until_ready()
            # The content of a pipe is kept as long as any process has it open: a supervisor has, when all processes
            # end.
            self.pipes.append(os.open(machine.pipe, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))

    def make_clients(self):
        for number, way in enumerate(WAYS):
            name = f"{way.__name__}{number}"
            first = number % len(self.machines)
            machines = self.machines[first:] + self.machines[:first]
            publisher = way(name, machines, CHANNELS[number % len(CHANNELS)], self.chance(name))
            publisher.options = f"{self.cluster.options} user=shop"
            publisher.errors = f"{self.place.directory}/log/{name}.log"
            self.publishers[name] = publisher
            if isinstance(publisher, ByCommandLine):
                machines[0].users.append(publisher)
        for number in range(self.options.subscribers):
            channels = (CHANNELS, CHANNELS[:1], CHANNELS, CHANNELS[1:])[number // 2 % 4]
            self.wanderers.append(
                Wanderer(
                    number, self.machines, channels, self.truth, self.publishers, self.latencies,
                    self.chance(f"wanderer {number}"),
                )
            )

    async def trouble(self, name, ending, pause, event):
        """Events of one kind, one after the other, at random moments."""
        chance = self.chance(name)
        while not ending.is_set():
            try:
                await asyncio.wait_for(ending.wait(), pause * (0.3 + 1.4 * chance.random()))
            except asyncio.TimeoutError:
                await event(chance)

    async def process_trouble(self, chance):
        machine = chance.choice(self.machines)
        if not machine.busy.locked():
            await machine.renew()

    async def server_trouble(self, _):
        kind = self.cluster.pick()
        if kind != PROMOTED_WRONGLY:
            await self.cluster.trouble(kind)
            return
        async with self.cluster.losing:
            await self.cluster.trouble(kind)
            # Only then do all know whether something was lost.
            for machine in self.machines:
                await until(f"{machine.name} has what is committed", machine.is_level, DRAIN_SECONDS)

    async def machine_trouble(self, machine, chance):
        kind = chance.choices(("cut", "reset", "away", "log"), (6, 2, 2, 2))[0]
        if kind == "cut":
            await machine.cut()
        elif kind == "reset":
            await machine.reset()
        elif kind == "away":
            await machine.be_away([other for other in self.machines if other is not machine])
        else:
            await machine.lose_log()

    async def run(self):
        await self.start()
        self.make_clients()
        # Publishers continue until the last event is over, which may need them.
        ending, published = asyncio.Event(), asyncio.Event()
        reading = [asyncio.create_task(one.run()) for one in self.wanderers]
        # So that all begin with the first message.
        await until("all subscribers have begun", self.all_have_begun, DRAIN_SECONDS)
        interval = len(WAYS) / self.options.rate
        writing = [asyncio.create_task(one.run(interval, published)) for one in self.publishers.values()]
        troubling = [
            asyncio.create_task(self.trouble(*words))
            for words in (
                ("processes", ending, 1.5, self.process_trouble),
                ("servers", ending, 2, self.server_trouble),
                *((one.name, ending, 6, functools.partial(self.machine_trouble, one)) for one in self.machines),
            )
        ]
        # A task that fails ends the run.
        timer = asyncio.create_task(asyncio.sleep(self.options.seconds))
        await asyncio.wait([timer, *writing, *troubling, *reading], return_when=asyncio.FIRST_COMPLETED)
        timer.cancel()
        ending.set()
        await asyncio.gather(*troubling)
        published.set()
        await self.bounded("every publisher has its answer", asyncio.gather(*writing))
        await self.end(reading)

    async def all_have_begun(self):
        return all(one.cursor != FIRST for one in self.wanderers)

    @staticmethod
    async def bounded(what, work):
        try:
            return await asyncio.wait_for(work, DRAIN_SECONDS)
        except asyncio.TimeoutError:
            raise Failed(f"it took too long until {what}") from None

    async def end(self, reading):
        for machine in self.machines:
            await until(f"{machine.name} is ready again", machine.is_ready, DRAIN_SECONDS)
        await self.empty_pipes()
        for channel in CHANNELS:
            await self.bounded("the last messages are there", self.publish_last(channel))
        try:
            await self.bounded("all subscribers have everything", asyncio.gather(*reading))
        except Failed as failure:
            late = [one.number for one in self.wanderers if not one.received.is_complete]
            self.faults.append(f"{failure}: not {late[:10]}, {len(late)} in all")
            for task in reading:
                task.cancel()
            await asyncio.gather(*reading, return_exceptions=True)
        await self.check_rest()
        for machine in self.machines:
            if not await machine.stop():
                self.faults.append(f"a process of {machine.name} did not end with status 0 after SIGTERM")
        await self.judge()

    async def empty_pipes(self):
        """Lines of a pipe are published when there is room for them; then only what comes last is last."""
        async def are_empty():
            # A line is in it until it is committed.
            return not any(any(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))) for pipe in self.pipes)

        await until("the pipes are empty", are_empty, DRAIN_SECONDS)

    async def publish_last(self, channel):
        name, number = LAST_TEXT.split()
        await ByHTTP(name, self.machines, channel, self.chance(name)).publish(int(number))

    async def check_rest(self):
        """Nothing is held for departed clients, and nothing waits in PostgreSQL."""
        for machine in self.machines:
            async def is_at_rest(machine=machine):
                try:
                    status = await machine.status()
                except Failed:
                    # The process that serves the bus socket has just been renewed.
                    return False
                return status["held"] == status["interests"] == 0

            try:
                await until(f"{machine.name} holds nothing any more", is_at_rest, 60)
            except Failed as failure:
                self.faults.append(str(failure))
        for machine in self.machines:
            try:
                await until(f"{machine.name} has all of the engine's groups", machine.is_level, 60)
            except Failed as failure:
                self.faults.append(str(failure))
        for what, query in (
            ("messages in the outbox", "SELECT count(*) FROM holdfast.outbox"),
            ("prepared transactions", "SELECT count(*) FROM pg_prepared_xacts"),
        ):
            if count := (await self.cluster.sql(query))[0][0]:
                self.faults.append(f"PostgreSQL has {count} {what}")
        members = {row[0] for row in await self.cluster.sql("SELECT id FROM holdfast.machines")}
        for machine in self.machines:
            if machine.id not in members:
                self.faults.append(f"{machine.name} is no member of the site")

    async def judge(self):
        epochs = Epochs(
            await self.cluster.sql(
                "SELECT name, start, coalesce(told >= start, false) FROM holdfast.epochs ORDER BY number"
            )
        )
        head = (await self.cluster.sql("SELECT last_offset FROM holdfast.head"))[0][0]
        logs, ends = {}, set()
        for machine in self.machines:
            logs[machine.name], end = self.log.read(machine)
            ends.add(end)
        if len(ends) != 1:
            self.faults.append(f"the machines end at different groups: {sorted(row and row[0] for row in ends)}")
        verdict = Verdict(self.log.messages, self.log.changed, epochs, head, has_lost=self.counts[PROMOTED_WRONGLY] > 0)
        verdict.check_log()
        verdict.check_machines(logs)
        acknowledged = repeats = unknown = void = 0
        for publisher in self.publishers.values():
            certain, repeated = verdict.check_publisher(publisher)
            acknowledged += certain
            repeats += repeated
            unknown += len(publisher.unknown)
            void += len(publisher.void)
        verdict.check_truth(self.truth)
        for one in self.wanderers:
            verdict.check_received(one.number, one.received)
        self.faults += verdict.faults
        self.report(acknowledged, repeats, unknown, void, verdict)

    def report(self, acknowledged, repeats, unknown, void, verdict):
        def total(value):
            return sum(map(value, self.wanderers))

        gaps = Counter(gap for one in self.wanderers for gap in one.received.gaps)

        def percentile(share):
            """Milliseconds."""
            left = share * sum(self.latencies.values())
            for milliseconds, count in sorted(self.latencies.items()):
                left -= count
                if left <= 0:
                    return milliseconds
            return float("nan")

        options = self.options
        machines = f"{options.machines} machines of {options.processes} processes behind an nginx each"
        print(f"seed {self.seed}, {options.seconds} s, {machines}, a PostgreSQL with two standbys,")
        print(f"{len(WAYS)} publishers, {len(self.wanderers)} subscribers; load {os.getloadavg()[0]:.1f} at the end")
        for what, count in sorted(self.counts.items()):
            print(f"{what:<44}{count:8}")
        for what, count in (
            ("messages acknowledged", acknowledged),
            ("… of unknown outcome, or rolled back", f"{unknown}, {void}"),
            ("requests and transactions repeated", sum(one.retries for one in self.publishers.values())),
            ("messages in the log", len(verdict.messages)),
            ("lines of a pipe without a key there twice", repeats),
            ("epochs begun", len(verdict.epochs.starts) - 1),
            ("… of which told of a loss", len(verdict.epochs.losses)),
            ("deliveries", total(lambda one: one.received.count)),
            ("… of messages that a server lost later", verdict.lost),
            ("acknowledged messages that a server lost", verdict.lost_acknowledged),
            ("moves to another machine, naps", f"{total(lambda one: one.moves)}, {total(lambda one: one.naps)}"),
            ("failed requests, repeated with the cursor", total(lambda one: one.failures)),
            ("gaps told", ", ".join(f"{count} {gap}" for gap, count in sorted(gaps.items())) or 0),
        ):
            print(f"{what:<44}{count:>8}")
        print(
            f"to delivery, with outages and naps: {percentile(0.5)} ms median, {percentile(0.99)} ms 99th percentile, "
            f"{percentile(1)} ms most"
        )

    async def close(self, is_kept):
        for publisher in self.publishers.values():
            publisher.leave()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for _ in range(30):
            if not others:
                break
            # More than once: what ends in the same moment as a time-out takes no notice.
            for task in others:
                task.cancel()
            _, others = await asyncio.wait(others, timeout=1)
        for pipe in self.pipes:
            os.close(pipe)
        # Those that connect end before what they connect to.
        servers = [server.process for server in self.cluster.servers]
        relays = [machine.relay for machine in self.machines]
        others = [one for one in self.place.processes if one not in servers + relays]
        await asyncio.gather(*map(self.place.end, others))
        await self.cluster.stop()
        await self.place.close(is_kept)


async def run(options):
    reason = reason_not_to_run()
    if reason is not None:
        print(f"SKIPPED, several machines: {reason}.")
        return 0
    torture = Torture(options)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    has_ended = False
    try:
        await torture.run()
        has_ended = True
    except (Failed, psycopg.Error) as failure:
        torture.faults.append(f"the run came to no end: {failure}")
        has_ended = True
    except asyncio.CancelledError:
        # No one waits for its result.
        has_ended = True
        raise
    finally:
        await torture.close(options.keep or not has_ended or bool(torture.faults))
    for fault in torture.faults[:20]:
        print(f"WRONG: {fault}")
    print(f"{len(torture.faults)} faults")
    return 1 if torture.faults else 0
