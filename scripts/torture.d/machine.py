"""A machine: Holdfasts that share a log, behind an nginx of their own, in a directory of the place."""
import asyncio
import os
import signal

from place import Failed, has_web_group, reserve_ports, send, until


class Machine:
    def __init__(self, place, processes, name="", settings=""):
        """`name`: of its directory in the place; none: the place's own. `settings`: more lines of the ini file."""
        self.place = place
        self.name = name
        self.prefix, self.label = (f"{name}/", f"{name}-") if name else ("", "")
        self.directory = f"{place.directory}/{name}".rstrip("/")
        for directory in ("", "log", "temp"):
            place.make_directory(self.prefix + directory)
        self.holdfast = place.holdfast
        self.bus = f"{self.directory}/bus"
        self.bus_socket = f"{self.directory}/bus.sock"
        self.pipe = f"{self.directory}/bus.pipe"
        self.responders = [None] * processes
        # Those whose successor was killed, and may have had everything by then.
        self.orphaned = set()
        self.nginx = None
        self.port = None
        group = "group = www-data\n" if has_web_group() else ""
        self.ini = place.write(
            f"{self.prefix}holdfast.ini",
            f"[fastcgi]\nlisten = {self.socket(0)}\n{group}"
            f"[bus]\ndirectory = {self.bus}\nsocket = {self.bus_socket}\n"
            f"[pipe {self.pipe}]\nmode = 0660\n"
            "[retain **]\ncount = 10000000\n"
            f"[allow **]\nread = everyone\npublish = everyone\n{settings}",
        )

    def socket(self, index):
        return f"{self.directory}/{index}.sock"

    async def start_responder(self, index, *options):
        process = await self.place.start(
            f"{self.label}holdfast-{index}", self.holdfast, "serve", "--config", self.ini, "--listen",
            self.socket(index), *options,
        )
        if not options:
            self.responders[index] = process
            self.orphaned.discard(index)
        return process

    async def kill_responder(self, index):
        if not self.has_handed_over(index):
            send(signal.SIGKILL, self.responders[index])
            await self.responders[index].wait()

    def has_handed_over(self, index):
        """Whether it has ended because it had handed over to a process that was killed then; fails if it ended by itself."""
        status = self.responders[index].returncode
        if status is None:
            return False
        if status == 0 and index in self.orphaned:
            return True
        raise Failed(f"{self.name} process {index} has ended by itself, with {status}")

    async def renew_responder(self, index, chance, counts):
        """Has a newer process take over, and perhaps kills one of the two at some moment meanwhile.

        Returns a sentence if neither of them serves afterwards, although that was not its own doing.
        """
        if self.has_handed_over(index):
            await self.start_responder(index)
            return None
        older = self.responders[index]
        newer = await self.start_responder(index, "--take-over")
        victim = chance.choice([None, newer, older])
        if victim is not None:
            # Reading the ini file and opening the log take most of this, the hand-over itself some milliseconds.
            await asyncio.sleep(chance.random() ** 2 * 0.25)
            send(signal.SIGKILL, victim)
            await victim.wait()
        try:
            if victim is None:
                # It may be refused, for example while the older one is busy.
                await asyncio.wait_for(
                    asyncio.wait({asyncio.create_task(one.wait()) for one in (older, newer)},
                                 return_when=asyncio.FIRST_COMPLETED), 20)
            elif victim is newer:
                # The older one ends only if it has handed over before; perhaps not at once.
                self.orphaned.add(index)
                await asyncio.sleep(0.2)
        except asyncio.TimeoutError:
            return f"{self.name} process {index}: after 20 s there are two processes, or none"
        counts["handed over" if victim is None else "newer killed" if victim is newer else "older killed"] += 1
        if newer.returncode is None:
            if older.returncode not in (None, 0, -signal.SIGKILL):
                return f"{self.name} process {index}: the older one has ended with {older.returncode}"
            if older.returncode is None:
                return f"{self.name} process {index}: both serve"
            self.responders[index] = newer
            self.orphaned.discard(index)
        elif older.returncode is not None:
            if victim is newer and older.returncode == 0:
                # It was killed once it had everything, as any process may be.
                counts["newer killed when it had everything"] += 1
                await self.start_responder(index)
            else:
                return (
                    f"{self.name} process {index}: none serves; newer {newer.returncode}, older {older.returncode}"
                )
        elif victim is None:
            counts["refused"] += 1
        return None

    async def start_nginx(self):
        # nginx asks a killed responder again at once, and another one in its place.
        servers = " ".join(
            f"server unix:{self.socket(index)} max_fails=0;" for index in range(len(self.responders))
        )
        for _ in range(10):
            self.port, second, third = reserve_ports(3)
            text = self.place.derived(
                "nginx.conf", "--directory", self.directory, "--descriptors", 2048,
                "--port", self.port, "--second", second, "--http2", third,
                "--upstream", servers,
            )
            path = self.place.write(f"{self.prefix}nginx.conf", text)
            self.nginx = await self.place.start(
                f"{self.label}nginx", "nginx", "-p", self.directory, "-e", f"{self.directory}/log/error.log",
                "-c", path, "-g", "daemon off;",
            )
            await until("nginx answers", self.has_answered)
            if self.nginx.returncode is None:
                return
            # A connection of another program may have got one of the ports meanwhile.
        raise Failed(f"nginx does not start; see {self.directory}/log/error.log")

    async def has_answered(self):
        """Whether nginx serves, or has ended."""
        if self.nginx.returncode is not None:
            return True
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET /push/-/live HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer.startswith(b"HTTP/1")
        except OSError:
            return False

    async def start(self):
        await asyncio.gather(*(self.start_responder(index) for index in range(len(self.responders))))
        await self.start_nginx()

    async def wait_until_ready(self):
        await until(f"Holdfast becomes ready (see {self.directory})", self.is_ready)

    async def is_ready(self):
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET /push/-/ready HTTP/1.0\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return b" 200 " in answer.split(b"\r\n")[0] and os.path.exists(self.bus_socket)
        except OSError:
            return False

    async def stop(self):
        """Sends SIGTERM; returns whether all ended as they should."""
        statuses = [await self.place.end(one) for one in self.responders + [self.nginx] if one is not None]
        return all(status == 0 for status in statuses)
