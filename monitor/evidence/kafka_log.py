"""Reading Kafka's topics from one offset to another, a partition at a time."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaTimeoutError

from monitor.evidence import Unusable
from monitor.settings import Settings
from monitor.stream import topics

_ANSWERS_WITHIN_MS: Final = 10_000
#: When Kafka gives nothing for so many seconds although there is something to read, it is not waited for any more.
_SILENT: Final = 60.0
#: How often is asked whether the workers have done what there is, in seconds.
_ASK_EVERY: Final = 0.5


class Log:
    """The topics of one installation; to be closed. Raises kafka-python's ``KafkaError`` when Kafka does not answer."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        #: Consumers that read nothing now: to connect takes longer than most of what is asked.
        self._free: list[Any] = []

    def close(self) -> None:
        """Disconnect."""
        while self._free:
            self._free.pop().close()

    @contextmanager
    def _consumer(self) -> Iterator[Any]:
        consumer = self._free.pop() if self._free else self._connect()
        try:
            yield consumer
        finally:
            consumer.unsubscribe()
            self._free.append(consumer)

    def _connect(self) -> Any:
        return KafkaConsumer(
            **self.settings.kafka.options(),
            bootstrap_timeout_ms=_ANSWERS_WITHIN_MS,
            # To ask how far the workers are; none of their partitions is taken.
            group_id=self.settings.group,
            enable_auto_commit=False,
            # What retention removes while it is read must not be passed over.
            auto_offset_reset="none",
            max_poll_records=2_000,
        )

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has. Raises :class:`Unusable` when it does not exist."""
        with self._consumer() as consumer:
            found = consumer.partitions_for_topic(topic)
        if not found:
            raise Unusable(f"there is no topic {topic}; run `monitor topics`, or name another Kafka")
        return len(found)

    def ranges(self, topic: str) -> list[tuple[int, int]]:
        """The first offset of each partition now, and the one after the last."""
        parts = self._parts(topic)
        with self._consumer() as consumer:
            firsts, ends = consumer.beginning_offsets(parts), consumer.end_offsets(parts)
        return [(firsts[part], ends[part]) for part in parts]

    def after(self, topic: str, received_ms: int) -> list[int | None]:
        """The offset of each partition's first record that was received after a time; ``None`` when there is none."""
        parts = self._parts(topic)
        with self._consumer() as consumer:
            found = consumer.offsets_for_times(dict.fromkeys(parts, received_ms + 1))
        offsets = [None if found.get(part) is None else found[part].offset for part in parts]
        return [None if offset is None or offset < 0 else offset for offset in offsets]

    def _parts(self, topic: str) -> list[Any]:
        return [TopicPartition(topic, number) for number in range(self.partitions(topic))]

    def read(self, topic: str, partition: int, first: int, past: int) -> Iterator[Any]:
        """The records from offset ``first`` up to and without ``past``."""
        if first >= past:
            return
        part = TopicPartition(topic, partition)
        with self._consumer() as consumer:
            consumer.assign([part])
            consumer.seek(part, first)
            heard = time.monotonic()
            while consumer.position(part) < past:
                records = consumer.poll(timeout_ms=1_000).get(part, ())
                yield from (record for record in records if record.offset < past)
                if records:
                    heard = time.monotonic()
                elif time.monotonic() - heard > _SILENT:
                    raise KafkaTimeoutError(f"nothing came of {topic}/{partition} for {_SILENT:.0f} s")

    def behind(self, topic: str, pasts: Iterable[int]) -> int:
        """How many messages before these offsets, by partition, the workers have not done."""
        parts = self._parts(topic)
        with self._consumer() as consumer:
            done = [consumer.committed(part) or 0 for part in parts]
        return sum(max(0, past - at) for past, at in zip(pasts, done, strict=True))

    def wait_for_workers(self, pasts: list[int], seconds: float) -> int:
        """Wait until the workers have done the log up to these offsets, and all that came of it; how many messages are left.

        Every stage is asked for what its topic held when the one before was done.
        """
        deadline, left = time.monotonic() + seconds, 0
        for topic in (topics.EVENTS, topics.KEYED, topics.FEATURES):
            wanted = pasts if topic == topics.EVENTS else [past for _, past in self.ranges(topic)]
            while (behind := self.behind(topic, wanted)) and time.monotonic() < deadline:
                time.sleep(_ASK_EVERY)
            left += behind
        return left
