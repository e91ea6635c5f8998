"""The registers' log: what a person asks of which register becomes lookups, as the registers would write them down.

A person asks for somebody; what the log has of it depends on the register: a search before the read, a plate mistyped first,
no terminal on the old phone register, an answer that comes late from a car. All of that is here; who asks and why is elsewhere.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any, Final, NamedTuple

import orjson

from bench.otherworld import habits
from bench.otherworld.calendar import MINUTE, SECOND, day_of, stamp
from bench.otherworld.people import People, Thing
from bench.otherworld.staff import Account

#: What is looked at in a register, by the kind of thing.
_FIELDS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("bvi", "person"): ("antecedents", "incidents", "address", "wanted", "cases"),
    ("bvi", "address"): ("incidents", "residents"),
    ("bvi", "vehicle"): ("incidents", "wanted"),
    ("bvi", "case"): ("file", "cases"),
    ("bvi", "phone"): ("incidents",),
    ("bvi", "company"): ("incidents",),
    ("brp", "person"): ("name", "born", "address", "household"),
    ("brp", "address"): ("residents",),
    ("rdw", "vehicle"): ("owner", "wanted"),
    ("rdw", "person"): ("documents", "owner"),
    ("rdw", "company"): ("owner",),
    ("obs", "person"): ("observations",),
    ("obs", "vehicle"): ("observations",),
    ("obs", "address"): ("observations",),
    ("phone", "phone"): ("subscriber",),
    ("phone", "person"): ("phones",),
    ("tax", "person"): ("income", "returns", "assets"),
    ("tax", "company"): ("returns", "property"),
    ("tax", "address"): ("property",),
}
_SEARCHED: Final = 0.45


class Why(NamedTuple):
    """What is written in the purpose of a lookup: a case, a code of the task, free text, for whom."""

    case: str | None = None
    code: str | None = None
    note: str | None = None
    behalf: str | None = None


NOTHING: Final = Why()


class Where(NamedTuple):
    """The machine: its terminal, address, and the area where it stands."""

    terminal: str
    ip: str
    area: str


@dataclass(slots=True)
class Look:
    """One lookup before it has an id. ``story`` is the misuse it belongs to, or -1; ``late`` is how long it was on its way."""

    ms: int
    who: Account
    unit: str
    system: str
    action: str
    kind: str
    subject: str
    text: str
    fields: tuple[str, ...]
    results: int | None
    why: Why
    where: Where
    outcome: str
    story: int
    late: int


def office(who: Account, area: str, rng: Random) -> Where:
    """A desk in their own station: mostly their own, one time in four another, as desks are shared."""
    desk = who.desk if rng.random() < 0.75 else rng.randint(0, 96)
    return Where(f"st-{area[:4]}-{desk:02}", f"10.{40 + habits.AREAS.index(area)}.2.{desk + 10}", area)


def car(who: Account, area: str, day: int) -> Where:
    """The terminal in the car of the day; two people share it."""
    number = (who.crew * 7 + day * 3) % 23
    return Where(f"mdt-{area[:4]}-{number:02}", f"10.{60 + habits.AREAS.index(area)}.9.{number + 10}", area)


def mobile(who: Account, area: str) -> Where:
    """Their own phone or laptop, wherever they are."""
    return Where(f"mob-{who.id}", f"10.99.{who.desk}.{who.crew + 2}", area)


class Log:
    """All that was looked up. Every entry is made through :meth:`ask` or :meth:`add`."""

    def __init__(self, people: People, begin: int, end: int) -> None:
        self.looks: list[Look] = []
        self._people = people
        self._begin = begin
        self._end = end
        self._own: dict[str, set[str]] = {}

    def own(self, who: Account) -> set[str]:
        """Themselves, their home, cars and phones, and who lives with them: honest people leave those to a colleague."""
        found = self._own.get(who.id)
        if found is None:
            family = [who.person, *self._people.household(who.person)]
            found = self._own[who.id] = {thing.id for one in family for thing in self._people.around(one)}
        return found

    def purpose(self, rng: Random, who: Account, why: Why) -> Why:
        """What is left of a purpose at the keyboard: sometimes nothing, sometimes a case number with a wrong digit."""
        if rng.random() < who.forgets:
            return NOTHING
        if why.case and rng.random() < habits.WRONG_CASE:
            at = rng.randrange(len(why.case) - 4, len(why.case))
            return why._replace(case=f"{why.case[:at]}{rng.randint(0, 9)}{why.case[at + 1 :]}")
        return why

    def ask(
        self,
        rng: Random,
        ms: int,
        who: Account,
        system: str,
        thing: Thing,
        why: Why,
        where: Where,
        *,
        action: str = "read",
        story: int = -1,
        exact: bool = False,
        fields: tuple[str, ...] = (),
    ) -> int:
        """Somebody asks a register; return when they have read the answer.

        ``exact`` asks for the one thing without searching and without a slip of the finger; ``fields`` is what they look at,
        when it is not what the register shows first.
        """
        if story < 0 and thing.id in self.own(who):
            return ms
        if not exact and action == "read":
            if thing.kind == "vehicle" and rng.random() < habits.TYPOS:
                ms = self._slip(rng, ms, who, system, thing, why, where, story)
            elif thing.kind in ("person", "address") and rng.random() < _SEARCHED:
                text = thing.surname if thing.kind == "person" and rng.random() < 0.3 else thing.text
                found = rng.randint(2, 40) if text == thing.surname else 1
                self.add(rng, ms, who, system, "search", thing, text, (), found, why, where, story)
                ms += rng.randint(4, 40) * SECOND
        shown = fields or _FIELDS.get((system, thing.kind), ("name",))
        self.add(rng, ms, who, system, action, thing, thing.text, shown, 1, why, where, story)
        return ms + rng.randint(8, 90) * SECOND

    def _slip(
        self, rng: Random, ms: int, who: Account, system: str, thing: Thing, why: Why, where: Where, story: int
    ) -> int:
        """A plate with one character wrong: mostly nobody's, sometimes somebody's; the right one follows."""
        at = rng.choice([place for place, sign in enumerate(thing.id) if sign != "-"])
        sign = str(rng.randint(0, 9)) if thing.id[at].isdigit() else rng.choice("BDFGHJKLNPRSTVXZ")
        wrong = f"{thing.id[:at]}{sign}{thing.id[at + 1 :]}"
        known = self._people.things.get(wrong)
        if wrong == thing.id or wrong in self.own(who) or (known and "honeytoken" in known.tags):
            return ms
        other = known or Thing("vehicle", wrong, thing.area, wrong.replace("-", ""))
        shown = _FIELDS.get((system, "vehicle"), ("owner",))
        self.add(rng, ms, who, system, "read", other, other.text, shown, 1 if known else 0, why, where, story)
        return ms + rng.randint(6, 35) * SECOND

    def add(
        self,
        rng: Random,
        ms: int,
        who: Account,
        system: str,
        action: str,
        thing: Thing,
        text: str,
        fields: tuple[str, ...],
        results: int | None,
        why: Why,
        where: Where,
        story: int,
    ) -> None:
        """One lookup; nothing happens outside the world's span."""
        if not self._begin <= ms < self._end:
            return
        ms = min(ms + rng.randint(0, 999), self._end - 1)
        denied = story < 0 and rng.random() < habits.DENIED
        late = rng.randint(20 * SECOND, 4 * MINUTE) if rng.random() < habits.LATE_DELIVERY else 0
        unit = who.unit_on((ms - self._begin) // (24 * 60 * MINUTE))
        outcome = "denied" if denied else "success"
        self.looks.append(
            Look(
                ms,
                who,
                unit,
                system,
                action,
                thing.kind,
                thing.id,
                text,
                fields,
                results,
                why,
                where,
                outcome,
                story,
                late,
            )
        )

    def numbered(self) -> list[tuple[str, Look]]:
        """Every lookup with its id (its register, day and number there), in the order in which they arrived."""
        count: Counter[str] = Counter()
        named: list[tuple[str, Look]] = []
        for look in sorted(self.looks, key=lambda look: (look.ms, look.who.id, look.subject)):
            head = f"{look.system}-{day_of(look.ms)}"
            count[head] += 1
            named.append((f"{head}-{count[head]:06}", look))
        named.sort(key=lambda pair: pair[1].ms + pair[1].late)
        return named


def event(name: str, look: Look) -> dict[str, Any]:
    """A lookup as the registers write it. The phone register is old: it has neither terminals nor outcomes."""
    row: dict[str, Any] = {
        "id": name,
        "time": stamp(look.ms),
        "system": look.system,
        "action": look.action,
        "actor": {"id": look.who.id, "unit": look.unit, "role": look.who.job.role},
        "query": {"text": look.text, **({"fields": list(look.fields)} if look.fields else {})},
    }
    if look.action != "search" or look.results == 1:
        # A search for a surname finds many, and is about none of them yet.
        row["subject"] = {"kind": look.kind, "id": look.subject}
    if look.results is not None and look.system != "tax":
        row["results"] = 0 if look.outcome == "denied" else look.results
    purpose = {
        key: value for key, value in zip(("case", "code", "text", "for"), look.why, strict=True) if value is not None
    }
    if purpose:
        row["purpose"] = purpose
    if look.system == "phone":
        return row
    row["client"] = {"ip": look.where.ip, "terminal": look.where.terminal, "area": look.where.area}
    row["outcome"] = look.outcome
    return row


def line(row: dict[str, Any]) -> bytes:
    """One line of JSON Lines."""
    return orjson.dumps(row) + b"\n"
