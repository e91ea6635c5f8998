"""model show: a card of each peer group's model, from the service's saved state or from a history."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import typer

from monitor.commands.common import fail, load_reference, load_rules, out, read_lines
from monitor.model.drift import drift_of
from monitor.model.features import FEATURES
from monitor.settings import Settings

if TYPE_CHECKING:
    from monitor.alerts import Alert
    from monitor.model import PeerModel
    from monitor.model.versions import Versions

#: The quantiles of the score that a card shows.
QUANTILES = (0.5, 0.9, 0.99, 0.999)


class Card(msgspec.Struct, frozen=True):
    """A peer group's model: lookups learned from, the score that a lookup must pass to alert (``None`` while it is young), quantiles
    of the score, what is usual of each feature (of ten members one is below, half, nine); of a history also its alerts, and how many
    there are per 1,000 of these lookups. ``drift`` is by feature how far the last week is from before (:mod:`monitor.model.drift`)."""

    group: str
    lookups: int
    threshold: float | None
    quantiles: dict[str, float]
    usual: dict[str, tuple[float, float, float]]
    alerts: int | None = None
    per_thousand: float | None = None
    drift: dict[str, float] = {}


def show(
    events: Annotated[
        Path | None, typer.Option(help="lookups, JSON Lines; default: the service's state in Kafka")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="reference records, JSON Lines")] = None,
    rules: Annotated[Path | None, typer.Option(help="folder of rules; default: the pack")] = None,
    format: Annotated[Literal["text", "json"], typer.Option(help="for people or for programs")] = "text",
) -> None:
    """What the model of each peer group has learned: of the running service, or of a history (--events, --reference)."""
    settings = Settings()
    if events is None and reference is None:
        from monitor.commands.model_versions import saved_groups

        groups = saved_groups(settings)
        cards = [
            card(named(name), groups[name].model, settings.quantile, None, groups[name].versions)
            for name in sorted(groups)
        ]
    elif events is None or reference is None:
        raise fail("give --events and --reference, or none of them and Kafka is read")
    else:
        cards = _of_history(settings, events, reference, rules)
    if format == "json":
        print(msgspec.json.encode(cards).decode())
    else:
        _print(cards)


def card(
    group: str, model: PeerModel, quantile: float, alerts: int | None = None, versions: Versions | None = None
) -> Card:
    """The card of one model."""
    threshold = model.quantile_at(quantile)
    return Card(
        group,
        model.seen,
        threshold if threshold < 1.0 else None,
        {str(q): model.quantile_at(q) for q in QUANTILES},
        {name: _usual(model, position) for position, name in enumerate(FEATURES)},
        alerts,
        None if not model.seen or alerts is None else alerts / model.seen * 1000,
        {} if versions is None else {name: round(value, 4) for name, value in drift_of(versions).items()},
    )


def _usual(model: PeerModel, position: int) -> tuple[float, float, float]:
    low, middle, high = (model.ranges.at(position, q) for q in (0.1, 0.5, 0.9))
    return low, middle, high


def named(group: str) -> str:
    """The group's name for people: the model that judges for young groups has one that no group can have."""
    return f"all (partition {group.rpartition('/')[2]})" if group.startswith("\x00") else group


def _of_history(settings: Settings, events: Path, reference: Path, rules: Path | None) -> list[Card]:
    from monitor.backtest import Backtest
    from monitor.stream.topics import partition_of

    known, _ = load_reference(reference)
    pack, _ = load_rules(rules or settings.rules, known.lists)

    run = Backtest(
        pack, known, settings.partitions, lambda actor: partition_of(actor, settings.partitions), settings.quantile,
        forget_ms=settings.forget_ms, gap_after_ms=settings.gap_after_ms,
    )  # fmt: skip
    raised = [alert for alert in run.run(read_lines(events), int(time.time() * 1000)) if alert.kind == "model"]
    counts = Counter(_group_of(alert, known) for alert in raised)
    return [
        card(named(name), group.model, settings.quantile, counts[name], group.versions)
        for name, group in sorted(run.groups.items())
    ]


def _group_of(alert: Alert, known: Any) -> str:
    from monitor.detector import peer_group_of

    staff = known.actors.get(alert.actors[0])
    return peer_group_of({} if staff is None else staff.fields)


def _print(cards: list[Card]) -> None:
    from rich.table import Table

    table = Table("group", "lookups", "alerts from", *(f"quantile {q}" for q in QUANTILES), "alerts", "per 1,000")
    for each in cards:
        table.add_row(
            each.group,
            f"{each.lookups:,}",
            "–" if each.threshold is None else f"{each.threshold:.3f}",
            *(f"{each.quantiles[str(q)]:.3f}" for q in QUANTILES),
            "–" if each.alerts is None else str(each.alerts),
            "–" if each.per_thousand is None else f"{each.per_thousand:.2f}",
        )
    out.print(table)
    features = Table("usual (10–90 % of the members)", *(each.group for each in cards))
    for name in FEATURES if cards else ():
        features.add_row(name, *("{0:.2f}–{2:.2f}".format(*each.usual[name]) for each in cards))
    out.print(features)
    drifting = [each for each in cards if each.drift]
    if drifting:
        drifts = Table("drift of the last week (PSI)", *(each.group for each in drifting))
        for name in FEATURES:
            drifts.add_row(name, *(f"{each.drift[name]:.2f}" for each in drifting))
        out.print(drifts)
