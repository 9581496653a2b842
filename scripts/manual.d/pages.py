"""Writes all man pages: python3 pages.py DIRECTORY < the program's --experimental-dump-help"""
import json
import pathlib
import re
import sys
import time

import commands
import inifile
from mdoc import example, fenced, wrapped

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent

# The newest heading of the changelog: "## 1.2.3 (2026-01-31)".
version, day = re.search(r"^## (\S+) \(.*?(\d{4}-\d\d-\d\d)", (ROOT / "CHANGELOG.md").read_text(), re.M).groups()
DATE = time.strftime("%B %d, %Y", time.strptime(day, "%Y-%m-%d")).replace(" 0", " ")
SYSTEM = f"Holdfast {version}"


def source(name):
    """A text of scripts/manual.d as mdoc; none is empty."""
    path = HERE / f"{name}.mdoc"
    lines = []
    for line in fenced(path.read_text()) if path.exists() else []:
        # Lines that are wholly comments say something about the source.
        if found := re.fullmatch(r'\.\\" include (\S+) (\S+)', line):
            lines += example(found[1], (ROOT / found[2]).read_text().splitlines())
        elif line.startswith(".Dd"):
            lines += [f".Dd {DATE}"]
        elif line.startswith(".Os"):
            lines += [f".Os {SYSTEM}"]
        else:
            lines.append(line)
    return lines


def insert(lines, marker, inserted):
    place = lines.index(marker)
    return lines[:place] + inserted + lines[place + 1:]


def main():
    target = pathlib.Path(sys.argv[1])
    said = json.load(sys.stdin)
    if "error" in said:
        sys.exit(said["error"])
    program = said["command"]
    head, body = inifile.middle((ROOT / "conf/holdfast.ini").read_text())
    pages = {
        "holdfast.1": insert(source("holdfast.1"), '.\\" commands', commands.overview(program)),
        "holdfast.ini.5": insert(
            insert(source("holdfast.ini.5"), '.\\" head', head), '.\\" sections', body
        ),
    }
    for path in sorted(HERE.glob("*.7.mdoc")):
        name = path.name.removesuffix(".mdoc")
        pages[name] = source(name)
    for command in commands.shown(program):
        name = f"holdfast-{command['commandName']}.1"
        pages[name] = commands.page(command, DATE, SYSTEM, source(name))
    for name, lines in pages.items():
        said = f'.\\" Made by scripts/manual; change its sources instead.'
        (target / name).write_text("\n".join([said, *wrapped(lines)]) + "\n")


main()
