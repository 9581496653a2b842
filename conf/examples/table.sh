#!/bin/sh
# Sets a row of the table: sh table.sh NAME PRICE [SOCKET]
# NAME is one word without quotation marks or backslashes: it is the message's topic, and is put into JSON unescaped.
exec "${HOLDFAST:-holdfast}" pub --socket "${3:-/run/holdfast-bus/bus.sock}" --json --topic "$1" prices \
    "{\"name\":\"$1\",\"price\":$2}"
