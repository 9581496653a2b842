"""Publishes any bytes, then prints the newest message and the next one: python3 example.py [SOCKET]"""
import json
import socket
import sys

bus = socket.socket(socket.AF_UNIX)
bus.settimeout(60)  # a ping comes every 15 seconds
bus.connect(sys.argv[1] if len(sys.argv) > 1 else "/run/holdfast-bus/bus.sock")
lines = bus.makefile("rb")

body = "hello from\nPython".encode()
bus.sendall(b"put news %d type=greeting key=once-42\n" % len(body) + body)
answer = json.loads(lines.readline())
if answer["kind"] != "ok":
    sys.exit(f"{answer['code']}: {answer['detail']}")
print("published as", answer["id"], flush=True)

bus.sendall(b"subscribe news since last:1\n")
seen = 0
for line in lines:
    event = json.loads(line)
    if event["kind"] == "message":
        print(event["channel"], json.dumps(event["data"]), flush=True)
        seen += 1
        if seen == 2:
            break
