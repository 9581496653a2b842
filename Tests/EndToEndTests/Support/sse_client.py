"""Reads an event stream with sseclient-py, a reader that is not ours: python3 sse_client.py URL COUNT

Prints each event as a line of JSON, [id, event, data], until so many have come.
"""
import json
import sys
import urllib.request

import sseclient

url, count = sys.argv[1], int(sys.argv[2])
request = urllib.request.Request(url, headers={"Accept": "text/event-stream"})
with urllib.request.urlopen(request, timeout=60) as response:
    for event in sseclient.SSEClient(response).events():
        print(json.dumps([event.id, event.event, event.data]), flush=True)
        count -= 1
        if count == 0:
            break
