"""Clients over HTTP/1.1 and cleartext HTTP/2 that can leave as abruptly as real clients do."""
import asyncio
import socket
import struct

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions


class Client:
    """A request on its own connection. Received bytes are counted, not stored."""

    def __init__(self, port, is_narrow=False):
        """`is_narrow`: buffers little while it does not read, and makes its server's socket buffer little as well."""
        self.port = port
        self.socket = socket.socket()
        self.socket.setblocking(False)
        if is_narrow:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            # Linux sizes the other side's buffer by the largest segment, which on the loopback device is 64 kB.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        self.reading = None
        self.received = 0
        self.has_ended = False

    async def ask(self, target):
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self.socket, ("127.0.0.1", self.port))
        await loop.sock_sendall(self.socket, self.request(target))

    async def receive(self, count, seconds):
        """Whether this many bytes of the answer arrive within this time."""
        try:
            await asyncio.wait_for(self.read_until(count), seconds)
        except asyncio.TimeoutError:
            pass
        return self.received >= count

    async def read_until(self, count):
        loop = asyncio.get_running_loop()
        while self.received < count and not self.has_ended:
            try:
                data = await loop.sock_recv(self.socket, 65536)
            except OSError:
                data = b""
            if not data:
                self.has_ended = True
                return
            await self.take(data)

    async def receive_all(self, seconds):
        """Reads until the answer has ended, or for this long."""
        if self.reading is None:
            self.read_on()
        await asyncio.wait([self.reading], timeout=seconds)

    def read_on(self):
        """Reads whatever arrives, from now on."""
        self.reading = asyncio.create_task(self.read_until(float("inf")))

    def leave(self, way):
        """`close`, `reset` or `half`; after the last, the client continues to read."""
        if way == "half":
            self.socket.shutdown(socket.SHUT_WR)
            self.read_on()
        elif way == "reset":
            self.reset()
        else:
            self.socket.close()

    def reset(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    async def end(self):
        if self.reading is not None:
            self.reading.cancel()
            await asyncio.wait([self.reading])
            self.reading = None
        self.socket.close()


class Client1(Client):
    """HTTP/1.1. The connection is for one request, so an answer ends with it."""

    def request(self, target):
        host = f"Host: 127.0.0.1:{self.port}\r\nConnection: close"
        return f"GET {target} HTTP/1.1\r\n{host}\r\n\r\n".encode()

    async def take(self, data):
        self.received += len(data)


class Client2(Client):
    """HTTP/2, with prior knowledge."""

    def request(self, target):
        configuration = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.connection = h2.connection.H2Connection(configuration)
        self.connection.initiate_connection()
        self.connection.send_headers(
            1,
            [
                (":method", "GET"), (":scheme", "http"), (":path", target),
                (":authority", f"127.0.0.1:{self.port}"),
            ],
            end_stream=True,
        )
        return self.connection.data_to_send()

    async def take(self, data):
        try:
            events = self.connection.receive_data(data)
        except h2.exceptions.ProtocolError:
            self.has_ended = True
            return
        for event in events:
            if isinstance(event, h2.events.ResponseReceived):
                self.received += 1
            elif isinstance(event, h2.events.DataReceived):
                self.received += len(event.data)
                if event.flow_controlled_length and not event.stream_ended:
                    try:
                        self.connection.acknowledge_received_data(event.flow_controlled_length, 1)
                    except h2.exceptions.StreamClosedError:
                        pass
            elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
                self.has_ended = True
            elif isinstance(event, h2.events.ConnectionTerminated):
                self.has_ended = True
        await self.flush()

    async def flush(self):
        try:
            await asyncio.get_running_loop().sock_sendall(
                self.socket, self.connection.data_to_send()
            )
        except OSError:
            self.has_ended = True

    def reset(self):
        """RST_STREAM, as of an aborted fetch: the connection stays."""
        self.connection.reset_stream(1, h2.errors.ErrorCodes.CANCEL)
        # A few bytes, which are sent at once.
        self.socket.send(self.connection.data_to_send())
        self.has_ended = False
        self.read_on()


def client(version, port, is_narrow=False):
    return (Client2 if version == "2" else Client1)(port, is_narrow)
