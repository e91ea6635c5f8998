"""How long each kind of data is kept, and what erasing somebody does to it: one table for the code, the docs and the tests."""

from __future__ import annotations

from typing import Any, Final

import msgspec


class Kind(msgspec.Struct, frozen=True):
    """Topics that are kept alike. ``setting`` is the one of their days, ``None`` where something else ends them (``ends``).

    ``names``: ``ids``, ``pseudonyms`` or ``nobody``. ``held``: whether a legal hold keeps it. ``erasure`` is what stays of somebody who is
    erased, and until when; empty where nothing does.
    """

    name: str
    topics: tuple[str, ...]
    setting: str | None
    names: str
    ends: str = "Kafka removes what is older"
    held: bool = False
    erasure: str = ""


_LATER: Final = "is a log; goes by its time"
KINDS: Final = (
    Kind("lookups", ("lookup.events.v1", "lookup.keyed.v1", "lookup.features.v1"), "retention_days", "ids", erasure=_LATER),
    Kind("registers", ("lookup.sources.v1",), "retention_days", "nobody"),
    Kind(
        "refused",
        ("lookup.events.v1.dlq", "lookup.dispositions.v1.dlq", "lookup.incidents.commands.v1.dlq", "lookup.outcomes.v1.dlq", "lookup.sinks.dlq.v1"),
        "dlq_retention_days",
        "ids",
        erasure=_LATER,
    ),
    Kind("alerts", ("lookup.alerts.v1", "lookup.priorities.v1"), "alert_retention_days", "pseudonyms", erasure=_LATER),
    Kind("review", ("lookup.review.v1",), "alert_retention_days", "pseudonyms", erasure=_LATER),
    Kind("verdicts", ("lookup.dispositions.v1", "lookup.incidents.commands.v1"), "alert_retention_days", "nobody"),
    Kind("outcomes", ("lookup.outcomes.v1",), "alert_retention_days", "ids", erasure=_LATER),
    Kind("journal", ("lookup.incidents.journal.v1",), "alert_retention_days", "pseudonyms", erasure=_LATER),
    Kind(
        "incidents",
        ("lookup.incidents.v1", "lookup.incidents.state.v1"),
        "incident_retention_days",
        "pseudonyms",
        "forgotten so long after they were closed; cleared ones after LOOKUP_MONITOR_CLEARED_RETENTION_DAYS",
        held=True,
    ),
    Kind("audit", ("lookup.audit.v1",), "audit_retention_days", "pseudonyms", erasure="is the account of who did what; goes by its time"),
    Kind("orders", ("lookup.holds.v1",), None, "pseudonyms", "kept: who held or erased what, and why"),
    Kind("unmaskings", ("lookup.unmaskings.v1",), None, "pseudonyms", "kept: who saw whose identity, and who let them"),
    Kind(
        "reference",
        ("lookup.reference.v1",),
        None,
        "ids",
        "until its owner takes a record back",
        erasure="stays until its owner takes it back, or `--reference`; a version that was replaced is compacted away",
    ),
    Kind(
        "state",
        ("lookup.detect.state.v1", "lookup.intake.state.v1"),
        "forget_after_days",
        "ids",
        "an actor or subject of whom no lookup came for so long is forgotten",
        erasure="what workers know of the actor goes after so long without lookups: it cannot be taken from a running worker",
    ),
    Kind(
        "models",
        ("lookup.score.state.v1",),
        None,
        "ids",
        "replaced as they learn: they name actors of the last weeks, to count each once",
        erasure="goes as the model learns on",
    ),
    Kind("rest", ("lookup.rules.v1", "lookup.canary.v1", "lookup.sources.state.v1", "lookup.sinks.state.v1", "lookup.rank.state.v1"), None, "nobody", "no person in it"),
)  # fmt: skip


def days_of(kind: Kind, settings: Any) -> int | None:
    """The days of a kind, as the settings say."""
    return None if kind.setting is None else int(getattr(settings, kind.setting))
