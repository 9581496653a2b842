"""Reads figures with Prometheus' own parsers, and what stands on them in conf/grafana/.

usage: figures.py OPENMETRICS-FILE PROMETHEUS-FILE GRAFANA-DIRECTORY

Prints a sentence for each fault. Exits 1 if there is one.
"""

import json
import pathlib
import re
import sys

import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as prometheus

faults = []
files = [pathlib.Path(path).read_text() for path in sys.argv[1:3]]
samples = [
    {sample.name: sample for family in parse(text) for sample in family.samples}
    for parse, text in zip((openmetrics, prometheus), files)
]
if samples[0].keys() != samples[1].keys():
    faults.append(f"the two formats differ: {samples[0].keys() ^ samples[1].keys()}")

directory = pathlib.Path(sys.argv[3])
expressions = []
for path in directory.glob("*.json"):
    dashboard = json.loads(path.read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    if len(ids) != len(set(ids)):
        faults.append(f"{path.name}: two panels have one id")
    for panel in dashboard["panels"]:
        expressions += [target["expr"] for target in panel.get("targets", [])]
    expressions += [entry["expr"] for entry in dashboard["annotations"]["list"]]
for path in directory.glob("*.yml"):
    for group in yaml.safe_load(path.read_text())["groups"]:
        expressions += [rule["expr"] for rule in group["rules"]]

for expression in expressions:
    for name in re.findall(r"\b(?:holdfast|process)_[a-z_]+", expression):
        if name not in samples[1]:
            faults.append(f"no figure has the name {name}, in: {expression}")
if len(expressions) < 30:
    faults.append(f"only {len(expressions)} expressions were found")

for fault in faults:
    print(fault)
sys.exit(1 if faults else 0)
