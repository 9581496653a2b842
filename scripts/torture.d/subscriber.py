"""A subscriber that polls again and again with its cursor, and records everything it receives."""
import asyncio
import json

from place import Failed


class Subscriber:
    def __init__(self, machine, number):
        self.machine = machine
        self.number = number
        self.cursor = None
        self.seen = []  # texts, in the order they came
        self.ids = []
        self.gaps = []
        self.answers = 0
        self.failures = 0
        self.latencies = []

    async def run(self, publishers, ending):
        connection = None
        while not ending.is_set():
            since = self.cursor or "first"
            request = f"GET /push/torture?wait=5&since={since}&n={self.number % 7} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            try:
                if connection is None:
                    connection = await asyncio.open_connection("127.0.0.1", self.machine.port)
                reader, writer = connection
                writer.write(request.encode())
                status, body = await asyncio.wait_for(self.answer(reader), 30)
            except (OSError, asyncio.TimeoutError, asyncio.IncompleteReadError):
                status, body, connection = 0, b"", None
            if status == 200:
                self.take(json.loads(body), publishers)
                continue
            if status not in (0, 502, 503, 504):
                raise Failed(f"subscriber {self.number}: unexpected answer {status} {body[:500]!r}")
            self.failures += 1
            await asyncio.sleep(0.05)
        if connection is not None:
            connection[1].close()

    @staticmethod
    async def answer(reader):
        head = await reader.readuntil(b"\r\n\r\n")
        fields = head.lower()
        status = int(head.split(b" ", 2)[1])
        at = fields.find(b"content-length:")
        if at >= 0:
            length = int(fields[at + 15 : fields.index(b"\r\n", at)])
            return status, await reader.readexactly(length)
        body = b""
        while chunk := await Subscriber.chunk(reader):
            body += chunk
        return status, body

    @staticmethod
    async def chunk(reader):
        """The next chunk of a body; empty at its end."""
        line = await reader.readline()
        if not line.endswith(b"\n"):
            raise asyncio.IncompleteReadError(line, None)
        return (await reader.readexactly(int(line, 16) + 2))[:-2]

    def take(self, answer, publishers):
        now = asyncio.get_running_loop().time()
        self.answers += 1
        self.cursor = answer["cursor"]
        if answer["gap"] is not None:
            self.gaps.append(answer["gap"])
        for message in answer["messages"]:
            self.seen.append(message["data"])
            self.ids.append(message["id"])
            name, number = message["data"].split(" ")
            sent_at = publishers[name].sent_at.get(int(number))
            if sent_at is not None:
                self.latencies.append(now - sent_at)
