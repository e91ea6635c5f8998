"""Whether a worker gets on with its work: what its readiness says, and when it had better start anew."""

from __future__ import annotations

import time
from typing import Any

from faust.types import TP

from monitor.metrics import Metrics


class Progress:
    """What a worker has done and what is left, by source partition. Times are those of the monotonic clock."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._troubled_since: float | None = None
        self._silent_since: float | None = None
        self._moved = time.monotonic()
        self._lagging: set[TP] = set()
        self._beat: float | None = None
        self._is_unanswered = False

    def beat(self) -> None:
        """The event loop runs. Called by a timer; from the first time on, silence means that it hangs."""
        self._beat = time.monotonic()

    def hangs(self) -> float:
        """For how many seconds there has been no progress that may come back by starting anew, and not by waiting."""
        silent = 0.0 if self._beat is None else time.monotonic() - self._beat
        return max(silent, self.stalled())

    def moved(self, stage: str, message: Any, end: int | None) -> None:
        """A chunk is done. ``end`` is the end of its partition, as far as is known."""
        partition = str(message.partition)
        self._metrics.progress.labels(stage, partition).set(time.time())
        lag = max(0, (end or 0) - message.offset - 1)
        self._metrics.lag.labels(stage, partition).set(lag)
        behind = max(0.0, time.time() - message.timestamp) if lag else 0.0
        self._metrics.lag_seconds.labels(stage, partition).set(behind)
        self._moved = time.monotonic()
        (self._lagging.add if lag else self._lagging.discard)(message.tp)

    def forget(self, gone: set[TP]) -> None:
        """What is left in these partitions is for others."""
        self._lagging -= gone

    def wrote(self) -> None:
        """Kafka has taken a write."""
        self._troubled_since = None

    def refused(self) -> None:
        """Kafka has not taken a write."""
        if self._troubled_since is None:
            self._troubled_since = time.monotonic()

    def heard(self, does_answer: bool) -> None:
        """Kafka was asked something, which it has answered or not. Without lookups nothing is written, and a broker that is away
        would not be noticed."""
        if does_answer:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = time.monotonic()

    def without_kafka(self) -> float | None:
        """For how many seconds Kafka has not answered, or not taken a write; ``None`` when it does both."""
        since = [each for each in (self._troubled_since, self._silent_since) if each is not None]
        return time.monotonic() - min(since) if since else None

    def stalled(self) -> float:
        """For how many seconds there has been no progress although there are messages to read and Kafka is there."""
        return 0.0 if self._is_unanswered else self._quiet()

    def _quiet(self) -> float:
        if not self._lagging or self.without_kafka() is not None:
            return 0.0
        return time.monotonic() - self._moved

    async def look_again(self, consumer: Any, after: float) -> None:
        """After so many seconds without progress, ask Kafka whether there are messages left.

        What is behind the last one may only be the mark of a transaction; and when Kafka does not answer, the worker waits for
        it: starting anew would not help.
        """
        is_unanswered = False
        if self._quiet() > after:
            for tp in list(self._lagging):
                is_read_up = await consumer.is_read_up(tp)
                is_unanswered = is_read_up is None
                if is_unanswered:
                    break
                if is_read_up:
                    self._lagging.discard(tp)
        self._is_unanswered = is_unanswered
