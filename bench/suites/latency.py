"""From produce to alert, on live workers at half of what they can do: median and 99th percentile.

First the workers take a heap of lookups as fast as they can, which tells the sustainable load. Then lookups come by a schedule at a
share of it, whatever the workers do, and each one's time counts from when it was *due*, not from when it could be sent: a pause
delays all that was due in it, as it would for the people who wait (coordinated omission: Gil Tene, HdrHistogram). One in so many
lookups is about a subject that does not exist, which must alert; its alert is awaited in ``lookup.alerts.v1``.
"""

from __future__ import annotations

import itertools
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

import orjson
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka import KafkaAdminClient

from bench.load import Load, lookups
from bench.ours.whole import reference_of
from bench.pages import page
from bench.peers.contender import Broken
from bench.scale import Look, counted_by, cpu_of, turn_of
from bench.suites.outcome import Cell, Goal, Outcome, Say
from monitor.commands.ingest import send_events, send_reference
from monitor.commands.run import spawn_worker, stop_workers
from monitor.local_kafka_folder import free_port
from monitor.settings import Settings
from monitor.stream import topics

#: Issue 10: milliseconds from produce to alert.
TARGET_MS: Final = 250.0
#: The rule of the pack about subjects that do not exist.
HONEYTOKEN: Final = "b349a4e2-d802-5588-947a-d9698ab3988e"
_WITHIN: Final = 180.0


@dataclass(frozen=True, slots=True)
class Size:
    """``heap``: lookups to find the sustainable load by; then ``seconds`` of lookups at ``share`` of it, after ``warm`` that do not count.

    One in ``every`` alerts, but ``tokens`` at most. ``rate``: lookups a second, whatever the workers could do.
    """

    heap: int = 100_000
    seconds: float = 60.0
    warm: float = 5.0
    share: float = 0.5
    every: int = 50
    tokens: int = 10_000
    workers: int = 2
    rate: float | None = None
    seed: int = 1


QUICK = Size(heap=5_000, seconds=5.0, warm=1.0, tokens=500, workers=1)


class Sent(NamedTuple):
    """What was sent: by lookup's id when those that must alert were due, and how late the sender was at most, in seconds."""

    due: dict[str, float]
    behind: float


def percentile(values: list[float], share: float) -> float:
    """The least of the values that at least ``share`` of them do not pass (nearest rank). Raises ``ValueError`` for none."""
    if not values:
        raise ValueError("there is nothing to take a percentile of")
    return sorted(values)[max(0, -int(-share * len(values) // 1) - 1)]


class Arrivals:
    """When each lookup's alert came, read in a thread from the end of the topic on."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        #: By lookup's id: seconds since the epoch.
        self.at: dict[str, float] = {}
        self._stop = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "bench-latency",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 5,
            }
        )
        places = [TopicPartition(topics.ALERTS, number) for number in range(partitions)]
        for place in places:
            place.offset = self._consumer.get_watermark_offsets(place, timeout=30)[1]
        self._consumer.assign(places)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while not self._stop.is_set():
            message = self._consumer.poll(0.2)
            if message is None or message.error() is not None:
                continue
            now, alert = time.time(), orjson.loads(message.value())
            if alert["rule"]["id"] == HONEYTOKEN:
                for event in alert["events"]:
                    self.at.setdefault(event, now)

    def close(self) -> None:
        """Stop reading."""
        self._stop.set()
        self._thread.join()
        self._consumer.close()


@contextmanager
def _workers(settings: Settings, count: int, folder: Path) -> Iterator[tuple[list[int], list[subprocess.Popen[bytes]]]]:
    ports = [free_port() for _ in range(count)]
    running: list[subprocess.Popen[bytes]] = []
    try:
        for number, port in enumerate(ports):
            own = settings.model_copy(update={"metrics_port": port})
            running.append(spawn_worker(own, folder / f"worker-{number}.log"))
        yield ports, running
    finally:
        stop_workers(running)


def _reached(ports: list[int], running: list[subprocess.Popen[bytes]], wanted: float) -> Look:
    deadline = time.monotonic() + _WITHIN
    while time.monotonic() < deadline:
        if any(each.poll() is not None for each in running):
            raise Broken("a worker ended")
        count = sum(map(counted_by, ports))
        if count >= wanted:
            return Look(count, time.monotonic(), sum(cpu_of(each.pid) for each in running), 0.0)
        time.sleep(0.05)
    raise Broken(f"the workers did not come to {wanted:,.0f} lookups in {_WITHIN:.0f} s")


def events_of(size: Size, rate: float, every: int, start: float) -> Iterator[tuple[float, str, str, dict[str, Any]]]:
    """The lookups of the schedule: when each is due, its id, its actor, and itself. Pure."""
    made = itertools.cycle([orjson.loads(each.value) for each in lookups(_load(size))])
    for number, lookup in zip(range(int(rate * size.seconds)), made, strict=False):
        due = start + number / rate
        token, odd = divmod(number, every)
        name = f"{'token' if odd == 0 else 'l'}-{number}"
        lookup = {**lookup, "id": name, "time": datetime.fromtimestamp(due, UTC).isoformat(timespec="milliseconds")}
        if odd == 0:
            lookup |= {
                "actor": {"id": f"t-{token}", "unit": "limburg-noord"},
                "subject": {"kind": "person", "id": f"token-{token}"},
            }
        yield due, name, lookup["actor"]["id"], lookup


def _send(bootstrap: str, size: Size, rate: float, every: int) -> Sent:
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "linger.ms": 5})
    due_at: dict[str, float] = {}
    behind = 0.0
    start = time.time() + 0.5
    for due, name, actor, lookup in events_of(size, rate, every, start):
        value = orjson.dumps(lookup)
        while (left := due - time.time()) > 0:
            producer.poll(min(left, 0.01))
        behind = max(behind, -left)
        producer.produce(topics.EVENTS, value, actor.encode(), timestamp=int(time.time() * 1000))
        if name.startswith("token-") and due >= start + size.warm:
            due_at[name] = due
    if producer.flush(30):
        raise Broken("Kafka did not take all lookups")
    return Sent(due_at, behind)


def await_all(sent: Sent, arrived: Mapping[str, float], within: float) -> None:
    """Wait until every alert has come. Raises :class:`Broken` when some have not within so many seconds: they are lost."""
    deadline = time.monotonic() + within
    while missing := sent.due.keys() - arrived.keys():
        if time.monotonic() > deadline:
            raise Broken(f"{len(missing)} of {len(sent.due)} alerts did not come")
        time.sleep(0.1)


def _load(size: Size) -> Load:
    return Load(size.heap, actors=max(50, size.heap // 100), seed=size.seed)


def _reference(size: Size, made: list[bytes]) -> Iterator[dict[str, Any]]:
    yield from reference_of(map(orjson.loads, made))
    for number in range(size.tokens):
        yield {"record": "subject", "id": f"token-{number}", "kind": "person", "tags": ["honeytoken"]}
        yield {"record": "actor", "id": f"t-{number}", "unit": "limburg-noord", "peer_group": "officer"}


def run(size: Size, say: Say) -> Outcome:
    """Measure. Raises :class:`Broken` when an alert is missing or a worker ends."""
    from monitor import local_kafka

    made = [each.value for each in lookups(_load(size))]
    with tempfile.TemporaryDirectory(prefix="lookup-monitor-") as name, ExitStack() as stack:
        folder = Path(name)
        kafka = stack.enter_context(local_kafka.start(folder / "kafka", say=say))
        settings = Settings(bootstrap=kafka.bootstrap, pseudonyms="off")
        with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap)) as admin:
            topics.create(admin, settings)
        send_reference(settings, map(orjson.dumps, _reference(size, made)))
        send_events(settings, made)
        ports, running = stack.enter_context(_workers(settings, size.workers, folder))
        turn = turn_of(
            size.workers, _reached(ports, running, 0.2 * len(made)), _reached(ports, running, 0.9 * len(made))
        )
        _reached(ports, running, len(made))
        if not all(page(port, "/healthz")[0] == 200 for port in ports):
            raise Broken("a worker does not answer")
        rate = size.rate or size.share * turn.rate
        every = max(size.every, -int(-rate * size.seconds // size.tokens))
        say(
            f"{size.workers} workers do {turn.rate:,.0f} lookups/s; now {rate:,.0f} a second for {size.seconds:.0f} s, one in {every} alerts"
        )
        arrivals = Arrivals(kafka.bootstrap, settings.partitions)
        stack.callback(arrivals.close)
        sent = _send(kafka.bootstrap, size, rate, every)
        await_all(sent, arrivals.at, _WITHIN)
    return _outcome(size, rate, turn.rate, sent, arrivals)


def _outcome(size: Size, rate: float, sustainable: float, sent: Sent, arrivals: Arrivals) -> Outcome:
    took = [(arrivals.at[name] - due) * 1000 for name, due in sent.due.items()]
    p50, p99 = percentile(took, 0.5), percentile(took, 0.99)
    columns = (
        "workers",
        "sustainable lookups/s",
        "lookups/s",
        "alerts",
        "p50 ms",
        "p90 ms",
        "p99 ms",
        "most ms",
        "sender late, most ms",
    )
    row: list[Cell] = [
        str(size.workers),
        sustainable,
        rate,
        len(took),
        p50,
        percentile(took, 0.9),
        p99,
        max(took),
        sent.behind * 1000,
    ]
    return Outcome(
        "latency",
        f"from when a lookup is due to its alert, {size.seconds:.0f} s at {rate / sustainable:.0%} of the sustainable load",
        columns,
        [row],
        [Goal("p99 from produce to alert", p99, TARGET_MS, "ms")],
        {"milliseconds": [round(each, 2) for each in sorted(took)]},
    )
