"""The actions of clients, and how Holdfast must treat them behind each server."""

WAYS = ("close", "reset", "half", "stall", "amid")
KINDS = ("long-poll", "stream", "poll")
# While nothing is sent. These run side by side: each has its own channel, by which they are distinguished.
HELD_WAYS = [(kind, way) for kind in ("long-poll", "stream") for way in ("close", "reset", "half")]
HELD_WAYS.append(("long-poll", "stall"))
# While an answer or messages are sent. One after the other.
IN_TURN_WAYS = [("long-poll", "amid"), ("stream", "stall"), ("stream", "amid")]
IN_TURN_WAYS += [("poll", way) for way in WAYS]

# The probe at which a server that does not watch a waiting client closes, by way and version of HTTP. None: not before
# the hold's end, because a client that has only half-closed still reads.
PROBES = {
    ("close", "1.1"): 2, ("reset", "1.1"): 1, ("half", "1.1"): None,
    ("close", "2"): 1, ("reset", "2"): 1, ("half", "2"): 1,
}
CADDY_PROBES = {
    ("close", "1.1"): 4, ("reset", "1.1"): 3, ("half", "1.1"): None,
    ("close", "2"): 2, ("reset", "2"): 2, ("half", "2"): 2,
}
HIDING = {
    "apache": PROBES, "caddy": CADDY_PROBES, "nginx-routing": PROBES, "apache-routing": PROBES,
    "apache-cgi": PROBES, "busybox-cgi": PROBES,
}
LAYERS = ("nginx-routing", "apache-routing")
# unsent_timeout of the ini file.
UNSENT_SECONDS = 2
# More than it takes on a busy machine; what counts is the reason for which a request is released.
SLACK_SECONDS = 8


class Cell:
    """A client of one server, and the fate of its request."""

    def __init__(self, options, server, kind, way, version, prefix=""):
        self.options = options
        self.server = server
        self.kind = kind
        self.way = way
        self.version = version
        # With the server's name: a client that reaches another's Holdfast is not taken for one of that row.
        self.channel = f"{prefix}{server}/{kind}/{way}/{version}"
        self.seconds = None  # from the client's departure until the request was released
        self.reasons = set()  # the endings; several if several requests ended at once
        self.was_late = False  # the machine was busy for so long that something else may have ended the request first
        self.trouble = None

    @property
    def may_be_taken_whole(self):
        """A layer has room for a large answer, in its sockets or on disk, and may take all of it before the client leaves."""
        return self.server in LAYERS and self.kind != "stream" and self.way in ("stall", "amid")

    @property
    def expected(self):
        """The reasons of which one is right, and the number of seconds allowed."""
        if self.way in ("stall", "amid") or self.kind == "poll":
            return self.expected_in_turn
        probes = 0
        if self.server in HIDING:
            probes = HIDING[self.server][self.way, self.version]
        # Streams have their heartbeats in any case.
        if self.options.probe == "off" and self.server in HIDING and self.kind == "long-poll":
            probes = None
        if probes is None:
            return self.expected_end
        if probes == 0:
            return {"closed"}, 0
        # Holdfast decides within a quarter of a second whether a probe revealed it; a busy machine may take longer.
        return {"probe", "closed"}, probes * self.options.interval

    @property
    def expected_end(self):
        if self.kind == "stream":
            return {"lifetime"}, self.options.life
        return {"deadline"}, self.options.wait

    @property
    def expected_in_turn(self):
        if self.kind == "poll" and self.way not in ("stall", "amid"):
            return {"answered"}, 0
        if self.kind == "long-poll" and self.way == "stall":
            return self.expected_end
        if self.may_be_taken_whole:
            return {"answered", "closed", "unsent"}, UNSENT_SECONDS
        if self.way == "amid":
            return {"closed", "probe"}, 0
        if self.server in LAYERS:
            return {"unsent", "lifetime"}, self.options.life
        return {"unsent"}, UNSENT_SECONDS

    @property
    def fault(self):
        """What is wrong, as a sentence; None if nothing is."""
        reasons, seconds = self.expected
        expected = f"expected {' or '.join(sorted(reasons))} within {seconds + SLACK_SECONDS} s"
        name = f"{self.server}: {self.kind}, {self.way}, HTTP/{self.version}"
        if self.trouble is not None:
            return f"{name}: {self.trouble}"
        if self.seconds is None:
            return f"{name}: not released; {expected}"
        if not self.reasons & reasons or self.seconds > seconds + SLACK_SECONDS:
            return f"{name}: {' or '.join(sorted(self.reasons))} after {self.seconds:.2f} s; {expected}"
        return None

    @property
    def text(self):
        """For a table: how soon, and for what reason."""
        if self.seconds is None:
            return self.trouble or "NOT RELEASED"
        by = "/".join(sorted(self.reasons & self.expected[0] or self.reasons))
        return f"{self.seconds:.2f} s {by}"

    @property
    def brief(self):
        """The same in words that are valid for any interval."""
        reasons = self.reasons & self.expected[0] or self.reasons
        if self.seconds is None:
            return "never"
        if "probe" in reasons or ("closed" in reasons and self.expected[1] > 0):
            # Clients leave halfway between two probes.
            number = int(self.seconds / self.options.interval) + 1
            return {1: "1st probe", 2: "2nd probe", 3: "3rd probe"}.get(number, f"{number}th probe")
        if "closed" in reasons:
            return "at once" if self.seconds < 0.5 else f"{self.seconds:.1f} s"
        return " or ".join(sorted(reasons))
