"""A cleartext HTTP/2 client with prior knowledge that does what it is told on standard input, a line each:

    get TARGET      sends a GET and prints its stream's number
    reset STREAM    sends RST_STREAM with CANCEL and prints "reset"
    read STREAM     reads until the stream has ended and prints its status

usage: h2client.py PORT (on 127.0.0.1). Needs Debian's python3-h2.
"""

import socket
import sys

import h2.config
import h2.connection
import h2.errors
import h2.events

connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
server = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=30)
statuses = {}
ended = set()


def flush():
    server.sendall(connection.data_to_send())


def receive():
    data = server.recv(65536)
    if not data:
        sys.exit("the server closed the connection")
    for event in connection.receive_data(data):
        if isinstance(event, h2.events.ResponseReceived):
            statuses[event.stream_id] = dict(event.headers)[":status"]
        elif isinstance(event, h2.events.DataReceived):
            connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, (h2.events.StreamEnded, h2.events.StreamReset)):
            ended.add(event.stream_id)
    flush()


connection.initiate_connection()
flush()
for line in sys.stdin:
    command, argument = line.split()
    if command == "get":
        stream = connection.get_next_available_stream_id()
        fields = [(":method", "GET"), (":scheme", "http"), (":authority", "127.0.0.1"), (":path", argument)]
        connection.send_headers(stream, fields, end_stream=True)
        flush()
        print(stream, flush=True)
    elif command == "reset":
        connection.reset_stream(int(argument), h2.errors.ErrorCodes.CANCEL)
        flush()
        print("reset", flush=True)
    elif command == "read":
        while int(argument) not in ended:
            receive()
        print(statuses.get(int(argument), "none"), flush=True)
