"""Observes when and how held requests end, from what Holdfast reports on its bus socket."""
import asyncio
from collections import Counter


class Watch:
    """Asks repeatedly. A channel stands for one held request; it and a count in `ended` belong together."""

    INTERVAL_SECONDS = 0.02

    def __init__(self, responder):
        self.responder = responder
        self.held = set()
        self.ended_at = {}
        self.reasons = {}
        self.status = None
        self.asked_at = 0  # when it was asked for
        self.most_connections = 0  # since it was last set
        self.gone = {}  # channel → when, not yet explained
        self.unexplained = Counter()
        self.news = asyncio.Condition()

    async def run(self):
        counts = None
        while True:
            asked_at = asyncio.get_running_loop().time()
            status, channels = await self.responder.status_and_held()
            now = asyncio.get_running_loop().time()
            held = {channel for channel, count in channels.items() if count > 0}
            if counts is not None:
                for reason, count in status["ended"].items():
                    self.unexplained[reason] += count - counts[reason]
            counts = status["ended"]
            for channel in held:
                # A stream that is behind does not count as held until it has caught up.
                self.gone.pop(channel, None)
            for channel in self.held - held:
                self.gone.setdefault(channel, now)
            self.explain()
            async with self.news:
                self.held = held
                self.status, self.asked_at = status, asked_at
                self.most_connections = max(self.most_connections, status["connections"])
                self.news.notify_all()
            await asyncio.sleep(self.INTERVAL_SECONDS)

    def explain(self):
        """The counts change a moment before or after; if several ended at once, each may have ended in each way."""
        if not self.gone or sum(self.unexplained.values()) != len(self.gone):
            return
        reasons = {reason for reason, count in self.unexplained.items() if count}
        for channel, time in self.gone.items():
            self.ended_at[channel] = time
            self.reasons[channel] = reasons
        self.gone, self.unexplained = {}, Counter()

    async def look(self):
        """Waits for a status that was asked for after this call."""
        now = asyncio.get_running_loop().time()
        async with self.news:
            await self.news.wait_for(lambda: self.asked_at >= now)

    async def until(self, condition, seconds):
        """Whether the condition becomes true within that time."""
        async with self.news:
            try:
                await asyncio.wait_for(self.news.wait_for(condition), seconds)
                return True
            except asyncio.TimeoutError:
                return False
