"""Sends lines to a bus socket as another user, and prints as many lines of answer, and one more for a subscription.

    busclient.py USER SOCKET LINE…
"""
import os
import pwd
import socket
import sys

account = pwd.getpwnam(sys.argv[1])
os.initgroups(account.pw_name, account.pw_gid)
os.setgid(account.pw_gid)
os.setuid(account.pw_uid)
bus = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
bus.settimeout(30)
bus.connect(sys.argv[2])
lines = sys.argv[3:]
bus.sendall("".join(line + "\n" for line in lines).encode())
wanted = len(lines) + sum(line.startswith("subscribe") for line in lines)
answers = bus.makefile()
for _ in range(wanted):
    print(answers.readline(), end="")
