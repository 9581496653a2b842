"""A row of the matrix: one server in front of one Holdfast, and all actions of its clients."""
import asyncio

from cells import HELD_WAYS, IN_TURN_WAYS, UNSENT_SECONDS, Cell
from clients import client
from place import Place
from responder import Responder
from servers import Server
from watch import Watch

# An answer of 2.4 MB, much more than the buffers between Holdfast and a narrow client can hold.
LARGE = ["x" * 60_000] * 40
# The time between the arrival of two clients, so that their endings are apart, too.
APART_SECONDS = 0.06
# How long to wait for an expected event.
PATIENCE_SECONDS = 20
# How often a client tries to leave at the moment that its cell is about: on a busy machine it may be late, when a probe
# is due or something else has ended its request.
ATTEMPTS = 3


class Row:
    def __init__(self, options, name):
        self.options = options
        self.place = Place(options.root, options.holdfast, f"matrix-{name}")
        self.responder = Responder(
            self.place,
            "[allow **]\nread = everyone\npublish = everyone\n"
            f"[hold]\nmax_wait = {options.wait}s\njitter = 0%\nprobe = {options.probe}\n"
            f"probe_interval = {options.interval}s\nheartbeat = {options.interval}s\n"
            f"stream_life = {options.life}s\n"
            f"[limits]\nunsent_timeout = {UNSENT_SECONDS}s\n"
            "answer_bytes = 4M\nbatch_bytes = 4M\nunsent_bytes = 16M\n"
            "[retain **]\nbytes = 8M\n",
            bus_settings="memory_bytes = 1M\n",
            # Memory that the allocator keeps after large answers must not look like Holdfast's own.
            environment={"MALLOC_MMAP_THRESHOLD_": "131072"},
        )
        # With probe = off, the aim is to see what a layer hides.
        self.server = Server(
            self.place, name, self.responder.socket, self.responder.ini, helps=options.probe != "off"
        )
        self.watch = Watch(self.responder)
        versions = ("1.1", "2") if self.server.kind.has_http2 else ("1.1",)
        self.held = [Cell(options, name, *what, version) for version in versions for what in HELD_WAYS]
        self.in_turn = [Cell(options, name, *what, version) for version in versions for what in IN_TURN_WAYS]
        self.clients = []
        self.memory = self.memory_grown = 0
        self.leaks = []

    @property
    def cells(self):
        return self.held + self.in_turn

    @property
    def faults(self):
        leaks = [f"{self.server.name}: leaked {leak}" for leak in self.leaks]
        return leaks + [cell.fault for cell in self.cells if cell.fault]

    async def run(self):
        watching = None
        is_well = False
        try:
            await self.responder.start()
            await self.responder.publish_batch("large", LARGE)
            for cell in self.cells:
                for prefix in ("", "warming/"):
                    await self.responder.publish(prefix + cell.channel, "begin")
            descriptors = self.responder.descriptors()
            await self.server.start()
            watching = asyncio.create_task(self.watch.run())
            working = asyncio.create_task(self.work(descriptors))
            await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
            if watching.done():
                working.cancel()
                watching.result()
            working.result()
            is_well = not self.faults
        finally:
            if watching is not None:
                watching.cancel()
            for one in self.clients:
                await one.end()
            await self.place.close(self.options.keep or not is_well)

    async def work(self, descriptors):
        await self.watch.until(lambda: self.watch.status is not None, PATIENCE_SECONDS)
        # A first pass, for the allocator and everything else that is set up only once.
        for kind, way in IN_TURN_WAYS:
            if way in ("stall", "amid"):
                await self.leave_when_settled(Cell(self.options, self.server.name, kind, way, "1.1", "warming/"))
        self.memory = self.responder.memory()
        tasks = []
        for cell in self.held:
            tasks.append(asyncio.create_task(self.leave_in_time(cell, self.leave_silence)))
            await asyncio.sleep(APART_SECONDS)
        await asyncio.gather(*tasks)
        for cell in self.in_turn:
            await self.leave_in_time(cell, self.leave_when_settled)
        await self.look_for_leaks(descriptors)

    async def leave_in_time(self, cell, act):
        for _ in range(ATTEMPTS):
            cell.seconds, cell.reasons, cell.trouble, cell.was_late = None, set(), None, False
            self.watch.ended_at.pop(cell.channel, None)
            await act(cell)
            if not (cell.was_late and cell.fault):
                return
        cell.trouble = f"the machine is too busy: {cell.text}"

    async def leave_when_settled(self, cell):
        if not await self.settle():
            cell.trouble = "the one before it left something unread"
        elif cell.kind == "stream":
            await self.leave_stream(cell)
        elif cell.way in ("stall", "amid"):
            await self.leave_answer(cell)
        else:
            await self.leave_unread(cell)

    async def settle(self):
        """
        Whether everything of the cell before is over and counted. The counts of connections and of unread answers are
        the process's: a stream whose life has ended, for one, has its connection given up only when it has not read
        its last word for unsent_timeout.
        """
        now = self.now()

        def is_settled():
            status = self.watch.status
            return (
                self.watch.asked_at >= now
                and status["held"] == status["unsent_bytes"] == 0
                # If they are kept, any number may be idle.
                and (self.server.keeps_connections or status["connections"] == 0)
            )

        return await self.watch.until(is_settled, self.options.life + PATIENCE_SECONDS)

    # MARK: Clients

    async def come(self, cell, target, is_narrow=False):
        one = client(cell.version, self.server.client_port(cell.version), is_narrow)
        self.clients.append(one)
        await one.ask(self.server.kind.base + target)
        return one

    async def come_and_be_held(self, cell, is_narrow=False):
        query = "stream=sse" if cell.kind == "stream" else f"wait={self.options.wait}"
        one = await self.come(cell, f"/{cell.channel}?{query}", is_narrow)
        if await self.watch.until(lambda: cell.channel in self.watch.held, PATIENCE_SECONDS):
            return one
        cell.trouble = "was not held"
        return None

    @staticmethod
    def now():
        return asyncio.get_running_loop().time()

    async def see_end_of_hold(self, cell, left_at):
        if await self.watch.until(
            lambda: cell.channel in self.watch.ended_at, self.options.life + PATIENCE_SECONDS
        ):
            cell.seconds = max(0, self.watch.ended_at[cell.channel] - left_at)
            cell.reasons = self.watch.reasons[cell.channel]

    async def leave_silence(self, cell):
        """The client leaves while nothing is sent."""
        began_at = self.now()
        one = await self.come_and_be_held(cell)
        if one is None:
            return
        # Halfway between two probes, so that it does not look as if the previous one had revealed it. An answer has
        # begun by then, if one begins at once.
        half = self.options.interval / 2
        await asyncio.gather(one.receive(1, half), asyncio.sleep(half))
        left_at = self.now()
        cell.was_late = left_at - began_at > half + self.options.interval / 4
        if cell.way != "stall":
            one.leave(cell.way)
        await self.see_end_of_hold(cell, left_at)
        if "probe" in cell.reasons and cell.seconds < self.options.interval / 4:
            # A probe was due at that very moment, so it may not have been the one that revealed it.
            cell.was_late = True

    async def leave_stream(self, cell):
        """The client does not read while many messages are sent, or leaves."""
        given_up = self.given_up
        one = await self.come_and_be_held(cell, is_narrow=True)
        if one is None:
            return
        await one.receive(1, self.options.interval)
        began_at = self.now()
        publishing = asyncio.create_task(self.responder.publish_batch(cell.channel, LARGE))
        await one.receive(20_000, PATIENCE_SECONDS)
        left_at = self.now()
        cell.was_late = left_at - began_at > UNSENT_SECONDS / 2
        if cell.way == "amid":
            one.leave("close")
        await self.see_end_of_hold(cell, left_at)
        if self.given_up > given_up:
            cell.reasons = {"unsent"}
        await publishing

    async def leave_answer(self, cell):
        """The client does not read a large answer, or leaves in the middle of it."""
        given_up = self.given_up
        before = self.watch.status["connections"]
        self.watch.most_connections = before
        publishing = None
        if cell.kind == "poll":
            began_at = self.now()
            one = await self.come(cell, "/large?since=first", is_narrow=True)
        else:
            one = await self.come_and_be_held(cell, is_narrow=True)
            if one is None:
                return
            began_at = self.now()
            publishing = asyncio.create_task(self.responder.publish_batch(cell.channel, LARGE))
        has_begun = await one.receive(2_000, PATIENCE_SECONDS)
        if publishing is not None and not (has_begun and cell.way == "amid"):
            await publishing
        if not has_begun:
            cell.trouble = "nothing of the answer came"
            # The hold of a long-poll may have ended before its messages were published.
            cell.was_late = publishing is not None
            return
        if self.server.keeps_connections:
            # So that its connection is among those that were seen.
            await self.watch.look()
        left_at = self.now()
        if cell.way == "amid":
            one.leave("close")
            cell.was_late = left_at - began_at > UNSENT_SECONDS / 2
        patience = 2 * UNSENT_SECONDS if cell.may_be_taken_whole else PATIENCE_SECONDS

        def has_gone():
            if self.watch.asked_at < left_at:
                return False
            # A kept one may be older.
            connections = self.watch.status["connections"]
            if self.server.keeps_connections:
                return connections < self.watch.most_connections
            return connections <= before

        if await self.watch.until(has_gone, patience):
            cell.seconds = self.now() - left_at
            cell.reasons = {"unsent" if self.given_up > given_up else "closed"}
        elif cell.may_be_taken_whole:
            # The connection is kept.
            cell.seconds, cell.reasons = 0, {"answered"}
        if publishing is not None:
            await publishing

    async def leave_unread(self, cell):
        """The client leaves when its request has reached Holdfast, and reads nothing."""
        before = await self.responder.status()
        one = await self.come(cell, f"/{cell.channel}?since=first")
        if not await self.watch.until(
            lambda: self.watch.status["requests"] > before["requests"], PATIENCE_SECONDS
        ):
            cell.trouble = "did not come to Holdfast"
            return
        left_at = self.now()
        one.leave(cell.way)
        most = before["connections"] + (1 if self.server.keeps_connections else 0)
        if await self.watch.until(lambda: self.watch.status["connections"] <= most, PATIENCE_SECONDS):
            cell.seconds, cell.reasons = self.now() - left_at, {"answered"}

    @property
    def given_up(self):
        """The number of answers that were dropped because their clients did not read."""
        return self.watch.status["bounds_reached"]["unsent_time"]

    # MARK: Leaks

    async def look_for_leaks(self, descriptors):
        # Idle connections may be kept for later requests.
        kept = len(self.cells) if self.server.keeps_connections else 0

        def is_quiet():
            status = self.watch.status
            return status["held"] == status["interests"] == 0 and status["connections"] <= kept

        if not await self.watch.until(is_quiet, PATIENCE_SECONDS):
            status = self.watch.status
            for what in ("held", "interests", "connections"):
                self.leaks.append(f"{status[what]} {what}")
        self.memory_grown = self.responder.memory() - self.memory
        if self.memory_grown > self.options.memory:
            self.leaks.append(f"{self.memory_grown} kB of memory")
        # The idle connections end with the server; what is left then is a leak.
        for one in self.clients:
            await one.end()
        await self.server.stop()
        await self.watch.until(lambda: self.watch.status["connections"] == 0, PATIENCE_SECONDS)
        for number, what in self.responder.descriptors().items():
            if number not in descriptors:
                self.leaks.append(f"descriptor {number}, {what}")
