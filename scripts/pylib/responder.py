"""A Holdfast of a script's own, its bus socket, and its state in /proc."""
import asyncio
import json
import os

from place import PATIENCE_SECONDS, Failed, has_web_group, until

# Codes of answers after which to try again.
NOT_NOW = ("outcome_unknown", "log_unavailable", "busy")


class Responder:
    def __init__(self, place, settings, bus_settings="", environment=None):
        """`settings`: the ini file without [fastcgi] and [bus]."""
        self.place = place
        self.socket = f"{place.directory}/holdfast.sock"
        self.bus_socket = f"{place.directory}/bus.sock"
        group = "group = www-data\n" if has_web_group() else ""
        self.ini = place.write(
            "holdfast.ini",
            f"[fastcgi]\nlisten = {self.socket}\n{group}"
            f"[bus]\ndirectory = {place.directory}/bus\nsocket = {self.bus_socket}\n{bus_settings}{settings}",
        )
        self.environment = environment
        self.process = None
        self.publishing = None
        self.asking = None

    async def start(self):
        self.process = await self.place.start(
            "holdfast", self.place.holdfast, "serve", "--config", self.ini, environment=self.environment
        )
        await until("Holdfast serves its bus socket", self.is_ready)
        # One connection for questions, which must not wait behind publishing.
        self.publishing, self.asking = Bus(), Bus()
        await self.publishing.open(self.bus_socket)
        await self.asking.open(self.bus_socket)

    async def is_ready(self):
        if self.process.returncode is not None:
            raise Failed(f"holdfast has ended; see {self.place.directory}/log/holdfast.log")
        try:
            _, writer = await asyncio.open_unix_connection(self.bus_socket)
            writer.close()
            return True
        except OSError:
            return False

    async def status(self):
        return (await self.asking.ask("status"))[0]

    async def status_and_held(self):
        """The status, and how many wait on each channel, asked for right after it."""
        for _ in range(PATIENCE_SECONDS):
            status, channels = await self.asking.ask("status", "channels")
            if "channels" in channels:
                return status, {entry["channel"]: entry["held"] for entry in channels["channels"]}
            # On a busy machine the log may not answer in time.
            if channels.get("code") not in NOT_NOW:
                break
            await asyncio.sleep(1)
        raise Failed(f"'channels' found no answer: {channels}")

    async def publish(self, channel, text):
        await self.put(channel, text.encode())

    async def publish_batch(self, channel, lines):
        """Publishes all of them in one commit."""
        await self.put(channel, "\n".join(lines).encode(), "split=lines")

    async def put(self, channel, body, option=""):
        command = f"put {channel} {len(body)} {option}".strip()
        for _ in range(PATIENCE_SECONDS):
            answer = (await self.publishing.ask(command, body=body))[0]
            if answer["kind"] == "ok":
                return
            # On a busy machine the log may not answer in time. Without a key, which would be remembered for a while, a
            # message may come twice, which is no harm here.
            if answer["code"] not in NOT_NOW:
                raise Failed(f"'{command}' was refused: {answer}")
            await asyncio.sleep(1)
        raise Failed(f"'{command}' found no answer: {answer}")

    def descriptors(self):
        """The target of each descriptor."""
        found = {}
        directory = f"/proc/{self.process.pid}/fd"
        for name in os.listdir(directory):
            try:
                found[int(name)] = os.readlink(f"{directory}/{name}")
            except FileNotFoundError:
                pass
        return found

    def memory(self):
        """RssAnon in kB: the process's own resident memory, that is VmRSS without what is mapped from files or shared."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1])
        raise Failed("/proc/PID/status has no RssAnon")


class Bus:
    """A connection to the bus socket."""

    def __init__(self):
        self.lock = asyncio.Lock()
        self.reader = self.writer = None

    async def open(self, path):
        self.reader, self.writer = await asyncio.open_unix_connection(path, limit=1 << 20)

    async def ask(self, *commands, body=b""):
        """The answers to some commands that are sent together."""
        async with self.lock:
            self.writer.write("".join(f"{command}\n" for command in commands).encode() + body)
            await self.writer.drain()
            answers = [json.loads(await self.reader.readline()) for _ in commands]
        return answers
