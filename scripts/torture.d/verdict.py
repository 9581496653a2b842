"""The content of the site's log, and whether all that was received and acknowledged agrees with it."""
import bisect
import contextlib
import json
import sqlite3
from collections import Counter

# What log.sqlite calls a message whose body is JSON.
JSON_KIND = 0


class Epochs:
    """The site's, oldest first; messages at or above the start of a later epoch are not those of an earlier epoch."""

    def __init__(self, rows):
        """`rows`: name, start, and whether it tells of a loss."""
        self.starts = [start for _, start, _ in rows]
        self.number = {name: number for number, (name, _, _) in enumerate(rows)}
        self.losses = [number for number, (_, _, is_loss) in enumerate(rows) if is_loss]
        # The least start of all later epochs.
        self.bounds = [float("inf")] * len(rows)
        for number in range(len(rows) - 2, -1, -1):
            self.bounds[number] = min(self.bounds[number + 1], self.starts[number + 1])

    def lie_between(self, name, other):
        """Whether an epoch that tells of a loss began after the first, up to the other."""
        return any(self.number[name] < number <= self.number[other] for number in self.losses)

    def bound(self, name):
        """Offsets of this epoch at or above it were lost."""
        return self.bounds[self.number[name]]


class SiteLog:
    """The content of all machines' logs together: channel and text by offset."""

    def __init__(self):
        self.messages = {}
        # Offsets that had another message at another time.
        self.changed = set()

    def read(self, machine):
        """Adds what a machine has now; returns it, and the newest group that it has."""
        with contextlib.closing(sqlite3.connect(f"file:{machine.bus}/log.sqlite?mode=ro", uri=True, timeout=20)) as log:
            log.execute("BEGIN")
            rows = log.execute(
                "SELECT offset, name, body, kind, content_type, time FROM messages JOIN channels ON id = channel "
                "ORDER BY offset"
            ).fetchall()
            row = log.execute("SELECT seq, chain FROM engine").fetchone()
        found = {
            offset: (name, json.loads(body) if kind == JSON_KIND else body.decode(), kind, content_type, time)
            for offset, name, body, kind, content_type, time in rows
        }
        for offset, value in found.items():
            if self.messages.setdefault(offset, value) != value:
                self.changed.add(offset)
                self.messages[offset] = value
        return found, row


def position(machine):
    """The newest of the engine's groups that a machine has applied: its number (-1: none) and its chain."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{machine.bus}/log.sqlite?mode=ro", uri=True, timeout=20)) as log:
            return log.execute("SELECT seq, chain FROM engine").fetchone() or (-1, b"")
    except sqlite3.Error:
        return (-1, b"")


class Verdict:
    def __init__(self, messages, changed, epochs, head, has_lost):
        """`messages`: of the site's log, by offset. `head`: its newest offset. `has_lost`: a server has, on purpose."""
        self.has_lost = has_lost
        self.messages, self.changed, self.epochs, self.head = messages, changed, epochs, head
        self.faults = []
        # Messages that were received, and lost with the server that had them before any subscriber was told.
        self.lost = 0
        self.lost_acknowledged = 0
        self.places = {}
        for offset in sorted(messages):
            self.places.setdefault(messages[offset][0], []).append(offset)

    def check_log(self):
        if self.epochs.losses and not self.has_lost:
            self.faults.append("an epoch tells of a loss, although nothing was lost")
        missing = self.head - len(self.messages)
        if missing or any(not 1 <= offset <= self.head for offset in self.messages):
            self.faults.append(f"of the {self.head} offsets of the log, {missing} have no message on any machine")
        starts = self.epochs.starts
        for offset in self.changed:
            if not any(start <= offset for start in starts[1:]):
                self.faults.append(f"offset {offset} had two messages, although no epoch began before")

    def check_machines(self, logs):
        """`logs`: by the machine's name, the content of each in the end."""
        for name, log in logs.items():
            offsets = sorted(log)
            if offsets and (offsets[-1] != self.head or len(offsets) != self.head - offsets[0] + 1):
                self.faults.append(
                    f"{name} has {len(offsets)} messages from {offsets[0]} to {offsets[-1]}, of {self.head}"
                )
            wrong = [offset for offset in offsets if log[offset] != self.messages[offset]]
            if wrong:
                self.faults.append(f"{name} has other messages than the others at {wrong[:5]} and {len(wrong)} in all")

    def check_publisher(self, publisher):
        """How many of its messages were acknowledged, and how many are there twice."""
        places = {}
        for offset, (channel, text, *_) in sorted(self.messages.items()):
            name, _, number = text.partition(" ")
            if name == publisher.name:
                places.setdefault(int(number), []).append(offset)
                if channel != publisher.channel:
                    self.faults.append(f"{text} is on channel {channel}")
        certain = set(range(1, publisher.acknowledged + 1)) - publisher.unknown - publisher.void
        missing = sorted(certain - set(places))
        if self.has_lost and (self.epochs.losses or publisher.waits_outside):
            self.lost_acknowledged += len(missing)
        elif missing:
            self.faults.append(f"{publisher.name}: acknowledged and not there: {missing[:5]}, {len(missing)} in all")
        if void := sorted(publisher.void & set(places)):
            self.faults.append(f"{publisher.name}: rolled back and there: {void[:5]}, {len(void)} in all")
        repeated = {number: found for number, found in places.items() if len(found) > 1}
        if repeated and not publisher.may_repeat:
            self.faults.append(f"{publisher.name}: there more than once: {dict(list(repeated.items())[:5])}")
        for last in range(publisher.size, max(places, default=0) + 1, publisher.size):
            found = [places.get(number, [0])[0] for number in range(last - publisher.size + 1, last + 1)]
            if any(found) and found != list(range(found[0], found[0] + publisher.size)):
                self.faults.append(f"{publisher.name}: not whole and together: {last} and those before, at {found}")
        # One whose outcome was unknown may come later.
        order = [places[number][0] for number in sorted(set(places) - publisher.unknown)]
        if order != sorted(order):
            self.faults.append(f"{publisher.name}: not in the order in which they were published")
        return len(certain), sum(len(found) - 1 for found in repeated.values())

    def check_truth(self, truth):
        """All that any subscriber received is in the log, or was lost with an epoch."""
        for name, (channel, text) in truth.items():
            epoch, offset = name.split("-")
            offset = int(offset, 16)
            if epoch not in self.epochs.number:
                self.faults.append(f"{name} ({text}) is of no epoch of the site")
            elif self.messages.get(offset, ())[:2] == (channel, text):
                continue
            elif offset >= self.epochs.bound(epoch):
                self.lost += 1
            else:
                self.faults.append(f"{name} ({text}) was received, and is not in the log")

    def check_received(self, number, received):
        faults = list(received.faults)
        where = sorted(offset for channel in received.channels for offset in self.places.get(channel, ()))
        # Received something that was lost, and has not been told of it yet.
        is_owed = False
        end, before = 0, None
        for run in received.runs[1:]:
            if run.epoch not in self.epochs.number:
                faults.append(f"got a cursor of epoch {run.epoch}, which is none of the site's")
                continue
            bound = self.epochs.bound(run.epoch)
            if run.gap not in (None, "trimmed", "restarted"):
                faults.append(f"was told of a gap of the kind {run.gap}")
            if run.gap == "trimmed" and run.start < end:
                faults.append(f"was sent back by a gap, from {end} to {run.start}")
            if before is not None and run.gap is None and self.epochs.lie_between(before, run.epoch):
                faults.append(f"went from {before} to {run.epoch}, between which something was lost, and was not told")
            before = run.epoch
            if is_owed and run.gap != "restarted" and run.end < bound:
                faults.append(f"goes on at {run.epoch}-{run.start:x} after what was lost, and was not told")
            is_owed = run.end >= bound
            end = run.end
            upper = min(run.end, bound - 1)
            expected = where[bisect.bisect_right(where, run.start) : bisect.bisect_right(where, upper)]
            found = [offset for offset in run.offsets if offset < bound]
            if found != expected:
                missing = sorted(set(expected) - set(found))
                more = sorted(set(found) - set(expected))
                twice = [offset for offset, count in Counter(found).items() if count > 1]
                faults.append(
                    f"of {run.epoch} from {run.start} to {run.end}: missing {missing[:5]} ({len(missing)}), "
                    f"not in the log {more[:5]}, twice {twice[:5]}"
                )
        if is_owed:
            faults.append("was never told of what was lost")
        self.faults += [f"subscriber {number} {sentence}" for sentence in faults]
