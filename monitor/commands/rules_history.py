"""What `monitor rules backtest` and `monitor rules diff` do: run rules over a log, and show what came of it."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterable
from pathlib import Path
from typing import IO, Any

import msgspec
import orjson
from rich.table import Table

from monitor import recall
from monitor.alerts import Alert, encode, info_of
from monitor.commands.common import fail, load_reference, out, progress, read_lines, say
from monitor.documents import Wrong
from monitor.pieces import pieces_of
from monitor.replay_processes import Log, Replayed, in_order_of_time, messages_in, replay
from monitor.rules import RuleSet
from monitor.rules.common import span_of
from monitor.rules.model import DAY_MS
from monitor.settings import Settings
from monitor.tally import Difference, tally
from monitor.workers import WorkFailed, cores

#: So many rows of a table of counts are shown.
_SHOWN = 20


def pack() -> Path:
    """The folder of rules that is set."""
    return Settings().rules


class History:
    """A log and what is known, to run rules over."""

    def __init__(self, events: Path, reference: Path, jobs: int | None, run_on: str | None) -> None:
        from monitor.stream.topics import partition_of

        run_on_ms = 0 if run_on is None else _span(run_on)  # before the data, which may take long to load
        self._settings = Settings()
        self._jobs = jobs or cores()
        if not events.is_file():
            raise fail(f"{events}: no such file")
        known, self.refused_records = load_reference(reference)
        partitions = self._settings.partitions
        self.log = Log(events, known, partitions, lambda actor: partition_of(actor, partitions), run_on_ms)
        self.seconds = 0.0

    def of(self, rules: RuleSet) -> Replayed:
        """Run the rules, in as many processes as wanted."""
        gc.freeze()  # rules and reference data stay: neither this process nor its forks need to look at them again
        began = time.perf_counter()
        try:
            with progress() as show:
                done = replay(self.log, rules, self._jobs, show)
        except WorkFailed as error:
            raise fail(str(error)) from None
        self.seconds = time.perf_counter() - began
        for trouble in done.troubles:
            say(trouble)
        return done

    def with_model(self, rules: RuleSet) -> Replayed:
        """Run rules and model, as `monitor backtest` does, in this process."""
        from monitor.backtest import Backtest

        done, log = Replayed(), self.log

        class Noting(Backtest):
            def _take(self, lookup: dict[str, Any]) -> list[Alert]:
                done.see(lookup["actor.id"], lookup["ts"])
                return super()._take(lookup)

        quantile, forget_ms = self._settings.quantile, self._settings.forget_ms
        run = Noting(rules, log.reference, log.sources, log.source_of, quantile, log.run_on_ms, forget_ms)
        began = time.perf_counter()
        lines = (line for piece in pieces_of(log.file, done.troubles) for line in messages_in(piece))
        done.alerts = in_order_of_time(run.run(lines, int(time.time() * 1000)))
        done.fates, done.refused, done.undecided = run.fates, run.refused, run.undecided()
        self.seconds = time.perf_counter() - began
        return done


def _span(text: str) -> int:
    try:
        return span_of(text, ("--run-on",))
    except Wrong as wrong:
        raise fail(f"{wrong.message}: {wrong.hint}") from None


def write_alerts(file: IO[bytes], alerts: Iterable[Alert]) -> None:
    """Write alerts as JSON Lines."""
    for alert in alerts:
        file.write(encode(alert) + b"\n")


def read_labels(path: Path) -> list[dict[str, Any]]:
    """The labels of a JSON Lines file; exits with what is wrong when it holds something else."""
    found = []
    for number, line in enumerate(read_lines(path), 1):
        try:
            label = orjson.loads(line)
            wrong = {"typology", "actors", "events", "from"} - label.keys()
        except (orjson.JSONDecodeError, AttributeError):
            raise fail(f"{path}:{number}: not a JSON object") from None
        if wrong:
            raise fail(f"{path}:{number}: a label without {', '.join(sorted(wrong))}")
        found.append(label)
    return found


def show_backtest(run: History, rules: RuleSet, done: Replayed, labels: list[dict[str, Any]] | None, form: str) -> None:
    """Print what a backtest found, as text or as JSON."""
    about = _summary(run, rules, done)
    if labels is not None:
        about["labels"] = _quality(labels, done)
        scores = recall.scores_by_rule(labels, done.alerts)
        for row in about["rules"]:
            row |= _score(scores.get(row["id"]))
    if form == "json":
        print(orjson.dumps(about, option=orjson.OPT_INDENT_2).decode())
    else:
        _print_backtest(about)


def _summary(run: History, rules: RuleSet, done: Replayed) -> dict[str, Any]:
    units = run.log.reference.actors
    counts = tally(done.alerts, lambda actor: units[actor].unit if actor in units else None)
    infos = {alert.rule.id: alert.rule for alert in done.alerts}
    infos |= {rule.id: info_of(rule) for rule in rules.by_id.values() if rule.alerts}
    order = sorted(infos.values(), key=lambda info: (-counts.rules.get(info.id, 0), info.title))
    return {
        "lookups": done.lookups,
        "fates": dict(done.fates),
        "refused": dict(done.refused),
        "actors": len(done.actors),
        "weeks": round(done.weeks, 3),
        "seconds": round(run.seconds, 3),
        "alerts": counts.alerts,
        "undecided": len(done.undecided),
        "undecided_days": _days_left(done),
        "rules": [{**msgspec.to_builtins(info), "alerts": counts.rules.get(info.id, 0)} for info in order],
        "levels": counts.levels,
        "units": counts.units,
        "by_week": counts.weeks,
    }


def _days_left(done: Replayed) -> int:
    """The least whole days for `--run-on` that decide all that waits: what is due is decided when its time has passed."""
    if not done.undecided:
        return 0
    return max(1, (max(done.undecided) - done.newest) // DAY_MS + 1)


def _quality(labels: list[dict[str, Any]], done: Replayed) -> dict[str, Any]:
    misusers = {name: (there, found) for name, there, found in recall.recall_by_misuser(labels, done.alerts)}
    typologies = [
        {"typology": name, **msgspec.to_builtins(score), **_score(score), **_misusers(*misusers.get(name, (0, 0)))}
        for name, score in recall.scores_by_typology(labels, done.alerts).items()
    ]
    true = sum(recall.is_true(labels, done.alerts))
    return {
        "typologies": typologies,
        "precision": true / len(done.alerts) if done.alerts else None,
        "false_alerts_a_week_per_100_innocents": recall.false_alerts(labels, done.alerts, done.actors, done.weeks),
        "median_ms_to_first_alert": recall.median_delay(labels, done.alerts),
    }


def _misusers(there: int, found: int) -> dict[str, Any]:
    return {"misusers": there, "misusers_found": found, "misuser_recall": found / there if there else None}


def _score(score: recall.Score | None) -> dict[str, Any]:
    return {"precision": score.precision if score else None, "recall": score.recall if score else None}


def _print_backtest(about: dict[str, Any]) -> None:
    rate = about["lookups"] / max(about["seconds"], 1e-9)
    out.print(f"{about['lookups']:,} lookups in {about['seconds']:.1f} s ({rate:,.0f}/s): {about['fates']}")
    out.print(f"{about['alerts']:,} alerts; refused: {about['refused'] or 'none'}")
    if about["undecided"]:
        out.print(
            f"{about['undecided']:,} decisions wait for what may come after the log's end; "
            f"`--run-on {about['undecided_days']}d` takes them as if nothing did"
        )
    with_labels = "labels" in about
    table = Table("rule", "level", "typology", "alerts", *(("precision", "recall") if with_labels else ()))
    for row in about["rules"]:
        cells = [row["title"], row["level"], row["typology"], f"{row['alerts']:,}"]
        table.add_row(*cells, *((_share(row["precision"]), _share(row["recall"])) if with_labels else ()))
    out.print(table)
    for name, title in (("levels", "level"), ("units", "unit"), ("by_week", "week")):
        _print_counts(title, about[name])
    if with_labels:
        _print_quality(about["labels"])


def _print_counts(title: str, counts: dict[str, int]) -> None:
    table = Table(title, "alerts")
    for name, count in list(counts.items())[:_SHOWN]:
        table.add_row(name, f"{count:,}")
    if len(counts) > _SHOWN:
        table.add_row(f"{len(counts) - _SHOWN} more", f"{sum(list(counts.values())[_SHOWN:]):,}")
    out.print(table)


def _print_quality(quality: dict[str, Any]) -> None:
    table = Table("typology", "scenarios", "misusers", "alerts", "precision")
    for row in quality["typologies"]:
        scenarios = f"{row['found']} of {row['scenarios']} ({_share(row['recall'])})"
        misusers = f"{row['misusers_found']} of {row['misusers']} ({_share(row['misuser_recall'])})"
        table.add_row(row["typology"], scenarios, misusers, f"{row['alerts']:,}", _share(row["precision"]))
    out.print(table)
    false, delay = quality["false_alerts_a_week_per_100_innocents"], quality["median_ms_to_first_alert"]
    out.print(f"precision: {_share(quality['precision'])}")
    out.print(
        f"false alerts (medium or more) a week for every 100 innocents: {'–' if false is None else f'{false:.2f}'}"
    )
    out.print(f"first misuse to first alert, median: {'–' if delay is None else f'{delay / 3_600_000:.1f} h'}")


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def show_difference(found: Difference, form: str) -> None:
    """Print what is different, as text or as JSON."""
    if form == "json":
        about = {**msgspec.to_builtins(found), "different": not found.is_none}
        print(orjson.dumps(about, option=orjson.OPT_INDENT_2).decode())
        return
    if found.is_none:
        out.print("no difference")
        return
    for word, infos in (("added", found.added), ("removed", found.removed), ("changed", found.changed)):
        for info in infos:
            out.print(f"rule {word}: {info.title} ({info.id})", markup=False)
    table = Table("rule", "level", "alerts added", "alerts lost", "alerts changed")
    for each in found.alerts:
        counts = (f"{len(ids):,}" for ids in (each.added, each.lost, each.changed))
        table.add_row(each.rule.title, each.rule.level, *counts)
    out.print(table if found.alerts else "the alerts are the same")
