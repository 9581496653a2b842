"""Holds so many requests open, and leaves with all of them at once when it is killed.

Asks for one more batch at each line of its input, for a web server that is overrun refuses some.

python3 crowd.py PORT COUNT TARGET
"""
import resource
import socket
import sys

port, count, target = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
sockets = []
for number in range(count):
    if number % 500 == 0:
        sys.stdin.readline()
    client = socket.socket()
    # Loopback addresses of its own, so that ports do not run out.
    client.bind((f"127.0.{1 + number // 5000}.1", 0))
    client.connect(("127.0.0.1", port))
    client.sendall(request)
    sockets.append(client)
sys.stdin.read()
