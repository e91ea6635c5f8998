"""``python -m tests.torture.strain burst|away``: more lookups than can be done for a while, and a broker that is away.

Real Kafka, and workers as processes, as a user runs them. Exit code 0 when all is as promised, 1 when not.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import overload

import orjson
import psutil

from bench.pages import page
from monitor import alerts, local_kafka
from monitor.backtest import Backtest
from monitor.commands.ingest import event_out, send_reference
from monitor.commands.run import ensure_topics, spawn_worker, stop_workers
from monitor.reference import Reference, decode
from monitor.rules import load_texts, read_dir
from monitor.settings import Settings
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import simulate
from monitor.stream import topics
from monitor.stream.batches import BatchWriter
from monitor.stream.masking import mask_of, with_local_keys
from tests.torture.evidence import read
from tests.torture.fleet import free_port
from tests.torture.run import QUANTILE, rule_folders_in
from tests.torture.traffic import Feeder

Say = Callable[[str], None]
_START = datetime(2025, 1, 6, tzinfo=UTC)
_WORKERS = 2
_LOOK_EVERY = 0.5
#: What no worker's memory may exceed, whatever waits for it.
RSS_MOST = 512 * 1024 * 1024
#: A month goes by in seconds here, so a partition that is told to be idle, and then has lookups again, is behind the others by days; what they say
#: of subjects is then known in another order than the log has. Busy machines pause for seconds.
_IDLE_AFTER = 60.0
#: Nothing is done for so long: it hangs.
_HANGS_AFTER = 180.0
#: Behind no more than this is no delay that anybody notices, in seconds.
_IN_TIME = 5.0
#: What follows the id in a lookup that the simulator made.
_AFTER_ID = b'","time":'
#: For so many seconds of a burst each lookup is of its own; longer ones send each so many times more.
_DISTINCT_SECONDS = 8
#: While the broker goes and comes back: lookups a second, and for how many seconds of it there are.
_AWAY_RATE, _AWAY_TRAFFIC = 100, 40


@dataclass
class Strained:
    """What was measured: seconds, bytes, lookups a second. ``differences`` is empty when all is as promised."""

    lookups: int = 0
    alerts: int = 0
    rate: float = 0.0
    burst_rate: float = 0.0
    burst_seconds: float = 0.0
    rss_before: int = 0
    rss_most: int = 0
    behind_most: int = 0
    caught_up_after: float = 0.0
    latency_after: float = 0.0
    away: float = 0.0
    told_after: float = 0.0
    told: str = ""
    ready_after: float = 0.0
    differences: list[str] = field(default_factory=list)


class Site:
    """Kafka and workers on this machine. As a context manager it leaves nothing running."""

    def __init__(self, folder: Path, reference: list[bytes]) -> None:
        self._folder = folder
        self._port = free_port()
        self.kafka = local_kafka.start(folder / "kafka", port=self._port)
        # Many alerts, so that one that is missing is missed.
        rules = rule_folders_in(folder)[1]
        made = Settings(bootstrap=self.kafka.bootstrap, idle_after=_IDLE_AFTER, rules=rules, quantile=QUANTILE)
        self.settings = with_local_keys(made, folder / "keys")
        ensure_topics(self.settings)
        send_reference(self.settings, reference)
        self.workers: list[subprocess.Popen[bytes]] = []
        self.ports: list[int] = []

    def __enter__(self) -> Site:
        for number in range(_WORKERS):
            self.ports.append(free_port((self._port, *self.ports)))
            settings = self.settings.model_copy(update={"metrics_port": self.ports[-1]})
            self.workers.append(spawn_worker(settings, self._folder / f"worker-{number}.log"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        stop_workers(self.workers)
        self.kafka.stop()

    def come_back(self) -> None:
        """The broker is there again, on the same data and port."""
        self.kafka = local_kafka.start(self._folder / "kafka", port=self._port)

    def values(self, name: str) -> list[float]:
        """The values of a metric in all workers."""
        pattern = re.compile(rf"^{name}(?:{{.*}})? (\S+)$", re.MULTILINE)
        return [float(value) for port in self.ports for value in pattern.findall(page(port, "/metrics")[1])]

    def done(self) -> int:
        """How many lookups have been counted, or refused."""
        return int(sum(self.values("lookup_monitor_events_total")))

    def behind(self) -> tuple[int, float]:
        """The most messages that one stage has to read, and for how many seconds the oldest has waited."""
        return int(max(self.values("lookup_monitor_lag"))), max(self.values("lookup_monitor_lag_seconds"))

    def rss(self) -> int:
        """The memory of the worker that has most, in bytes."""
        return max(psutil.Process(each.pid).memory_info().rss for each in self.workers)

    def are_ready(self) -> bool:
        """Whether all workers say that they do their work."""
        return all(page(port, "/readyz")[0] == 200 for port in self.ports)

    def alerts(self) -> dict[str, bytes]:
        """The alerts in Kafka by id."""
        every = [
            each for number in range(self.settings.partitions) for each in read(self.settings, topics.ALERTS, number)
        ]
        return {alerts.decode(each.value).id: each.value for each in every}


def until(condition: Callable[[], bool], site: Site, what: str) -> float:
    """Wait for it; the seconds it took. Raises ``TimeoutError`` when nothing is done for too long."""
    began = moved = time.monotonic()
    most = -1
    while not condition():
        if (done := site.done()) > most:
            moved, most = time.monotonic(), done
        if time.monotonic() - moved > _HANGS_AFTER:
            raise TimeoutError(f"nothing done for {_HANGS_AFTER:.0f} s, waiting for {what}")
        time.sleep(_LOOK_EVERY)
    return time.monotonic() - began


class Copies(Sequence[bytes]):
    """Each of some lookups so many times after each other, under other ids, as a screen does that asks again; made when they are asked for.

    Millions of lookups of their own need millions of reference records, more than a machine of this size holds beside the workers.
    """

    def __init__(self, raws: list[bytes], copies: int) -> None:
        self._raws, self._copies = raws, copies

    def __len__(self) -> int:
        return len(self._raws) * self._copies

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            return [self[each] for each in range(*at.indices(len(self)))]
        index, copy = divmod(range(len(self))[at], self._copies)
        return self._raws[index].replace(_AFTER_ID, b"~%d%s" % (copy, _AFTER_ID), 1)


def world(count: int) -> tuple[list[bytes], list[bytes]]:
    """Reference records, and at least so many lookups, of a month."""
    actors = max(60, count // 500)
    force = simulate(ForceSettings(seed=6, days=30, actors=actors, start=_START))
    raws = [orjson.dumps(event) for event in islice(force.events(), count)]
    return [orjson.dumps(record) for record in force.reference], raws


def traffic(count: int, copies: int) -> tuple[list[bytes], Copies]:
    """Reference records, and at least so many lookups, each ``copies`` times."""
    reference, distinct = world(-(-count // copies))
    return reference, Copies(distinct, copies)


def compare(site: Site, reference: list[bytes], raws: Sequence[bytes], sent: int, found: Strained) -> None:
    """Whether the alerts are those that a backtest of what was sent, the first of ``raws``, gives."""
    settings = site.settings
    run = Backtest(
        load_texts(read_dir(settings.rules)).rules,
        Reference(map(decode, reference)),
        settings.partitions,
        lambda actor: topics.partition_of(actor, settings.partitions),
        settings.quantile,
    )
    mask = mask_of(settings)
    assert mask is not None
    expected = {
        alert.id: alerts.encode(alert)
        for alert in map(mask.alert, run.run(islice(raws, sent), int(time.time() * 1000)))
    }
    live: dict[str, bytes] = {}

    def all_there() -> bool:
        nonlocal live
        live = site.alerts()
        return len(live) >= len(expected)

    try:
        until(all_there, site, f"{len(expected)} alerts")
    except TimeoutError as error:
        found.differences.append(str(error))
    found.lookups, found.alerts = sent, len(live)
    for name in sorted(expected.keys() | live.keys()):
        if expected.get(name) != live.get(name):
            how = "extra" if name not in expected else "missing" if name not in live else "differs"
            found.differences.append(f"alert {how}: {name}")


async def _send(settings: Settings, raws: Sequence[bytes], rate: float, look: Callable[[], object]) -> None:
    """Send at this rate, and look what comes of it twice a second."""
    writer = BatchWriter(settings.kafka)
    await writer.start()
    try:
        began, looked, size = time.monotonic(), 0.0, max(1, int(rate / 10))
        for at in range(0, len(raws), size):
            await asyncio.sleep(max(0.0, began + at / rate - time.monotonic()))
            await writer.write([event_out(raw, settings.partitions, 0) for raw in raws[at : at + size]])
            if time.monotonic() - looked > _LOOK_EVERY:
                looked = time.monotonic()
                look()
    finally:
        await writer.stop()


def burst(folder: Path, times: float, seconds: float, probe: int, say: Say) -> Strained:
    """``times`` as many lookups as the workers can do, for so many seconds, then a tenth of it until they have caught up.

    How many they can do is measured before, with ``probe`` lookups.
    """
    found = Strained()
    # What is needed is known only when the rate is; no machine that this is made for does more.
    copies = max(1, round(seconds / _DISTINCT_SECONDS))
    reference, raws = traffic(probe * 2, copies)
    with Site(folder, reference) as site:
        until(site.are_ready, site, "the workers to be ready")
        asyncio.run(_send(site.settings, raws[:probe], 1e9, lambda: None))
        until(lambda: site.done() >= probe, site, "the first lookups")
        began = time.monotonic()
        asyncio.run(_send(site.settings, raws[probe:], 1e9, lambda: None))
        until(lambda: site.done() >= 2 * probe, site, "the lookups by which the rate is measured")
        found.rate = probe / (time.monotonic() - began)
        found.rss_before = site.rss()
        say(f"{_WORKERS} workers do {found.rate:,.0f} lookups a second, with {found.rss_before / 1e6:.0f} MB")
    return _burst(folder / "burst", times, seconds, copies, found, say)


def _burst(folder: Path, times: float, seconds: float, copies: int, found: Strained, say: Say) -> Strained:
    heavy, calm = found.rate * times, found.rate / 10
    # As much traffic again as takes the workers to catch up, and ten seconds of it to see how they do then.
    count, after = int(heavy * seconds), int(calm * (seconds * times * 3 + 10))
    say(f"making {count + after:,} lookups" + (f", each {copies} times" if copies > 1 else ""))
    reference, raws = traffic(count + after, copies)
    count = min(count, len(raws) - 100)
    with Site(folder, reference) as site:
        until(site.are_ready, site, "the workers to be ready")

        def look() -> None:
            found.rss_most = max(found.rss_most, site.rss())
            found.behind_most = max(found.behind_most, count - site.done())

        began = time.monotonic()
        asyncio.run(_send(site.settings, raws[:count], heavy, look))
        found.burst_seconds = time.monotonic() - began
        found.burst_rate = count / found.burst_seconds
        look()
        say(
            f"{count:,} lookups in {found.burst_seconds:.1f} s; {found.behind_most:,} behind, {found.rss_most / 1e6:.0f} MB"
        )
        sent, ended = count, time.monotonic()
        in_time = 0
        # Twice in a row, since one partition may be in time and another not heard of yet.
        while in_time < 2:
            part = raws[sent : sent + max(1, int(calm))]
            if not part:
                found.differences.append("did not catch up while there was traffic")
                break
            asyncio.run(_send(site.settings, part, calm, lambda: None))
            sent += len(part)
            look()
            in_time = in_time + 1 if sent - site.done() < calm * _IN_TIME and site.behind()[1] < _IN_TIME else 0
        found.caught_up_after = time.monotonic() - ended
        say(f"caught up {found.caught_up_after:.0f} s after it")
        part = raws[sent : sent + int(calm * 10)]
        behind: list[float] = []
        asyncio.run(_send(site.settings, part, calm, lambda: behind.append(site.behind()[1])))
        sent += len(part)
        found.latency_after = max(behind, default=0.0)
        if found.rss_most > RSS_MOST:
            found.differences.append(f"a worker had {found.rss_most / 1e6:.0f} MB, more than {RSS_MOST / 1e6:.0f}")
        if any(worker.poll() is not None for worker in site.workers):
            found.differences.append("a worker ended")
        compare(site, reference, raws, sent, found)
    return found


def away(folder: Path, seconds: float, say: Say) -> Strained:
    """The broker is killed and away for so many seconds, under traffic, and comes back."""
    found = Strained(away=seconds)
    reference, raws = world(_AWAY_RATE * _AWAY_TRAFFIC)
    with Site(folder, reference) as site:
        until(site.are_ready, site, "the workers to be ready")
        feeder = Feeder(site.settings, list(raws), _AWAY_RATE, give_up=seconds + 120)
        feeder.start()
        until(lambda: site.done() > len(raws) // 4, site, "a part of the lookups")
        began = time.monotonic()
        site.kafka.kill()
        told: set[int] = set()
        while time.monotonic() < began + seconds:
            for port in site.ports:
                status, why = page(port, "/readyz")
                if status == 503 and port not in told:
                    told.add(port)
                    found.told_after, found.told = time.monotonic() - began, why.splitlines()[0]
                if status == 200 and port in told:
                    found.differences.append("a worker says that it is ready while Kafka is away")
            time.sleep(_LOOK_EVERY)
        if len(told) < len(site.ports):
            found.differences.append(f"{len(site.ports) - len(told)} workers never said that Kafka is away")
        site.come_back()
        back = time.monotonic()
        say(f"away for {back - began:.0f} s with its start; told after {found.told_after:.1f} s: {found.told}")
        until(site.are_ready, site, "the workers to be ready again")
        found.ready_after = time.monotonic() - back
        say(f"all workers ready {found.ready_after:.1f} s after it came back")
        feeder.join()
        if feeder.trouble is not None:
            found.differences.append(f"the producer gave up: {feeder.trouble}")
        if any(worker.poll() is not None for worker in site.workers):
            found.differences.append("a worker ended")
        compare(site, reference, raws, len(raws), found)
    return found


def main() -> int:
    """Run once and say what came of it."""
    parser = argparse.ArgumentParser(prog="tests.torture.strain", description=__doc__)
    parser.add_argument("what", choices=["burst", "away"])
    parser.add_argument("--seconds", type=float, help="how long it lasts; 120 and 300 if not given")
    parser.add_argument("--times", type=float, default=10.0, help="burst: so many times what the workers can do")
    parser.add_argument("--probe", type=int, default=20_000, help="burst: lookups by which that is measured")
    asked = parser.parse_args()
    for name in ("aiokafka", "kafka"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="lookup-monitor-strain-") as folder:
        if asked.what == "burst":
            found = burst(Path(folder), asked.times, asked.seconds or 120.0, asked.probe, _say)
        else:
            found = away(Path(folder), asked.seconds or 300.0, _say)
    print("\n".join([*found.differences[:50], str(found)]))
    return 1 if found.differences else 0


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
