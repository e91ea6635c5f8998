"""A small force's alerts, incidents and verdicts in a store, for pages to show: made up, the same every time."""

from __future__ import annotations

import random
from typing import Any, Final

import orjson
from sqlalchemy import Engine

from monitor import alerts
from monitor.alerts import MODEL_RULE, Alert, Entity, RuleInfo
from monitor.feedback import disposition
from monitor.feedback.disposition import Disposition
from monitor.incidents.journal import Judged, Raised
from monitor.incidents.response import DAY_MS, Policy
from monitor.model.explain import Factor
from monitor.rules.load import version_of
from monitor.stream import topics
from monitor.stream.versions import CURRENT
from monitor.stream.versions import encode as encode_pack
from monitor.when import rfc3339
from tests.console.harness import Store
from tests.incidents.made import HOUR, T0
from tests.incidents.made import Desk as Story

UNITS: Final = ("north", "south", "harbour")
#: (id, title, level, typology, a reason, what speaks for the actor)
RULES: Final = (
    ("r-token", "A subject that does not exist was looked up", "critical", "honeytoken", "the subject p-000977 exists only in the register", ""),
    ("r-ring", "Actors of several units look at one subject within days", "high", "shared-interest", "3 actors of 2 units within 4 days, without a common case", ""),
    ("r-kin", "A relative’s address was read", "medium", "self-and-kin", "the subject is a relative of the actor", "the actor was on shift"),
    ("r-plate", "One plate is checked again and again", "medium", "followed-check", "the same plate on 5 occasions in 9 days, none of them explained", "peers make such lookups too: 6 % of theirs are in this system"),
    ("r-bulk", "Many subjects within ten minutes", "high", "bulk-harvest", "212 subjects within 10 minutes, 14 printed", "the actor stated a purpose"),
    ("r-area", "Addresses outside the work area", "low", "outside-work-area", "7 of 9 lookups were outside the area of the unit", "the actor was on shift"),
    ("r-news", "Somebody in the news", "low", "curiosity", "the subject has been in the news for 2 days", "the actor stated a purpose"),
)  # fmt: skip
_DEAD: Final = {"r-dead": "A terminal of somebody else", "r-dead-2": "An account after its owner left"}


def tell(engine: Engine) -> tuple[Store, Story]:
    """Fill a store; returns it with the desk that goes on from there."""
    store, chance = Store(engine), random.Random(8)
    desk = Story(Policy(page_budget=6))
    files = {name: title for name, title, *_ in RULES} | _DEAD
    version = version_of(files).encode()
    store.put([(topics.RULES, encode_pack(files))], T0 - 200 * DAY_MS, version)
    store.put([(topics.RULES, version)], T0 - 200 * DAY_MS, CURRENT)
    for number in range(90):
        desk.now = T0 + number * 5 * HOUR
        one = _alert(number, chance, desk.now - chance.randrange(2 * HOUR))
        desk.take(
            Raised(
                desk.source("alerts"),
                one,
                number % 41 == 40,
                {each: UNITS[int(each[-3:]) % 3] for each in one.actors},
            )
        )
        found = [(topics.ALERTS, alerts.encode(one)), (topics.PRIORITIES, _priority(one, chance))]
        store.put([*found, *((topics.INCIDENTS, raw) for _, raw in desk.book.changed())], desk.now)
        if number % 9 == 8:
            _judge(store, desk, one, ("true-misuse", "explained", "benign", "unsure")[number // 9 % 4])
        if number % 9 == 0:
            lookup = _lookup(number, desk.now)
            store.put([(topics.REVIEW, orjson.dumps(lookup))], desk.now)
    return store, desk


def _alert(number: int, chance: random.Random, ts: int) -> Alert:
    name, title, level, typology, reason, speaks = RULES[min(6, int(chance.random() ** 0.6 * 7.4))]
    actors = [f"o-{10200 + chance.randrange(26)}"]
    if name == "r-ring":
        actors += [f"o-{10200 + chance.randrange(26)}", f"o-{10240 + chance.randrange(9)}"]
    subjects = [f"p-{900 + chance.randrange(40):06d}"] + (["AB-12-CD"] if name == "r-plate" else [])
    is_model = number % 6 == 5
    info = MODEL_RULE if is_model else RuleInfo(name, title, level, typology)
    more: dict[str, Any] = {}
    if is_model:
        more = {"factors": _FACTORS, "speaks_for": ["the actor was on shift", "the subject is in the actor's own area"]}
    elif speaks:
        more = {"speaks_for": [speaks]}
    return Alert(
        id=alerts.alert_id(info.id, [("actor.id", actors[0])], f"bvi/{number}"),
        time=rfc3339(ts),
        ts=ts,
        rule=info,
        entity=Entity("actor", actors[0]) if len(actors) == 1 else Entity("subject", subjects[0]),
        actors=sorted(set(actors)),
        subjects=subjects,
        events=[f"bvi-2026-11-{number:04d}-{each}" for each in range(chance.randint(1, 7))],
        score=round(chance.random(), 3),
        reasons=_SAID if is_model else [reason],
        kind="model" if is_model else "rule",
        **more,
    )


_FACTORS: Final = [
    Factor("unexplained_30d", "lookups", 61.0, 0.0, 4.0, 17.0, 0.312),
    Factor("out_of_area", "%", 48.2, 2.0, 8.5, 19.0, 0.144),
    Factor("polling", "returns", 6.3, 0.0, 0.4, 1.9, 0.071),
]
_SAID: Final = [
    "many lookups without an explanation in a month: 61 lookups, where 8 in 10 of the peers have 0 to 17",
    "a large share outside the actor’s area: 48 %, where 8 in 10 of the peers have 2.0 to 19",
]


def _priority(one: Alert, chance: random.Random) -> bytes:
    likely = round(chance.random(), 3)
    return orjson.dumps({"alert": one.id, "priority": likely, "probability": likely})


def _judge(store: Store, desk: Story, one: Alert, verdict: Any) -> None:
    home = desk.book._store[f"a/{one.id}"].decode()
    said = Disposition(
        verdict=verdict, by="m.devries", time="2026-09-21T12:00:00Z", alert=one.id, incident=home, note="asked the unit"
    )
    desk.take(Judged(desk.source("dispositions"), said))
    changed = [(topics.INCIDENTS, raw) for _, raw in desk.book.changed()]
    store.put([(topics.DISPOSITIONS, disposition.encode(said)), *changed], desk.now)


def _lookup(number: int, ts: int) -> dict[str, Any]:
    return {
        "id": f"bvi-{number:05d}",
        "system": "bvi",
        "ts": ts,
        "action": "read",
        "actor.id": f"o-{10200 + number % 26}",
        "subject.id": f"p-{900 + number % 40:06d}",
        "purpose.status": ("explained", "claimed", "missing")[number // 9 % 3],
        "explanation": ["own-case"] if number // 9 % 3 == 0 else ["none"],
    }
