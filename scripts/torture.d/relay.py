"""The network between a machine and the servers of PostgreSQL: passes connections on, until it is told otherwise.

usage: relay.py SOCKET...

Listens on 127.0.0.1 for each of these Unix sockets, and prints its ports as one line. Each line of standard input
changes what it does, at once:
  open      passes everything, in both directions; what was kept back before comes now
  silent    passes nothing and takes no connection, without telling anyone (as if packets were lost)
  deaf      passes requests, and keeps their answers back
  slow      passes everything late
  refusing  resets all connections, and each new one
  reset     resets all connections, and goes on as before
Ends with its standard input.
"""
import asyncio
import contextlib
import signal
import socket
import struct
import sys

# Few, so that further connections are not even established while it is silent.
BACKLOG = 4
LATE_SECONDS = 0.3


class Relay:
    def __init__(self):
        self.accepting, self.asking, self.answering = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.delay = 0
        self.is_refusing = False
        self.connections = {}
        self.set("open")

    def set(self, mode):
        if mode != "reset":
            self.is_refusing = mode == "refusing"
            self.delay = LATE_SECONDS if mode == "slow" else 0
            for event, is_set in (
                (self.accepting, mode != "silent"), (self.asking, mode != "silent"),
                (self.answering, mode not in ("silent", "deaf")),
            ):
                event.set() if is_set else event.clear()
        if mode in ("reset", "refusing"):
            for task in list(self.connections):
                task.cancel()

    async def serve(self, listener, path):
        loop = asyncio.get_running_loop()
        while True:
            await self.accepting.wait()
            client, _ = await loop.sock_accept(listener)
            client.setblocking(False)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.is_refusing:
                reset(client)
                continue
            task = asyncio.create_task(self.connect(client, path))
            self.connections[task] = client
            task.add_done_callback(self.connections.pop)

    async def connect(self, client, path):
        server = socket.socket(socket.AF_UNIX)
        server.setblocking(False)
        try:
            await self.asking.wait()
            await asyncio.get_running_loop().sock_connect(server, path)
            pumps = [
                asyncio.create_task(self.pump(client, server, self.asking)),
                asyncio.create_task(self.pump(server, client, self.answering)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in pumps:
                    one.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
        except asyncio.CancelledError:
            reset(client)
        except OSError:
            # As a machine answers on a port without a listener.
            reset(client)
        finally:
            client.close()
            server.close()

    async def pump(self, source, target, gate):
        """Until the source ends; then neither side sends anything to the other."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while data := await loop.sock_recv(source, 65536):
                # What is under way is delayed, too.
                await gate.wait()
                if self.delay:
                    await asyncio.sleep(self.delay)
                    await gate.wait()
                await loop.sock_sendall(target, data)
            await gate.wait()


def reset(connection):
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def main(paths):
    loop = asyncio.get_running_loop()
    relay = Relay()
    listeners = [socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) for _ in paths]
    for listener in listeners:
        listener.setblocking(False)
    serving = [asyncio.create_task(relay.serve(*pair)) for pair in zip(listeners, paths)]
    print(*(listener.getsockname()[1] for listener in listeners), flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        relay.set(line.decode().strip())
        print("done", flush=True)
    for task in serving:
        task.cancel()


# A terminal's Ctrl-C also reaches the program that started this one, and that ends this one by closing its input.
signal.signal(signal.SIGINT, signal.SIG_IGN)
asyncio.run(main(sys.argv[1:]))
