"""From the spool to Kafka: in rounds, each of which is acknowledged as a whole before the next begins.

In a round there is one record batch a partition, so that of an actor's lookups either all are taken or none, in their order, and what
was not is sent again before anything later. So Kafka may have a round twice, never in another order. A round has fewer lookups than
the monitor remembers of an actor (256), so whatever comes twice is known as a repeat.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from monitor.client.records import MAX_VALUE_BYTES, Record
from monitor.event_key import TOPIC

if TYPE_CHECKING:
    from monitor.client.spool import Spool
    from monitor.connection import Connection

log = logging.getLogger(__name__)
#: Records of a round. The monitor knows the last 256 lookups of an actor when one comes again.
ROUND: Final = 200
#: Bytes of a round; a batch holds them all.
_ROUND_BYTES: Final = 700 * 1024
_PAUSE_MIN, _PAUSE_MAX = 0.1, 5.0
#: How long Kafka is waited for until it is asked anew, in milliseconds.
_ANSWERS_WITHIN_MS: Final = 10_000


def producer_of(kafka: Connection, client_id: str) -> Any:
    """A producer that keeps the order in each partition and waits for all replicas; by murmur2 of the key, as Kafka's own do."""
    from kafka import KafkaProducer

    return KafkaProducer(
        **kafka.options(),
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        allow_auto_create_topics=False,
        # One batch a partition and round: it is sent when the round is complete, and not before.
        batch_size=_ROUND_BYTES + MAX_VALUE_BYTES,
        max_request_size=_ROUND_BYTES + MAX_VALUE_BYTES,
        linger_ms=60_000,
        max_block_ms=_ANSWERS_WITHIN_MS,
        request_timeout_ms=_ANSWERS_WITHIN_MS,
        delivery_timeout_ms=60_000 + 3 * _ANSWERS_WITHIN_MS,
        bootstrap_timeout_ms=_ANSWERS_WITHIN_MS,
        metadata_max_age_ms=60_000,
    )


class Sender:
    """The thread that sends. It never gives up; what is wrong it says, in :attr:`trouble`."""

    def __init__(self, spool: Spool, connect: Callable[[], Any], topic: str = TOPIC) -> None:
        """``connect`` makes a producer of kafka-python."""
        self._spool, self._connect, self._topic = spool, connect, topic
        self._stop = threading.Event()
        self._producer: Any = None
        #: The name of the error because of which nothing is sent now.
        self.trouble: str | None = None
        self.sent = self.retries = 0
        self._thread = threading.Thread(target=self._work, name="lookup-client", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, within: float) -> None:
        """End. What was not acknowledged stays in the spool."""
        self._stop.set()
        with self._spool.changed:
            self._spool.changed.notify_all()
        self._thread.join(within)
        self._drop_producer()

    def _work(self) -> None:
        while not self._stop.is_set():
            with self._spool.changed:
                records = self._spool.peek(ROUND, _ROUND_BYTES)
                if not records:
                    self._spool.changed.wait(1.0)
                    continue
            if not self._send(records):
                return
            self._spool.acknowledge(records[-1].number + 1)
            self.sent += len(records)

    def _send(self, records: list[Record]) -> bool:
        """Whether Kafka has all of them; ``False`` when it is time to stop before that."""
        pause = _PAUSE_MIN
        while records:
            if self._stop.is_set():
                return False
            try:
                records = self._round(records)
                why = type(self._last_error).__name__ if records else None
            except Exception as error:
                # Whatever it is (an address, a certificate, a right, the broker): the spool has them, and it may be mended.
                why = type(error).__name__
                self._drop_producer()
            if why is None:
                break
            if self.trouble != why:
                log.warning("lookups wait in the spool: Kafka: %s", why)
            self.trouble = why
            self.retries += 1
            self._stop.wait(pause)
            pause = min(_PAUSE_MAX, pause * 2)
        if self.trouble is not None:
            log.warning("Kafka takes lookups again")
            self.trouble = None
        return True

    def _round(self, records: list[Record]) -> list[Record]:
        """Send them; return those that Kafka has not taken, in their order."""
        if self._producer is None:
            self._producer = self._connect()
        if self._stop.is_set():
            return records
        futures = [(each, self._producer.send(self._topic, key=each.key, value=each.value)) for each in records]
        self._producer.flush(timeout=_ANSWERS_WITHIN_MS / 1000 * 8)
        left = []
        for each, future in futures:
            if not future.succeeded():
                left.append(each)
                self._last_error = future.exception or TimeoutError()
        if left:
            # What is still on its way must not come after what is sent next.
            self._drop_producer()
        return left

    _last_error: BaseException = TimeoutError()

    def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)
