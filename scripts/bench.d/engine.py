"""Measures a bus of two machines on a PostgreSQL beside the local bus, in the same run and in turns.

usage: engine.py HOLDFAST DIRECTORY SECONDS ROUNDS

Three buses run at once: a local one (one process), one of two machines on a PostgreSQL, and one of two machines on a
PostgreSQL with a synchronous standby. A machine is a Holdfast with a directory of its own. A scene takes SECONDS; each
is done ROUNDS times for each bus, in turns. Prints a table. Exits 1 if a message is refused, lost or repeated.
"""

import json
import os
import pwd
import random
import selectors
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

HOLDFAST, DIRECTORY, SECONDS, ROUNDS = *sys.argv[1:3], min(float(sys.argv[3]), 20), int(sys.argv[4])
PROGRAMS = "/usr/lib/postgresql/15/bin"
# How long to wait for anything: long enough for a busy machine.
PATIENCE = 30
# One at a time: messages a second, at random times, so that no timer of a process is met in step.
RATE = 100
CONNECTIONS, OUTSTANDING = 16, 64
BODY = "x" * 64

processes = []


class Failed(Exception):
    pass


def until(what, condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"it took too long until {what}")
        time.sleep(0.02)


def start(name, *command):
    with open(f"{DIRECTORY}/{name}.log", "ab") as log:
        processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
    return processes[-1]


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode != 0:
        raise Failed(f"{command[0]}: {done.stderr.strip()}")
    return done.stdout


def end_all():
    """Newest first, so that machines end before their PostgreSQL."""
    for process in reversed(processes):
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class PostgreSQL:
    """A server with its data and its Unix socket in a directory of its own; its settings are Debian's, with fsync."""

    def __init__(self, name, *settings, primary=None):
        self.path = f"{DIRECTORY}/{name}"
        os.mkdir(self.path, 0o755)
        # It refuses to run as root.
        self.prefix = []
        if os.geteuid() == 0:
            account = pwd.getpwnam("postgres")
            os.chown(self.path, account.pw_uid, account.pw_gid)
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = f"{self.path}/data"
        if primary:
            source = f"host={primary.path} user=postgres application_name={name}"
            options = ["--write-recovery-conf", "--checkpoint=fast", f"--dbname={source}"]
            self.run("pg_basebackup", f"--pgdata={data}", *options)
        else:
            self.run("initdb", f"--pgdata={data}", "--auth=trust", "--username=postgres", "--no-instructions")
        options = ["listen_addresses=", f"unix_socket_directories={self.path}", *settings]
        words = [word for option in options for word in ("-c", option)]
        start(name, *self.prefix, f"{PROGRAMS}/postgres", "-D", data, *words)
        ready = [f"{PROGRAMS}/pg_isready", "-q", "-h", self.path]
        until(f"{name} accepts connections", lambda: subprocess.run(ready, check=False).returncode == 0)

    def run(self, program, *arguments):
        run(*self.prefix, f"{PROGRAMS}/{program}", *arguments)

    def sql(self, text):
        return run(f"{PROGRAMS}/psql", "-XqAt", "-h", self.path, "-U", "postgres", "-c", text).strip()


class Machine:
    """A Holdfast with a directory of its own; part of the site of the PostgreSQL, if there is one."""

    def __init__(self, name, postgresql=None, first=False):
        self.name, self.path = name, f"{DIRECTORY}/{name}"
        os.makedirs(f"{self.path}/bus", 0o700)
        self.bus_socket = f"{self.path}/bus.sock"
        engine = f"[engine]\npostgresql = host={postgresql.path} dbname=postgres user=postgres\n" if postgresql else ""
        self.ini = f"{self.path}/holdfast.ini"
        with open(self.ini, "w", encoding="utf-8") as file:
            file.write(
                f"[fastcgi]\nlisten = {self.path}/holdfast.sock\n[bus]\ndirectory = {self.path}/bus\n"
                f"socket = {self.bus_socket}\n[retain **]\ncount = 4096\n"
                f"[allow **]\nread = everyone\npublish = everyone\n{engine}"
            )
        if first:
            run(HOLDFAST, "engine", "init", "--run", "--name", "bench", "--config", self.ini)
        if postgresql:
            run(HOLDFAST, "engine", "join", "--name", name, "--config", self.ini)
        self.process = start(f"{name}.holdfast", HOLDFAST, "serve", "--config", self.ini)
        until(f"{name} takes messages", self.takes_messages)

    def takes_messages(self):
        if self.process.poll() is not None:
            raise Failed(f"{self.name} has ended")
        try:
            return Client(self).put("ready", "x")["kind"] == "ok"
        except OSError:
            return False


class Client:
    """A connection to a machine's bus socket."""

    def __init__(self, machine):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(machine.bus_socket)
        self.lines = self.socket.makefile("rb")

    def answer(self):
        line = self.lines.readline()
        if not line:
            raise Failed("the bus socket was closed")
        return json.loads(line)

    def put(self, channel, text):
        self.socket.sendall(f"publish {channel} {text}\n".encode())
        return self.answer()

    def subscribe(self, channel):
        self.socket.sendall(f"subscribe {channel} since now\n".encode())
        if (hello := self.answer())["kind"] != "hello":
            raise Failed(f"no subscription: {hello}")

    def message(self):
        """What comes next, other than a ping."""
        while (event := self.answer())["kind"] == "ping":
            pass
        return event


class Bus:
    """What is measured: publishers are at the first machine, the subscriber at the last."""

    def __init__(self, label, machines, postgresql=None):
        self.label, self.machines, self.postgresql = label, machines, postgresql
        self.acknowledged, self.delivered, self.single, self.grouped, self.caught_up = [], [], [], [], []
        self.wrong = self.serial = 0

    def committed(self):
        """A count of messages, from the process that committed them."""
        if self.postgresql:
            return int(self.postgresql.sql("SELECT last_offset FROM holdfast.head"))
        client = Client(self.machines[0])
        client.socket.sendall(b"status\n")
        return client.answer()["log"]["messages"]


def measure_alone(bus):
    """One message at a time, from its publisher at one machine to its subscriber at the other."""
    publisher, subscriber = Client(bus.machines[0]), Client(bus.machines[-1])
    subscriber.subscribe("alone")
    poll = selectors.DefaultSelector()
    for client in (publisher, subscriber):
        poll.register(client.socket, selectors.EVENT_READ, client)
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        time.sleep(random.uniform(0, 2 / RATE))
        bus.serial += 1
        text = f"{bus.serial} {BODY}"
        waited = {publisher, subscriber}
        begun = time.perf_counter()
        publisher.socket.sendall(f"publish alone {text}\n".encode())
        while waited:
            ready = poll.select(PATIENCE)
            now = (time.perf_counter() - begun) * 1000
            if not ready:
                raise Failed(f"{bus.label}: no answer or no message")
            for key, _ in ready:
                event = key.data.message()
                waited.discard(key.data)
                if key.data is publisher:
                    bus.acknowledged.append(now)
                    bus.wrong += event["kind"] != "ok"
                else:
                    bus.delivered.append(now)
                    bus.wrong += event.get("data") != text


def measure_single(bus):
    """One publisher, which waits for each answer."""
    publisher, count = Client(bus.machines[0]), 0
    begun = time.perf_counter()
    while time.perf_counter() < begun + SECONDS:
        bus.wrong += publisher.put("single", BODY)["kind"] != "ok"
        count += 1
    bus.single.append(count / (time.perf_counter() - begun))


def measure_grouped(bus):
    """Many publishers with many commands under way each; then the other machine must have them all."""
    subscriber, last = Client(bus.machines[-1]), Client(bus.machines[0])
    subscriber.subscribe("last")
    before, command = bus.committed(), f"publish grouped {BODY}\n".encode()
    poll = selectors.DefaultSelector()
    rests, sent, answered, good = {}, 0, 0, 0
    begun = time.perf_counter()
    for _ in range(CONNECTIONS):
        client = Client(bus.machines[0])
        poll.register(client.socket, selectors.EVENT_READ)
        client.socket.sendall(command * OUTSTANDING)
        sent += OUTSTANDING
    while answered < sent:
        ready = poll.select(PATIENCE)
        if not ready:
            raise Failed(f"{bus.label}: {sent - answered} commands without an answer")
        for key, _ in ready:
            received = key.fileobj.recv(1 << 16)
            if not received:
                raise Failed(f"{bus.label}: the bus socket was closed")
            lines, end, rest = (rests.get(key.fd, b"") + received).rpartition(b"\n")
            rests[key.fd] = rest
            count = (lines + end).count(b"\n")
            answered += count
            good += lines.count(b'"kind":"ok"')
            if time.perf_counter() < begun + SECONDS:
                key.fileobj.sendall(command * count)
                sent += count
    took = time.perf_counter() - begun
    bus.grouped.append(answered / took)
    # All channels share one order: a subscriber that has the last message has all before it.
    last.put("last", "x")
    subscriber.message()
    bus.caught_up.append((time.perf_counter() - begun - took) * 1000)
    bus.wrong += answered - good + abs(bus.committed() - before - good - 1)


def table(buses):
    def row(what, value):
        print(f"{what:<52}" + "".join(f"{value(bus):>16}" for bus in buses))

    def median(figures):
        return f"{statistics.median(figures):.2f}"

    def high(figures):
        return f"{statistics.quantiles(figures, n=100)[98]:.2f}"

    version = run(f"{PROGRAMS}/postgres", "--version").split()[2]
    messages = ", ".join(str(len(bus.delivered)) for bus in buses)
    load = f"{os.getloadavg()[0]:.1f}"
    print(
        f"""A bus of two machines, which are two processes with a directory each, beside a local bus of one process.
{os.cpu_count()} cores, shared with PostgreSQL and with this generator; load {load} at the end. All by bus sockets.
PostgreSQL {version} with fsync, by a Unix socket; all data in {PARENT}.
{ROUNDS} turns of {SECONDS:g} s for each scene; texts of {len(BODY)} bytes. Median and 99th percentile: of {messages}
messages, one at a time, about {RATE} a second at random times. Messages/s: median of the turns (least to most).
"""
    )
    row("", lambda bus: bus.label)
    row("publish to acknowledgement, median, ms", lambda bus: median(bus.acknowledged))
    row("… 99th percentile", lambda bus: high(bus.acknowledged))
    row("publish to delivery (on the other machine), median", lambda bus: median(bus.delivered))
    row("… 99th percentile", lambda bus: high(bus.delivered))
    for what, rates in (
        ("messages/s, one publisher that waits", lambda bus: bus.single),
        (f"messages/s, {CONNECTIONS} publishers, {OUTSTANDING} commands under way each", lambda bus: bus.grouped),
    ):
        row(what, lambda bus: f"{statistics.median(rates(bus)):.0f}")
        row("…", lambda bus: f"({min(rates(bus)):.0f} to {max(rates(bus)):.0f})")
    row("… then until the other machine has all, ms", lambda bus: f"{statistics.median(bus.caught_up):.1f}")
    row("refused, lost or repeated", lambda bus: bus.wrong)


def main():
    os.chmod(DIRECTORY, 0o711)
    alone = PostgreSQL("alone")
    primary = PostgreSQL("primary", "synchronous_standby_names=ANY 1 (standby)")
    PostgreSQL("standby", primary=primary)
    buses = [
        Bus("local", [Machine("local")]),
        Bus("PostgreSQL", [Machine("a1", alone, first=True), Machine("a2", alone)], alone),
        Bus("with a standby", [Machine("b1", primary, first=True), Machine("b2", primary)], primary),
    ]
    for scene in (measure_alone, measure_single, measure_grouped):
        for turn in range(ROUNDS):
            for bus in buses:
                print(f"bench: {bus.label}: {scene.__name__.removeprefix('measure_')} {turn + 1}", file=sys.stderr)
                scene(bus)
    table(buses)
    return sum(bus.wrong for bus in buses)


PARENT = os.path.dirname(DIRECTORY)
DIRECTORY = f"{DIRECTORY}/engine"
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
os.mkdir(DIRECTORY)
try:
    wrong = main()
except Failed as failure:
    sys.exit(f"bench: {failure}")
finally:
    end_all()
    shutil.rmtree(DIRECTORY, ignore_errors=True)
sys.exit(1 if wrong else 0)
