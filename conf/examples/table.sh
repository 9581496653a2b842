#!/bin/sh
# Sets a row of the table: sh table.sh NAME PRICE [SOCKET]
exec "${HOLDFAST:-holdfast}" pub --socket "${3:-/run/holdfast/bus.sock}" --json --topic "$1" prices \
    "{\"name\":\"$1\",\"price\":$2}"
