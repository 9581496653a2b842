"""A temporary directory for the processes that a script starts, and those processes."""
import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

# How long to wait for anything: long enough for a busy machine.
PATIENCE_SECONDS = 30


class Failed(Exception):
    """A failure that is not one of the program under test."""


# The sockets that keep the ports of reserve_ports().
reserved = []


def reserve_ports(count):
    """Ports of the loopback address for servers that will be started.

    Each is bound here until the script ends, so that the kernel gives it to nobody else, neither a client nor whoever
    asks for any port. A server that names it may bind it all the same: both allow the address to be reused, and this
    socket does not listen.
    """
    ports = []
    for _ in range(count):
        kept = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        kept.bind(("127.0.0.1", 0))
        reserved.append(kept)
        ports.append(kept.getsockname()[1])
    return ports


def is_root():
    return os.geteuid() == 0


def has_web_group():
    """Whether web servers run as www-data, so that Holdfast's socket can belong to that group."""
    return is_root() and any(user.pw_name == "www-data" for user in pwd.getpwall())


def send(number, process):
    """Sends a signal to a process of asyncio, unless it has ended.

    Its own send_signal() looks first whether it has, and takes its status then: asyncio waits in vain, and says 255.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


class Place:
    def __init__(self, root, holdfast, purpose):
        self.root = root
        self.holdfast = holdfast
        self.directory = tempfile.mkdtemp(prefix=f"holdfast-{purpose}.")
        os.chmod(self.directory, 0o755)
        self.processes = []
        self.make_directory("log")
        self.make_directory("temp")

    def make_directory(self, name):
        """Creates a directory that a web server can write to under its own user."""
        path = f"{self.directory}/{name}"
        os.makedirs(path, exist_ok=True)
        os.chmod(path, 0o777 if is_root() else 0o755)
        return path

    def write(self, name, text):
        path = f"{self.directory}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def derived(self, name, *options):
        """A copy of the file in conf/, made by scripts/derive with these options."""
        command = [f"{self.root}/scripts/derive", name, *map(str, options)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(done.stderr.strip())
        return done.stdout

    async def start(self, name, *command, environment=None):
        """Starts a process; its output goes to log/NAME.log."""
        with open(f"{self.directory}/log/{name}.log", "ab") as log:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(environment or {})},
            )
        self.processes = [one for one in self.processes if one.returncode is None] + [process]
        return process

    async def end(self, process):
        """Sends SIGTERM, and SIGKILL if that does not help; returns the exit status."""
        if process.returncode is None:
            send(signal.SIGTERM, process)
            try:
                await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)
            except asyncio.TimeoutError:
                send(signal.SIGKILL, process)
                await process.wait()
        return process.returncode

    async def close(self, keep):
        """Ends the processes that still run, newest first, and removes the directory."""
        for process in reversed(self.processes):
            await self.end(process)
        if keep:
            print(f"kept {self.directory}", file=sys.stderr)
        else:
            shutil.rmtree(self.directory)


async def until(what, condition, seconds=PATIENCE_SECONDS):
    """Waits until the condition, an async function, is true; fails if that takes too long."""
    end = asyncio.get_running_loop().time() + seconds
    while not await condition():
        if asyncio.get_running_loop().time() > end:
            raise Failed(f"it took too long until {what}")
        await asyncio.sleep(0.02)
