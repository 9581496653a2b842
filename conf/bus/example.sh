#!/bin/sh
# Publishes a line of text, then prints the newest message and the next one: sh example.sh [SOCKET]
bus=${1:-/run/holdfast-bus/bus.sock}
answer=$(printf 'publish news hello from the shell\n' | socat -t 5 - "UNIX-CONNECT:$bus") || exit
echo "$answer"
case $answer in *'"kind":"ok"'*) ;; *) exit 1 ;; esac
printf 'subscribe news since last:1\n' | socat -t 3600 - "UNIX-CONNECT:$bus" | sed -u 3q
