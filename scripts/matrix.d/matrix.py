"""The work of scripts/matrix, which explains it."""
import argparse
import asyncio
import sys

from cells import KINDS, WAYS
from place import Failed
from row import Row
from servers import KINDS as SERVERS

HEADINGS = ("closes", "resets", "half-closes", "stops reading", "leaves in the answer")
# Rows at a time; each has up to three processes.
TOGETHER = 3


def print_table(rows):
    widths = (38, 9, 4, *(22 for _ in WAYS))
    print("".join(f"{text:{width}} " for text, width in zip(("server", "request", "HTTP", *HEADINGS), widths)))
    for row in rows:
        name = f"{row.server.kind.title} {row.server.kind.version}"
        for version in ("1.1", "2"):
            for kind in KINDS:
                texts = {cell.way: cell.text for cell in row.cells if (cell.kind, cell.version) == (kind, version)}
                if texts:
                    fields = (name, kind, version, *(texts[way] for way in WAYS))
                    print("".join(f"{text:{width}} " for text, width in zip(fields, widths)).rstrip())
                    name = ""
        leaks = "; ".join(row.leaks) or "nothing leaked"
        print(f"  {leaks}; {row.memory} kB resident, {row.memory_grown:+} kB after the row")


def print_markdown(rows):
    """A row for each server, short enough for a page."""
    headings = ("long-poll, HTTP/1.1: client closes; resets", "long-poll, HTTP/2: closes; RST_STREAM")
    print(f"| | {' | '.join(headings)} | stream, HTTP/1.1: closes |\n|---|---|---|---|")
    for row in rows:
        found = {(cell.kind, cell.way, cell.version): cell.brief for cell in row.held}

        def pair(version):
            first, second = found.get(("long-poll", "close", version)), found.get(("long-poll", "reset", version))
            if first is None:
                return "–"
            return first if first == second else f"{first}; {second}"

        server = row.server.kind
        stream = found["stream", "close", "1.1"]
        print(f"| {server.title} ({server.version}) | {pair('1.1')} | {pair('2')} | {stream} |")


async def run(options):
    names = options.servers.split(",") if options.servers else list(SERVERS)
    for name in names:
        if name not in SERVERS:
            raise Failed(f"no server '{name}'; there are {', '.join(SERVERS)}")
    rows = [Row(options, name) for name in names]
    together = asyncio.Semaphore(len(rows) if options.quick else TOGETHER)

    async def run_row(row):
        async with together:
            await row.run()

    outcomes = await asyncio.gather(*(run_row(row) for row in rows), return_exceptions=True)
    faults = []
    done = []
    for row, outcome in zip(rows, outcomes):
        if outcome is None:
            done.append(row)
            faults += row.faults
        elif isinstance(outcome, (Failed, OSError)):
            faults.append(f"{row.server.name}: {outcome}")
        else:
            raise outcome
    print(
        f"[hold] probe = {options.probe}, probe_interval = {options.interval}s; long-polls wait {options.wait} s, "
        f"streams live {options.life} s; clients leave half an interval after a probe"
    )
    if options.markdown:
        print_markdown(done)
    else:
        print_table(done)
    for fault in faults:
        print(f"WRONG: {fault}")
    print(f"{sum(len(row.cells) for row in done)} cells, {len(faults)} faults")
    return 1 if faults else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--root", required=True)
    parser.add_argument("--holdfast", required=True)
    parser.add_argument("--servers")
    parser.add_argument("--probe", choices=("off", "auto", "always"), default="auto")
    parser.add_argument("--interval", type=int, choices=range(1, 11), default=1)
    parser.add_argument("--memory", type=int, default=8192)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--keep", action="store_true")
    options = parser.parse_args()
    # Longer than the five probes of which Caddy needs four.
    options.wait = 5 * options.interval + 1
    # Not equal to it, so that the two ends are distinguishable; and long enough that a stream is given up as unread
    # before, also on a busy machine.
    options.life = options.wait + 4
    try:
        return asyncio.run(run(options))
    except Failed as problem:
        print(f"matrix: {problem}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
