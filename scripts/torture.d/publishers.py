"""Publishers of numbered messages, one class for each way into the log.

Each sends "NAME NUMBER" with numbers from 1 on, repeats what was not acknowledged (all but those without a key), and
knows in the end what became of each.
"""
import asyncio
import contextlib
import json
import os
import signal
import socket

import psycopg
from place import Failed, send

# Codes after which a publisher should repeat the request.
NOT_NOW = (b"HTTP/1.1 502", b"HTTP/1.1 503", b"HTTP/1.1 504")


class Publisher:
    """Sends at its rate until it is stopped; `acknowledged` is the newest number that was certainly committed.

    The numbers in `unknown` may be committed or not, those in `void` are not. Where there are several machines, it goes
    to another one when one has failed.
    """

    # Messages that are published together, whole or not at all.
    size = 1
    # Whether a message may be there twice.
    may_repeat = False
    # Whether what is committed may still wait, unseen, for its place in the order.
    waits_outside = False

    def __init__(self, name, machines, channel="torture", chance=None):
        self.name = name
        self.machines = machines
        self.place = machines[0]
        self.channel = channel
        self.chance = chance
        self.acknowledged = 0
        self.unknown = set()
        self.void = set()
        self.retries = 0
        self.sent_at = {}

    async def run(self, interval, ending):
        number = 0
        while not ending.is_set():
            for _ in range(self.size):
                number += 1
                self.sent_at[number] = asyncio.get_running_loop().time()
            await self.publish(number)
            self.acknowledged = number
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ending.wait(), interval)
        await self.finish()

    async def publish(self, number):
        """Sends the message of this number; of several that belong together, the last."""
        raise NotImplementedError

    async def finish(self):
        pass

    def leave(self):
        """Closes what would wait, when the outcome no longer matters."""

    async def pause(self):
        self.retries += 1
        if len(self.machines) > 1:
            self.place = self.chance.choice(self.machines)
        await asyncio.sleep(0.05)


class ByHTTP(Publisher):
    has_key = True
    content_type = "text/plain"

    def body(self, number):
        return f"{self.name} {number}"

    async def publish(self, number):
        body = self.body(number).encode()
        key = f"Idempotency-Key: {self.name}-{number}\r\n" if self.has_key else ""
        head = (
            f"POST /push/{self.channel} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {self.content_type}\r\n"
            f"{key}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.place.port)
                writer.write(head.encode() + body)
                answer = await asyncio.wait_for(reader.read(), 20)
                writer.close()
                if answer.startswith(b"HTTP/1.1 201"):
                    return
                if not answer.startswith(NOT_NOW) and answer:
                    raise Failed(f"{self.name}: unexpected answer {answer[:500]!r}")
            except (OSError, asyncio.TimeoutError):
                pass
            await self.pause()
            if not self.has_key:
                self.unknown.add(number)
                return


class ByHTTPWithoutKey(ByHTTP):
    """Repeats nothing: what was not acknowledged is in the log once, or not at all."""

    has_key = False


class ByBatch(ByHTTP):
    size = 3
    content_type = "application/x-ndjson"

    def body(self, number):
        return "".join(f'"{self.name} {one}"\n' for one in range(number - self.size + 1, number + 1))


class ByBusSocket(Publisher):
    connection = None

    async def publish(self, number):
        body = f"{self.name} {number}".encode()
        command = f"put {self.channel} {len(body)} key={self.name}-{number}\n".encode() + body
        while True:
            try:
                if self.connection is None:
                    self.connection = await asyncio.open_unix_connection(self.place.bus_socket)
                reader, writer = self.connection
                writer.write(command)
                line = await asyncio.wait_for(reader.readline(), 20)
                if line:
                    answer = json.loads(line)
                    if answer["kind"] == "ok":
                        return
                    if answer["code"] not in ("outcome_unknown", "log_unavailable", "busy"):
                        raise Failed(f"{self.name}: refused: {answer}")
                self.close(is_over=not line or len(self.machines) > 1)
            except (OSError, asyncio.TimeoutError):
                self.close()
            await self.pause()

    def close(self, is_over=True):
        if is_over and self.connection is not None:
            self.connection[1].close()
            self.connection = None

    async def finish(self):
        self.close()


class ByCommandLine(Publisher):
    """One `holdfast pub --lines` for all messages: it must survive all kills by itself."""

    process = None
    # A file for its standard error, which is long when it serves the log itself.
    errors = "/dev/stderr"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.lock = asyncio.Lock()

    async def publish(self, number):
        async with self.lock:
            if self.process is None:
                await self.start()
            try:
                self.process.stdin.write(f"{self.name} {number}\n".encode())
                await self.process.stdin.drain()
            except ConnectionError:
                raise Failed(f"{self.name}: holdfast pub has ended; see {self.errors}") from None

    async def start(self):
        with open(self.errors, "ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                self.place.holdfast, "pub", self.channel, "--lines", "--config", self.place.ini,
                "--timeout", "30" if len(self.machines) == 1 else "300", stdin=asyncio.subprocess.PIPE, stderr=log,
            )

    async def finish(self):
        if self.process is None:
            return
        self.process.stdin.close()
        status = await self.process.wait()
        self.process = None
        if status != 0:
            raise Failed(f"{self.name}: holdfast pub ended with {status}; see {self.errors}")

    @contextlib.asynccontextmanager
    async def away(self):
        """Meanwhile nothing runs that opens the log when no process serves."""
        async with self.lock:
            await self.finish()
            yield

    def leave(self):
        if self.process is not None:
            send(signal.SIGKILL, self.process)


class ByPipe(Publisher):
    """Lines of a named pipe: whatever was written will be published, at least once."""

    may_repeat = True

    def line(self, number):
        return f"{self.channel}\t{self.name} {number}\n"

    async def publish(self, number):
        pipe = os.open(self.place.pipe, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, self.line(number).encode())
        finally:
            os.close(pipe)


class ByPipeWithKey(ByPipe):
    """The same with a key, so that a line published twice is one message."""

    may_repeat = False

    def line(self, number):
        value = {"channel": self.channel, "data": f"{self.name} {number}", "key": f"{self.name}-{number}"}
        return json.dumps(value) + "\n"


class BySQL(Publisher):
    """In transactions of the site's own PostgreSQL, of which some are rolled back."""

    waits_outside = True
    has_key = True
    options = None
    connection = None

    async def publish(self, number):
        is_void = self.chance.random() < 0.25
        if is_void:
            self.void.add(number)
        while True:
            try:
                await self.transact_in_time(number, is_void)
                return
            except (psycopg.Error, OSError):
                self.close()
            if is_void:
                return
            await self.pause()
            if not self.has_key:
                self.unknown.add(number)
                return

    async def transact_in_time(self, number, is_void):
        """Gives up after a while like a program that ends: psycopg's own way would also cancel the commit."""
        transaction = asyncio.create_task(self.transact(number, is_void))
        await asyncio.wait({transaction}, timeout=5)
        if not transaction.done():
            self.leave()
        await transaction

    def leave(self):
        if self.connection is not None and not self.connection.closed:
            with socket.socket(fileno=os.dup(self.connection.fileno())) as connection, contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    async def transact(self, number, is_void):
        if self.connection is None:
            self.connection = await psycopg.AsyncConnection.connect(self.options)
        key = f"{self.name}-{number}" if self.has_key else None
        await self.connection.execute(
            f"SELECT holdfast.publish('{self.channel}', %s, content_type => 'text/plain', key => %s)",
            (f"{self.name} {number}", key),
        )
        # Like an application that also does something else.
        await self.connection.execute("SELECT pg_sleep(%s)", (self.chance.random() * 0.05,))
        await (self.connection.rollback() if is_void else self.connection.commit())

    def close(self):
        if self.connection is not None:
            connection, self.connection = self.connection, None
            connection.pgconn.finish()

    async def finish(self):
        self.close()


class BySQLWithoutKey(BySQL):
    has_key = False
