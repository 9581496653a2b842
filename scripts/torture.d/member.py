"""A machine of a site of several, with the events that befall it."""
import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys

from machine import Machine
from place import Failed, send, until
from verdict import position

# While servers are killed and copied on a busy machine, much has to wait.
LONG_SECONDS = 120


class Member(Machine):
    """A machine of the site, which reaches PostgreSQL by a network of its own."""

    def __init__(self, torture, number, chance):
        self.cluster, self.log, self.chance = torture.cluster, torture.log, chance
        self.counts, self.faults = torture.counts, torture.faults
        self.relay = None
        # Publishers that may open its log themselves.
        self.users = []
        # While its processes are stopped or started.
        self.busy = asyncio.Lock()
        super().__init__(torture.place, torture.options.processes, f"machine-{number}")

    async def connect(self):
        """Starts the relay, and names it in the ini file as the address of PostgreSQL."""
        sockets = [server.socket for server in self.cluster.servers]
        self.relay = await asyncio.create_subprocess_exec(
            sys.executable, "-B", f"{os.path.dirname(__file__)}/relay.py", *sockets,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )
        self.place.processes.append(self.relay)
        ports = (await self.relay.stdout.readline()).decode().split()
        hosts = ",".join("127.0.0.1" for _ in ports)
        with open(self.ini, "a", encoding="utf-8") as file:
            file.write(
                f"[engine]\npostgresql = host={hosts} port={','.join(ports)} dbname=postgres user=node\n"
                f"connect_timeout = 1s\n"
            )

    async def network(self, mode):
        self.relay.stdin.write(f"{mode}\n".encode())
        await self.relay.stdout.readline()

    async def run(self, *words):
        """The output of a command of Holdfast; fails if that does."""
        process = await asyncio.create_subprocess_exec(
            self.holdfast, *words, "--config", self.ini, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, error = await asyncio.wait_for(process.communicate(), LONG_SECONDS)
        except asyncio.TimeoutError:
            send(signal.SIGKILL, process)
            raise Failed(f"holdfast {' '.join(words)} does not end") from None
        if process.returncode != 0:
            raise Failed(f"holdfast {' '.join(words)} says {error.decode().strip()}")
        return output.decode()

    async def status(self):
        """The figures of all its processes together."""
        return json.loads(await self.run("status", "--json"))

    @property
    def id(self):
        """Its id in the site."""
        with open(f"{self.bus}/engine", encoding="ascii") as file:
            return dict(line.strip().split("=") for line in file)["machine"]

    # Events.

    async def renew(self):
        """One of its processes is killed and started again, or renewed."""
        async with self.busy:
            index = self.chance.randrange(len(self.responders))
            if self.chance.random() < 0.4:
                fault = await self.renew_responder(index, self.chance, self.counts)
                if fault is not None:
                    self.faults.append(fault)
                return
            self.counts["processes killed"] += 1
            await self.kill_responder(index)
            await asyncio.sleep(self.chance.choice((0, 0, 0.5)) * self.chance.random())
            await self.start_responder(index)

    async def end_all(self):
        if self.chance.random() < 0.5:
            await asyncio.gather(*(self.kill_responder(index) for index in range(len(self.responders))))
        else:
            statuses = await asyncio.gather(*(self.place.end(one) for one in self.responders))
            # A process that has just been started may not handle signals yet.
            if not set(statuses) <= {0, -signal.SIGTERM}:
                self.faults.append(f"processes of {self.name} ended with {statuses} after SIGTERM")

    async def start_all(self):
        await asyncio.gather(*(self.start_responder(index) for index in range(len(self.responders))))

    async def cut(self):
        """Its network fails in one of several ways, and comes back."""
        mode = self.chance.choice(("silent", "silent", "refusing", "deaf", "slow"))
        self.counts[f"network {mode}"] += 1
        await self.network(mode)
        await asyncio.sleep(0.2 + self.chance.random() ** 2 * 7)
        if self.chance.random() < 0.5:
            await self.network("reset")
        await self.network("open")

    async def reset(self):
        self.counts["connections reset"] += 1
        await self.network("reset")

    async def be_away(self, others):
        """Away for longer than groups are kept: PostgreSQL drops the groups that it lacks, as it would by itself in time."""
        async with self.busy, self.cluster.losing:
            is_stopped = self.chance.random() < 0.5
            self.counts["away, " + ("stopped" if is_stopped else "cut off")] += 1
            if is_stopped:
                await self.end_all()
            else:
                await self.network("silent")
            here = position(self)[0]

            async def is_behind():
                return await self.engine_head() >= here + 3

            await until(f"{self.name} is behind", is_behind, LONG_SECONDS)
            bound = await self.engine_head() - self.chance.randrange(2)

            async def is_kept():
                return all(position(other)[0] >= bound for other in others)

            # What only PostgreSQL had would be lost for ever.
            with contextlib.suppress(Failed):
                await until("the others have it", is_kept, 20)
                for machine in (self, *others):
                    self.log.read(machine)
                # The oldest group that stays is where a machine begins anew.
                await self.cluster.sql("DELETE FROM holdfast.log WHERE seq < %s", bound)
                self.counts["… and the groups that it lacks dropped"] += 1
            if is_stopped:
                await self.start_all()
            else:
                await self.network(self.chance.choice(("open", "reset")))
                await self.network("open")

    async def is_level(self):
        """Whether it has the engine's newest group."""
        head = (await self.cluster.sql("SELECT seq, chain FROM holdfast.head"))[0]
        return position(self) == head

    async def engine_head(self):
        return (await self.cluster.sql("SELECT seq FROM holdfast.head"))[0][0]

    async def lose_log(self):
        """Its log is deleted, and it starts again; or all its files are, and it joins again."""
        is_whole = self.chance.random() < 0.3
        self.counts["machines installed anew" if is_whole else "logs deleted"] += 1
        async with contextlib.AsyncExitStack() as stack:
            for publisher in self.users:
                await stack.enter_async_context(publisher.away())
            await stack.enter_async_context(self.busy)
            await stack.enter_async_context(self.cluster.losing)
            await self.end_all()
            self.log.read(self)
            if is_whole:
                former = self.id
                shutil.rmtree(self.bus)
                await until(
                    f"{self.name} has joined", lambda: self.succeeds("engine", "join", "--name", self.name),
                    LONG_SECONDS,
                )
                await until(
                    f"{self.name} has left", lambda: self.succeeds("engine", "leave", "--machine", former),
                    LONG_SECONDS,
                )
            else:
                for suffix in ("", "-wal", "-shm"):
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(f"{self.bus}/log.sqlite{suffix}")
            await self.start_all()

    async def succeeds(self, *words):
        """Whether a command succeeds; while PostgreSQL is away, it does not."""
        try:
            await self.run(*words)
            return True
        except Failed:
            return False
