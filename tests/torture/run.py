"""One run: traffic and faults, then quiet, then the comparison."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from unittest import mock

from monitor.commands.ingest import send_reference
from monitor.model import scorer
from monitor.reference import Reference, decode
from monitor.rules import RuleSet, load_texts
from monitor.settings import Settings, pack_dir
from monitor.stream.folder import RuleFolder
from monitor.stream.masking import with_local_keys
from tests.torture.compare import differences
from tests.torture.evidence import Ticks, done, expect, lag, observe
from tests.torture.fleet import FEWEST, SOONER, Fleet
from tests.torture.traffic import RATE, Feeder, Traffic, make_traffic

Say = Callable[[str], None]

#: Longer than anything lasts here: while the broker is away nothing comes, and a source that fell asleep then would lose its
#: place in the one order of all lookups, which is not what is tested. When all is sent, sources may fall asleep soon.
IDLE_AFTER, IDLE_AFTER_ALL = 600.0, 5.0
#: A model that alerts often enough for a short run to have its alerts in it.
QUANTILE = 0.98
_BEGIN_WITHIN, _MOVE_WITHIN, _SETTLE_WITHIN = 240.0, 240.0, 240.0
_LOOK_EVERY = 0.5

JOINED = """
title: Two actors, one subject
id: 0d3b5a52-5c0e-4c3e-9c56-0f0f4f6f7a11
correlation:
  type: value_count
  rules: [unexplained]
  group-by: [subject.id]
  timespan: 3d
  condition: {field: actor.id, gte: 2}
level: low
"""
NEW = """
title: Any print at all
id: 5f6c9d4e-3b0a-4a57-9f5c-0d8a5b1c2e3f
logsource: {category: lookup}
detection: {s: {action: print}, condition: s}
level: low
"""


class Broken(Exception):
    """The run could not be made or judged; it says nothing about the service."""


@dataclass
class Report:
    """What happened. ``differences`` is empty when all is as it must be."""

    seed: int
    minutes: float
    lookups: int = 0
    poison: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    ended: int = 0
    alerts: int = 0
    repeats: int = 0
    refused: int = 0
    log: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def summary(self) -> str:
        """The closing lines."""
        faults = ", ".join(f"{name} {count}" for name, count in sorted(self.faults.items())) or "none"
        verdict = "all as in the backtest" if not self.differences else f"{len(self.differences)} lines of differences"
        return (
            f"seed {self.seed} · {self.minutes:g} minutes · {self.lookups:,} lookups, {self.poison} poison\n"
            f"faults: {faults}; workers that ended by themselves: {self.ended}\n"
            f"{self.alerts:,} alerts, {self.repeats:,} repeated · {self.refused:,} in the DLQ\n"
            f"verdict: {verdict}"
        )


def torture(
    seed: int,
    minutes: float,
    folder: Path,
    say: Say = print,
    only: Collection[str] | None = None,
    rate: int = RATE,
) -> Report:
    """Run the service under faults drawn from ``seed`` for ``minutes`` of traffic and compare. Raises :class:`Broken`.

    ``only`` names the faults to draw from (:attr:`Fleet.faults`), one that is to come more often several times; without it all are. ``rate`` is messages a second.
    """
    rng = Random(seed)
    traffic = make_traffic(rng, minutes, rate)
    rule_folders = rule_folders_in(folder)
    lists = Reference(map(decode, traffic.reference)).lists
    loaded = [load_texts(RuleFolder(each).read(), lists).rules for each in rule_folders]
    made = Settings(rules=rule_folders[0], quantile=QUANTILE, idle_after=IDLE_AFTER)
    settings = with_local_keys(made, folder / "keys")
    report = Report(seed, minutes)
    with Fleet(folder, settings, rule_folders, rng) as fleet:
        if only is not None:
            if unknown := sorted(set(only) - set(fleet.faults)):
                raise Broken(f"no such faults: {', '.join(unknown)}; there are {', '.join(fleet.faults)}")
            fleet.draw = list(only)
        fleet.begin()
        send_reference(fleet.settings, traffic.reference)
        _Run(fleet, traffic, rng, report, say, rate).go()
        _judge(fleet, traffic, loaded, report)
    return report


def rule_folders_in(folder: Path) -> list[Path]:
    """The pack with a rule that joins actors, and the same with one rule more and one less."""
    first, second = folder / "rules-1", folder / "rules-2"
    for each in (first, second):
        shutil.copytree(pack_dir(), each)
        (each / "joined.yml").write_text(JOINED)
    (second / "new.yml").write_text(NEW)
    (second / "curiosity" / "silent-lookup.yml").unlink()
    return [first, second]


class _Run:
    def __init__(self, fleet: Fleet, traffic: Traffic, rng: Random, report: Report, say: Say, rate: int) -> None:
        self._fleet, self._rng, self._report, self._say = fleet, rng, report, say
        self._feeder = Feeder(fleet.settings, traffic.messages, rate)
        self._rate = rate
        self._began = time.monotonic()

    def go(self) -> None:
        """Traffic with faults, until all traffic is sent and all of it is done."""
        for _ in range(FEWEST):
            self._fleet.add()
        self._feeder.start()
        # Which rules count for a partition is settled by the first chunk of it; until then nothing may be deployed.
        self._until(self._all_begun, _BEGIN_WITHIN, "every partition to be begun")
        while self._feeder.is_alive():
            for name in self._rng.sample(sorted(self._fleet.draw), len(self._fleet.draw)):
                if not self._feeder.is_alive():
                    break
                self._inject(name)
        if self._feeder.trouble is not None:
            raise Broken(f"the producer gave up: {type(self._feeder.trouble).__name__}: {self._feeder.trouble}")
        self._note("traffic and faults end")
        self._fleet.mend_clock()
        self._fleet.mend_line()
        self._settle()

    def _inject(self, name: str) -> None:
        before = lag(self._fleet.settings)
        try:
            self._note(f"{name}: {self._fleet.faults[name]()}")
        except OSError as error:
            raise Broken(f"{name}: {error}") from error
        self._report.faults[name] += 1
        # Every other fault meets a service that has come to itself, the others one that has not.
        if self._rng.random() < 0.5:
            self._feeder.join(self._rng.uniform(0.2, 2.0))
            self._mend()
        elif before is not None:
            self._until(self._is_caught_up, _MOVE_WITHIN, f"the lookups to be worked on after {name}")

    def _settle(self) -> None:
        self._fleet.stop_workers()
        self._fleet.settings = self._fleet.settings.model_copy(update={"idle_after": IDLE_AFTER_ALL})
        for _ in range(3):
            while len(self._fleet.workers) < FEWEST:
                self._fleet.add()
            if not self._until(self._is_done, _SETTLE_WITHIN, "all lag to be 0 and all sources idle"):
                break
            self._fleet.stop_workers()
            # A tick may have come between the look and the end of the workers; then once more.
            if self._is_done():
                break
        self._fleet.stop_workers()
        self._report.ended = self._fleet.ended

    def _until(self, condition: Callable[[], bool], seconds: float, what: str) -> bool:
        """Wait for it. When nothing is done for so many seconds it is a difference, since then the service hangs."""
        deadline, most = time.monotonic() + seconds, -1
        while time.monotonic() < deadline:
            self._mend()
            if condition():
                return True
            if (so_far := done(self._fleet.settings)) is not None and so_far > most:
                deadline, most = time.monotonic() + seconds, so_far
            time.sleep(_LOOK_EVERY)
        left = {f"{topic}/{part}": count for (topic, part), count in (lag(self._fleet.settings) or {}).items() if count}
        self._report.differences.append(f"hangs: nothing done for {seconds:.0f} s, waiting for {what}; lag {left}")
        self._note(self._report.differences[-1])
        return False

    def _all_begun(self) -> bool:
        # A partition is begun when something keyed of it is in the log, which its first tick says.
        count = self._fleet.settings.partitions
        return all(len(passed) == count for passed in Ticks(self._fleet.settings).passed)

    def _is_caught_up(self) -> bool:
        behind = lag(self._fleet.settings)
        if behind is None:
            return False
        # Some five seconds of traffic.
        most = 5 * self._rate / self._fleet.settings.partitions
        return all(count < most for (topic, _), count in behind.items() if topic.startswith("lookup.events"))

    def _is_done(self) -> bool:
        behind = lag(self._fleet.settings)
        if behind is None or any(behind.values()):
            return False
        return len(Ticks(self._fleet.settings).idle) == self._fleet.settings.partitions

    def _mend(self) -> None:
        for what in self._fleet.mend():
            self._note(what)

    def _note(self, what: str) -> None:
        line = f"{time.monotonic() - self._began:6.1f} s  {what}"
        self._report.log.append(line)
        self._say(line)


def _judge(fleet: Fleet, traffic: Traffic, loaded: list[RuleSet], report: Report) -> None:
    settings = fleet.settings
    ticks = Ticks(settings)
    packs = {rules.version: rules for rules in loaded}
    with mock.patch.multiple(scorer, **dict(zip(("WARM_UP", "WARM_DAYS", "SETTLED"), SOONER, strict=True))):
        expected = expect(settings, traffic.reference, loaded[0], packs, traffic.poison, ticks)
    found, report.repeats, report.refused = observe(settings)
    report.lookups = sum(1 for raw in traffic.messages if raw not in traffic.poison)
    report.poison = len(expected.refused)
    report.alerts = len(found.alerts)
    report.differences += differences(expected, found)
    if not {b'"model"', b'"rule"'} <= {
        kind for raw in expected.alerts.values() for kind in (b'"model"', b'"rule"') if kind in raw
    }:
        raise Broken("the traffic gives no alert of a rule, or none of the model: nothing was tested")
    if report.differences and ticks.woken:
        raise Broken(
            f"sources {sorted(ticks.woken)} fell asleep and went on, so the order is not the log's; the differences were:\n"
            + "\n".join(report.differences[:50])
        )
