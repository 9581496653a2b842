"""One of many clients at a time: one client after the other, each with a random behaviour."""
import asyncio

from clients import client

# The behaviours of clients, with their frequencies.
HABITS = {
    "poll": 4,  # takes an immediate answer
    "long-poll": 4,  # takes whatever answer it gets
    "close": 3,
    "reset": 3,
    "half": 1,
    "stall": 1,  # does not read a large answer
}
# The longest stay of a client.
STAY_SECONDS = 0.5
# All holds have ended by then.
PATIENCE_SECONDS = 20


class Churner:
    def __init__(self, server, version, chance, channels, counts):
        self.server = server
        self.version = version
        self.chance = chance
        self.channels = channels
        self.counts = counts

    async def run(self, end):
        loop = asyncio.get_running_loop()
        while loop.time() < end:
            habit = self.chance.choices(list(HABITS), HABITS.values())[0]
            one = client(self.version, self.server.client_port(self.version), is_narrow=habit == "stall")
            try:
                await self.come_and_go(one, habit)
            except OSError:
                # A busy server may refuse a client.
                habit = "refused"
                await asyncio.sleep(0.05)
            finally:
                await one.end()
            self.counts[habit] += 1

    async def come_and_go(self, one, habit):
        base = self.server.kind.base
        channel = self.chance.choice(self.channels)
        if habit == "stall":
            await one.ask(f"{base}/large?since=first")
            await asyncio.sleep(self.chance.random() * 3)
        elif habit == "poll":
            await one.ask(f"{base}/{channel}?since=last:3")
            await one.receive_all(PATIENCE_SECONDS)
        elif habit == "long-poll":
            await one.ask(f"{base}/{channel}?wait=3")
            await one.receive_all(PATIENCE_SECONDS)
        else:
            query = self.chance.choice(("wait=3", "stream=sse"))
            await one.ask(f"{base}/{channel}?{query}")
            await asyncio.sleep(self.chance.random() * STAY_SECONDS)
            one.leave(habit)
            if habit == "half":
                await one.receive_all(PATIENCE_SECONDS)
