"""Notifies a user, by HTTP from anywhere: python3 notifications.py USER TEXT [BASE]"""
import json
import sys
import urllib.request

user, text, base = (sys.argv[1:] + ["http://localhost/push/"])[:3]
request = urllib.request.Request(
    f"{base}notices/{user}",
    data=json.dumps({"text": text}).encode(),
    headers={"Content-Type": "application/json", "Holdfast-Type": "warning"},
)
with urllib.request.urlopen(request, timeout=10) as answer:
    print(json.load(answer)["id"])
