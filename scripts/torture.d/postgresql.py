"""PostgreSQL: a primary with standbys, of which at least one must have what is committed."""
import asyncio
import contextlib
import os
import pwd
import signal

import psycopg
from place import Failed, is_root, send, until

PROGRAMS = "/usr/lib/postgresql/15/bin"
# On a busy machine, a recovery takes long.
PATIENCE_SECONDS = 120
PROMOTED = "primary killed and promoted"
# What was acknowledged is lost, as by an operator's mistake: all must be told.
PROMOTED_WRONGLY = "primary killed, and one promoted that lacks some"


def reason_not_to_run():
    """Why it cannot be run here; none if it can."""
    if not os.access(f"{PROGRAMS}/postgres", os.X_OK):
        return f"there is no {PROGRAMS}/postgres"
    if is_root() and not any(user.pw_name == "postgres" for user in pwd.getpwall()):
        return "there is no user postgres, and PostgreSQL does not run as root"
    return None


class Server:
    """Data and Unix socket are in a directory of its own, which the server's user owns."""

    def __init__(self, place, name):
        self.place, self.name = place, name
        self.path = f"{place.directory}/{name}"
        self.data = f"{self.path}/data"
        self.process = None
        os.mkdir(self.path, 0o755)
        # It refuses to run as root.
        self.prefix = []
        if is_root():
            account = pwd.getpwnam("postgres")
            os.chown(self.path, account.pw_uid, account.pw_gid)
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    @property
    def options(self):
        return f"host={self.path} dbname=postgres user=postgres"

    @property
    def socket(self):
        return f"{self.path}/.s.PGSQL.5432"

    async def run(self, program, *arguments):
        """Runs one of its programs to its end; fails if that does."""
        process = await self.place.start(f"{self.name}-{os.path.basename(program)}", *self.prefix, program, *arguments)
        try:
            status = await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
        except asyncio.TimeoutError:
            status = "nothing, for too long"
        if status != 0:
            raise Failed(f"{program} for {self.name} says {status}; see {self.place.directory}/log")

    async def make(self, settings):
        await self.run(
            f"{PROGRAMS}/initdb", f"--pgdata={self.data}", "--auth=trust", "--username=postgres",
            "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
        )
        # Not on the command line: a copy has them as well.
        with open(f"{self.data}/postgresql.conf", "a", encoding="utf-8") as file:
            file.write("".join(f"{setting}\n" for setting in settings))

    async def start(self):
        # The process that it names is dead, and its number may be that of another one by now.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.data}/postmaster.pid")
        self.process = await self.place.start(
            self.name, *self.prefix, f"{PROGRAMS}/postgres", "-D", self.data, "-c", "listen_addresses=",
            "-c", f"unix_socket_directories={self.path}",
        )
        await until(f"{self.name} accepts connections", self.accepts, PATIENCE_SECONDS)

    async def accepts(self):
        if self.process.returncode is not None:
            raise Failed(f"{self.name} has ended; see {self.place.directory}/log/{self.name}.log")
        try:
            await self.sql("SELECT 1")
            return True
        except psycopg.Error:
            return False

    async def kill(self):
        """All of its processes at once, as when the machine loses power."""
        pid = self.process.pid
        # So that it starts no other process meanwhile.
        send(signal.SIGSTOP, self.process)
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            children = [int(word) for word in file.read().split()]
        send(signal.SIGKILL, self.process)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        await self.process.wait()
        self.process = None

        async def is_gone():
            return not any(os.path.exists(f"/proc/{child}") for child in children)

        await until(f"all processes of {self.name} are gone", is_gone)

    async def stop(self):
        """In order, but without waiting for clients."""
        if self.process is not None and self.process.returncode is None:
            send(signal.SIGINT, self.process)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.process.wait(), 20)

    async def sql(self, text, *values):
        """The rows, if there are any. Runs as a superuser, and commits at once."""
        connection = await psycopg.AsyncConnection.connect(
            self.options, autocommit=True, connect_timeout=10, options="-c statement_timeout=20s"
        )
        async with connection:
            cursor = await connection.execute(text, values or None)
            return await cursor.fetchall() if cursor.description else []

    async def backup(self, primary):
        """A standby of the primary, from a new copy."""
        await self.run("/bin/rm", "-rf", self.data)
        await self.run(
            f"{PROGRAMS}/pg_basebackup", f"--pgdata={self.data}", "--write-recovery-conf", "--checkpoint=fast",
            "--no-sync", f"--dbname={primary.options} application_name={self.name}",
        )

    async def rewind(self, primary):
        """A standby of the primary, from what it has; it must have ended."""
        # What the primary began with is compared, and that is known only from then on.
        await primary.sql("CHECKPOINT")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self.data}/postmaster.pid")
        await self.run(
            f"{PROGRAMS}/pg_rewind", f"--target-pgdata={self.data}", "--no-sync",
            f"--source-server={primary.options}",
        )
        await self.run("/usr/bin/touch", f"{self.data}/standby.signal")
        # The last line applies.
        with open(f"{self.data}/postgresql.auto.conf", "a", encoding="utf-8") as file:
            file.write(f"primary_conninfo = '{primary.options} application_name={self.name}'\n")

    async def follow(self, primary):
        await self.sql(f"ALTER SYSTEM SET primary_conninfo = '{primary.options} application_name={self.name}'")
        await self.sql("SELECT pg_reload_conf()")

    async def promote(self):
        # A statement that waited for it would hold up the rest of the recovery, by its snapshot.
        await self.sql("SELECT pg_promote(false)")

        async def is_promoted():
            return not (await self.sql("SELECT pg_is_in_recovery()"))[0][0]

        await until(f"{self.name} is promoted", is_promoted, PATIENCE_SECONDS)

    async def end_of_log(self):
        """The end of its log, as a number; none while it still gets or applies something. The primary must be dead."""
        rows = await self.sql(
            "SELECT (pg_last_wal_replay_lsn() - '0/0'::pg_lsn)::bigint, EXISTS (SELECT FROM pg_stat_wal_receiver), "
            "(SELECT wait_event FROM pg_stat_activity WHERE backend_type = 'startup')"
        )
        place, is_receiving, waits_for = rows[0]
        # It has looked everywhere for more.
        is_idle = waits_for in ("RecoveryRetrieveRetryInterval", "RecoveryWalStream")
        return place if is_idle and not is_receiving else None


class Cluster:
    def __init__(self, place, chance, counts):
        self.chance, self.counts = chance, counts
        # While something is lost, the servers that have it stay.
        self.losing = asyncio.Lock()
        self.servers = [Server(place, name) for name in ("pg-a", "pg-b", "pg-c")]
        self.primary = self.servers[0]

    @property
    def options(self):
        """libpq's options for the server that takes writes."""
        hosts = ",".join(server.path for server in self.servers)
        return f"host={hosts} dbname=postgres target_session_attrs=read-write connect_timeout=2"

    async def start(self):
        names = ", ".join(f'"{server.name}"' for server in self.servers)
        await self.primary.make([
            f"synchronous_standby_names = 'ANY 1 ({names})'",
            # What pg_rewind needs, and what a standby needs that was away.
            "wal_log_hints = on", "wal_keep_size = 512MB", "max_wal_senders = 10",
            "wal_retrieve_retry_interval = 200ms", "shared_buffers = 32MB",
            # Kills of processes lose nothing that was written, and a disk that others use, too, says little here.
            "fsync = off", "log_line_prefix = '%m [%p] '",
        ])
        await self.primary.start()
        for standby in self.standbys:
            await standby.backup(self.primary)
            await standby.start()

    @property
    def standbys(self):
        return [server for server in self.servers if server is not self.primary]

    async def sql(self, text, *values):
        """Of the primary, once there is one."""
        end = asyncio.get_running_loop().time() + PATIENCE_SECONDS
        while True:
            try:
                return await self.primary.sql(text, *values)
            except psycopg.OperationalError:
                if asyncio.get_running_loop().time() > end:
                    raise
                await asyncio.sleep(0.1)

    def pick(self):
        """A random kind of event."""
        return self.chance.choices(
            ["a standby killed", "both standbys killed", "primary killed and restarted", PROMOTED, PROMOTED_WRONGLY],
            [6, 2, 4, 8, 2],
        )[0]

    async def trouble(self, kind):
        """One event; in the end all servers run again."""
        self.counts[kind] += 1
        if kind == PROMOTED:
            await self.promote()
            return
        if kind == PROMOTED_WRONGLY:
            await self.promote_wrongly()
            return
        victims = {
            "a standby killed": [self.chance.choice(self.standbys)], "both standbys killed": self.standbys,
        }.get(kind, [self.primary])
        for server in victims:
            await server.kill()
        await asyncio.sleep(self.chance.random() * 2.5)
        for server in victims:
            await server.start()

    async def promote(self):
        """Kills the primary, and promotes the standby that has most, which is all that was committed."""
        old, standbys = self.primary, self.standbys
        if self.chance.random() < 0.3:
            # One is away at that moment, and may have been the only one with the newest groups.
            self.counts["… while a standby was away"] += 1
            victim = self.chance.choice(standbys)
            await victim.kill()
            await asyncio.sleep(self.chance.random())
            await old.kill()
            await victim.start()
        else:
            await old.kill()
        places = {}
        for standby in standbys:
            async def is_known(standby=standby):
                places[standby] = await standby.end_of_log()
                return places[standby] is not None

            await until(f"{standby.name} has looked for more", is_known, PATIENCE_SECONDS)
        successor = max(standbys, key=places.get)
        for standby in standbys:
            if standby is not successor:
                await standby.follow(successor)
        await successor.promote()
        self.primary = successor
        await asyncio.sleep(self.chance.random() * 3)
        await self.bring_back(old)

    async def bring_back(self, old):
        """A former primary follows its successor."""
        if self.chance.random() < 0.7:
            self.counts["… and the old one rewound"] += 1
            await old.rewind(self.primary)
        else:
            self.counts["… and the old one copied anew"] += 1
            await old.backup(self.primary)
        await old.start()

    async def promote_wrongly(self):
        """Kills the primary and the standby that has all, and promotes the other one, which has been away."""
        late, good = self.chance.sample(self.standbys, 2)
        old = self.primary
        await late.kill()
        # More than is under way.
        wanted = (await self.sql("SELECT seq FROM holdfast.head"))[0][0] + self.chance.randint(2, 8)

        async def has_more():
            return (await self.sql("SELECT seq FROM holdfast.head"))[0][0] >= wanted

        await until("more is committed", has_more, PATIENCE_SECONDS)
        await asyncio.gather(old.kill(), good.kill())
        await late.start()
        await late.promote()
        self.primary = late
        await self.bring_back(old)
        # What it has is more than its new primary had there, and only a former primary can be rewound.
        await good.backup(late)
        await good.start()

    async def stop(self):
        await asyncio.gather(*(server.stop() for server in self.servers))
