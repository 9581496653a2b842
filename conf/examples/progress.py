"""Does a job in ten steps and reports its progress: python3 progress.py [JOB [SOCKET]]"""
import json
import socket
import sys
import time

job = sys.argv[1] if len(sys.argv) > 1 else "42"
path = sys.argv[2] if len(sys.argv) > 2 else "/run/holdfast-bus/bus.sock"
bus = socket.socket(socket.AF_UNIX)
bus.connect(path)
answers = bus.makefile("rb")
for step in range(1, 11):
    time.sleep(0.1)  # the work
    bus.sendall(f"json jobs/{job} {json.dumps({'done': step, 'of': 10})}\n".encode())
    answer = json.loads(answers.readline())
    if answer["kind"] != "ok":
        sys.exit(answer["detail"])
