"""Sets a row of the table: python3 table.py NAME PRICE [SOCKET]

NAME is one word, because it is also the message's topic.
"""
import json
import socket
import sys

name, price, path = (sys.argv[1:] + ["/run/holdfast-bus/bus.sock"])[:3]
body = json.dumps({"name": name, "price": float(price)}).encode()
bus = socket.socket(socket.AF_UNIX)
bus.connect(path)
bus.sendall(f"put prices {len(body)} topic={name} content-type=application/json\n".encode() + body)
answer = json.loads(bus.makefile("rb").readline())
if answer["kind"] != "ok":
    sys.exit(answer["detail"])
