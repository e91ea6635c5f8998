"""What is sent while the service is tortured: a made-up force's lookups, some twice, some late, and poison among them."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from random import Random

import orjson
from aiokafka.errors import KafkaError

from monitor.commands.ingest import event_out
from monitor.settings import Settings
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import simulate
from monitor.stream.batches import BatchWriter, Out
from tests.samples import BAD

#: Messages a second, if nothing else is asked for.
RATE = 500
_PER_ACTOR_DAY, _DAYS, _FEWEST_ACTORS = 20, 7, 20
#: Always the same days, so that a seed gives the same bytes whenever it is run.
_START = datetime(2025, 1, 6, tzinfo=UTC)
_AGAIN, _POISON = 0.01, 0.005
_LOOK_BACK = 300
_TICK = 0.2
#: A producer that Kafka has not answered for so long has met something worse than a restart of the broker.
GIVE_UP = 120.0


@dataclass(frozen=True)
class Traffic:
    """All that will be sent: reference records, messages in order, and which of the messages are poison."""

    reference: list[bytes]
    messages: list[bytes | None]
    poison: frozenset[bytes | None]


def make_traffic(rng: Random, minutes: float, rate: int = RATE) -> Traffic:
    """Traffic for so many minutes at ``rate`` messages a second; the same draws give the same bytes."""
    count = max(1, int(minutes * 60 * rate))
    actors = max(_FEWEST_ACTORS, count // (_PER_ACTOR_DAY * _DAYS))
    force = simulate(ForceSettings(seed=rng.randrange(2**31), days=_DAYS, actors=actors, start=_START))
    messages: list[bytes | None] = []
    poison: set[bytes | None] = set()
    for event in islice(force.events(), count):
        raw = orjson.dumps(event)
        messages.append(raw)
        # The simulator's own line delivers late and twice; this repeats what is further back, and out of its order.
        if rng.random() < _AGAIN and (again := messages[-rng.randint(1, min(_LOOK_BACK, len(messages)))]) not in poison:
            messages.append(again)
        if rng.random() < _POISON:
            bad = _poison(rng, raw)
            poison.add(bad)
            messages.append(bad)
    return Traffic([orjson.dumps(record) for record in force.reference], messages, frozenset(poison))


def _poison(rng: Random, raw: bytes) -> bytes | None:
    """A message that is no lookup: one of the samples, or a lookup cut off, robbed of a field, or not UTF-8."""
    kind = rng.randrange(4)
    if kind == 0:
        return raw[: rng.randint(1, len(raw) - 1)]
    if kind == 1:
        event = orjson.loads(raw)
        del event[rng.choice(("id", "time", "system", "action", "actor"))]
        return orjson.dumps(event)
    if kind == 2:
        return raw[:-2] + b"\xff" + raw[-2:]
    return rng.choice(BAD)[1]


class Feeder(threading.Thread):
    """Sends the messages at their pace, through whatever happens to the broker.

    A part that Kafka did not acknowledge is sent again, so some of it may be in the log twice; hence whoever compares must
    read the log. ``give_up`` is for how many seconds one part is tried; ``trouble`` is why it ended early, if it did.
    """

    def __init__(
        self, settings: Settings, messages: list[bytes | None], rate: int = RATE, give_up: float = GIVE_UP
    ) -> None:
        super().__init__(daemon=True, name="feeder")
        self.trouble: BaseException | None = None
        self._settings = settings
        self._messages = messages
        self._rate = rate
        self._give_up = give_up

    def run(self) -> None:
        """Send everything."""
        try:
            asyncio.run(self._feed())
        except Exception as error:
            self.trouble = error

    async def _feed(self) -> None:
        writer = BatchWriter(self._settings.kafka)
        await writer.start()
        try:
            began, size = time.monotonic(), max(1, int(self._rate * _TICK))
            for number, at in enumerate(range(0, len(self._messages), size)):
                await asyncio.sleep(max(0.0, began + number * _TICK - time.monotonic()))
                part = [self._out(at + n, raw) for n, raw in enumerate(self._messages[at : at + size])]
                await _write(writer, part, self._give_up)
        finally:
            await writer.stop()

    def _out(self, number: int, raw: bytes | None) -> Out:
        # A lookup that event_out cannot read is poison, and is spread over the partitions by its number.
        return event_out(raw, self._settings.partitions, number)  # type: ignore[arg-type]  # a tombstone is poison too


async def _write(writer: BatchWriter, part: list[Out], give_up: float) -> None:
    deadline = time.monotonic() + give_up
    while True:
        try:
            return await writer.write(part)
        except (KafkaError, OSError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
