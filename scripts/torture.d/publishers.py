"""Publishers of numbered messages, one class for each way into the log.

Each sends "NAME NUMBER" with numbers from 1 on, repeats what was not acknowledged, and knows in the end how many were.
"""
import asyncio
import contextlib
import json
import os


class Publisher:
    """Sends at its rate until it is stopped; `acknowledged` is the newest number that was certainly committed."""

    def __init__(self, name, place):
        self.name = name
        self.place = place
        self.acknowledged = 0
        self.retries = 0
        self.sent_at = {}

    async def run(self, interval, ending):
        number = 0
        while not ending.is_set():
            number += 1
            self.sent_at[number] = asyncio.get_running_loop().time()
            await self.publish(number)
            self.acknowledged = number
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(ending.wait(), interval)
        await self.finish()

    async def publish(self, number):
        raise NotImplementedError

    async def finish(self):
        pass

    async def pause(self):
        self.retries += 1
        await asyncio.sleep(0.05)


class ByHTTP(Publisher):
    async def publish(self, number):
        body = f"{self.name} {number}".encode()
        head = (
            f"POST /push/torture HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
            f"Idempotency-Key: {self.name}-{number}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.place.port)
                writer.write(head.encode() + body)
                answer = await asyncio.wait_for(reader.read(), 20)
                writer.close()
                if answer.startswith(b"HTTP/1.1 201"):
                    return
                if not answer.startswith((b"HTTP/1.1 502", b"HTTP/1.1 503", b"HTTP/1.1 504")) and answer:
                    raise SystemExit(f"{self.name}: unexpected answer {answer[:500]!r}")
            except (OSError, asyncio.TimeoutError):
                pass
            await self.pause()


class ByBusSocket(Publisher):
    connection = None

    async def publish(self, number):
        body = f"{self.name} {number}".encode()
        command = f"put torture {len(body)} key={self.name}-{number}\n".encode() + body
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
                        raise SystemExit(f"{self.name}: refused: {answer}")
                else:
                    self.connection = None
            except (OSError, asyncio.TimeoutError):
                self.connection = None
            await self.pause()


class ByCommandLine(Publisher):
    """One `holdfast pub --lines` for all messages: it has to survive all kills by itself."""

    process = None

    async def publish(self, number):
        if self.process is None:
            self.process = await asyncio.create_subprocess_exec(
                self.place.holdfast, "pub", "torture", "--lines", "--config", self.place.ini,
                "--timeout", "30", stdin=asyncio.subprocess.PIPE,
            )
        self.process.stdin.write(f"{self.name} {number}\n".encode())
        await self.process.stdin.drain()

    async def finish(self):
        if self.process is None:
            return
        self.process.stdin.close()
        status = await self.process.wait()
        if status != 0:
            raise SystemExit(f"{self.name}: holdfast pub ended with {status}")


class ByPipe(Publisher):
    """Lines of a named pipe: whatever was written will be published, at least once."""

    def line(self, number):
        return f"torture\t{self.name} {number}\n"

    async def publish(self, number):
        pipe = os.open(self.place.pipe, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(pipe, self.line(number).encode())
        finally:
            os.close(pipe)


class ByPipeWithKey(ByPipe):
    """The same with a key, so that a line published twice is one message."""

    def line(self, number):
        value = {"channel": "torture", "data": f"{self.name} {number}", "key": f"{self.name}-{number}"}
        return json.dumps(value) + "\n"
