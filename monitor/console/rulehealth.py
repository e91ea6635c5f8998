"""How the rules do: what each has raised, how often the desk called it misuse, and which have never said anything."""

from __future__ import annotations

from collections import defaultdict
from typing import Final, Literal, NamedTuple

import msgspec
from sqlalchemy import Engine, func, select

from monitor.console import schema as db
from monitor.console.rows import RuleText, day_of
from monitor.console.schema import reading
from monitor.rules.model import DAY_MS, LEVELS

#: Days of which the fires are drawn.
DAYS: Final = 60
#: ``model``: raises alerts and is no rule of the pack. ``gone``: was in an earlier version.
State = Literal["works", "dead", "new", "model", "gone"]
STATES: Final = ("dead", "new", "works", "model", "gone")


class RuleHealth(NamedTuple):
    """One rule: ``fires`` ever and ``recent`` (by day, the last :data:`DAYS`), times in ms; ``since`` when it was first deployed."""

    rule: str
    text: RuleText
    state: State
    fires: int
    recent: list[int]
    last: int | None
    since: int | None
    verdicts: dict[str, int]

    @property
    def precision(self) -> float | None:
        """Of the verdicts that are one, the share of misuse; None when there is none."""
        false = self.verdicts.get("explained", 0) + self.verdicts.get("benign", 0)
        true = self.verdicts.get("true-misuse", 0)
        return true / (true + false) if true + false else None


def rules_health(engine: Engine, now: int, dead_days: int) -> tuple[str | None, list[RuleHealth]]:
    """The version of the rules at work and each rule; ``dead``: deployed for ``dead_days`` and silent for as long."""
    with reading(engine) as connection:
        current = connection.execute(select(db.meta.c.value).where(db.meta.c.key == "rules")).scalar()
        at_work = {
            row.rule: msgspec.json.decode(row.raw, type=RuleText)
            for row in connection.execute(
                select(db.rules.c.rule, db.rules.c.raw).where(db.rules.c.version == (current or ""))
            )
        }
        fires = {row.rule: row for row in connection.execute(select(*db.rule_fires.c))}
        names = sorted({*at_work, *fires})
        first = func.min(db.rules.c.deployed)
        since = {
            row[0]: row[1]
            for row in connection.execute(
                select(db.rules.c.rule, first).where(db.rules.c.rule.in_(names)).group_by(db.rules.c.rule)
            )
        }
        days: dict[str, list[int]] = defaultdict(lambda: [0] * DAYS)
        begin = day_of(now) - DAYS + 1
        table = db.rule_days.c
        asked = select(*table).where(table.rule.in_(names), table.day >= begin, table.day < begin + DAYS)
        for row in connection.execute(asked):
            days[row.rule][row.day - begin] = row.fires
        verdicts: dict[str, dict[str, int]] = defaultdict(dict)
        for row in connection.execute(select(*db.rule_verdicts.c)):
            verdicts[row.rule][row.verdict] = row.n
    found = []
    for name in names:
        fired = fires.get(name)
        text = at_work.get(name)
        if text is None:
            assert fired is not None
            text = RuleText(fired.title, fired.level, fired.typology, "", "", (), True, "")
            state: State = "gone" if name in since else "model"
        else:
            state = _state(now - dead_days * DAY_MS, since.get(name), None if fired is None else fired.last)
        if text.alerts or fired is not None:
            last = None if fired is None else fired.last
            count = 0 if fired is None else fired.fires
            one = RuleHealth(name, text, state, count, days[name], last, since.get(name), verdicts[name])
            found.append(one)
    return current, sorted(found, key=_order)


def _state(before: int, since: int | None, last: int | None) -> State:
    if last is not None and last >= before:
        return "works"
    return "new" if since is not None and since > before else "dead"


def _order(one: RuleHealth) -> tuple[int, int, int, str]:
    level = LEVELS.index(one.text.level) if one.text.level in LEVELS else 0
    return STATES.index(one.state), -level, -one.fires, one.text.title
