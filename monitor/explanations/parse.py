"""Documents that declare explanations, read with every mistake placed and explained.

title: A case of one's own
name: own-case
description: The actor works on a case that names the subject.
explanation:
  record: case          # case, dispatch, watch or shift, or a list of them
  actor: member         # member, unit or requester, or a list of them
  subject: listed       # listed, area or any
  distance: 2           # the record names a subject 1 to 2 links away; without it, the subject itself
  when: {purpose.code: [patrol, traffic-stop]}   # and the lookup's own fields are so; "*" is any value, null none
  strength: 1.0
  within: 24h           # a record that begins so long after the lookup explains it later

With ``kind: plausible`` it explains nothing. It says that what was claimed fits whose work it is, and that such work leaves no
record: the rules can tell it from what does not even fit. ``when`` is then needed, ``subject: claimed`` asks about the case that
the lookup names (``actor: others``: it runs, whoever works on it), and there is no strength.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from monitor.documents import Document, KeyPath, RuleProblem, Wrong, expect, nearest
from monitor.explanations.ask import Explanations
from monitor.explanations.model import FACTS, MISSING, PLAUSIBLE, RECORD, Explanation

MAX_DISTANCE: Final = 3
#: Names that have a meaning of their own.
RESERVED: Final = ("none", "same-act")
_KEYS: Final = ("title", "name", "description", "explanation", "references")
_FIELDS: Final = ("record", "actor", "subject", "distance", "when", "strength", "within", "kind")
RECORDS: Final = ("case", "dispatch", "watch", "shift")
ACTORS: Final = ("member", "unit", "requester", "others")
SUBJECTS: Final = ("listed", "area", "any", "claimed")
KINDS: Final = (RECORD, PLAUSIBLE)
_NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_SPAN: Final = re.compile(r"(\d{1,6})([smhdw])")
_SPAN_MS: Final = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def is_explanation(document: Document) -> bool:
    """Whether a document declares an explanation rather than a rule."""
    return "explanation" in document.data


def parse_explanation(document: Document) -> Explanation:
    """The explanation that a document declares. Raises :class:`~monitor.documents.Wrong` with what is wrong and where."""
    data = document.data
    _only(data, _KEYS, ())
    for name in ("title", "name", "description"):
        if not expect(data, name, str, "").strip():
            raise Wrong(f"{name} is missing", "every explanation has a title, a name and a description", (name,))
    name = data["name"]
    if not _NAME.fullmatch(name) or name in RESERVED:
        raise Wrong(
            f"name {name} cannot be used", f"small letters, digits and -, and not {' or '.join(RESERVED)}", ("name",)
        )
    body = expect(data, "explanation", dict, None)
    if not body:
        raise Wrong(
            "explanation is missing", "for instance `explanation: {record: case, actor: member}`", ("explanation",)
        )
    _only(body, _FIELDS, ("explanation",))
    found = Explanation(
        name=name,
        title=data["title"],
        description=" ".join(data["description"].split()),
        records=_words(body, "record", RECORDS, None),
        actors=_words(body, "actor", ACTORS, ("member",)),
        subject=_subject(body),
        distance=_distance(body),
        when=_when(body),
        strength=_strength(body),
        within_ms=_within(body),
        kind=_kind(body),
    )
    _check(found)
    _check_kind(found, body)
    return found


def parse_explanations(documents: Iterable[Document], problems: list[RuleProblem]) -> Explanations:
    """The explanations of documents; what is wrong is added to ``problems`` and left out, the rest counts."""
    found: dict[str, tuple[Explanation, Document]] = {}
    for document in documents:
        try:
            one = parse_explanation(document)
            if one.name in found:
                first = found[one.name][1]
                place = f"{first.path}:{first.place(('name',))[0]}"
                raise Wrong(f"{one.name} is used in {place} already", "names must differ", ("name",))
        except Wrong as wrong:
            problems.append(document.problem(wrong))
        else:
            found[one.name] = one, document
    return Explanations(one for one, _ in found.values())


def _only(data: dict[str, Any], allowed: tuple[str, ...], at: KeyPath) -> None:
    for key in data:
        if key not in allowed:
            raise Wrong(f"an explanation has no {key}", nearest(key, allowed), (*at, key))


def _words(
    body: dict[str, Any], name: str, allowed: tuple[str, ...], default: tuple[str, ...] | None
) -> tuple[str, ...]:
    value, at = body.get(name), ("explanation", name)
    words = [value] if isinstance(value, str) else value
    if words is None and default is not None:
        return default
    if not isinstance(words, list) or not words:
        raise Wrong(f"{name} is missing" if value is None else f"{name} is not a word", nearest("", allowed), at)
    for word in words:
        if word not in allowed:
            raise Wrong(f"{name} {word} is none", nearest(str(word), allowed), at)
    return tuple(dict.fromkeys(words))


def _subject(body: dict[str, Any]) -> str:
    words = _words(body, "subject", SUBJECTS, ("listed",))
    if len(words) > 1:
        raise Wrong("subject has more than one word", "write one explanation for each", ("explanation", "subject"))
    return words[0]


def _distance(body: dict[str, Any]) -> int:
    distance: int = expect(body, "distance", int, 0, ("explanation",))
    if not 0 <= distance <= MAX_DISTANCE:
        raise Wrong(f"distance {distance} is too far", f"0 to {MAX_DISTANCE} links", ("explanation", "distance"))
    return distance


def _strength(body: dict[str, Any]) -> float:
    value, at = body.get("strength", 1.0), ("explanation", "strength")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 1:
        raise Wrong(
            f"strength {value} is none", "a number above 0 and up to 1; below 0.5 it does not explain alone", at
        )
    return float(value)


def _kind(body: dict[str, Any]) -> str:
    words = _words(body, "kind", KINDS, (RECORD,))
    if len(words) > 1:
        raise Wrong("kind has more than one word", "it is one or the other", ("explanation", "kind"))
    return words[0]


def _within(body: dict[str, Any]) -> int:
    value = body.get("within")
    found = _SPAN.fullmatch(str(value)) if value is not None else None
    if value is not None and found is None:
        raise Wrong(
            f"within {value} is no span", "a number and s, m, h, d or w, such as 24h", ("explanation", "within")
        )
    return int(found[1]) * _SPAN_MS[found[2]] if found is not None else 0


def _when(body: dict[str, Any]) -> tuple[tuple[str, frozenset[str]], ...]:
    asked = expect(body, "when", dict, {}, ("explanation",))
    conditions = []
    for field, value in asked.items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(one is None or isinstance(one, (str, int, float)) for one in values):
            hint = 'a value or a list of values; "*" is any value, null none at all'
            raise Wrong(f"when {field} has no value to compare with", hint, ("explanation", "when", field))
        conditions.append((field, frozenset(MISSING if one is None else str(one).lower() for one in values)))
    return tuple(sorted(conditions, key=lambda pair: pair[0]))


def _check(found: Explanation) -> None:
    """Refuse words that say nothing together."""
    for record in found.records:
        known = [(actor, subject) for one, actor, subject in FACTS if one == record]
        for actor in found.actors:
            if (actor, found.subject) not in known:
                hint = "; ".join(f"actor {a}, subject {s}" for a, s in known)
                message = f"a {record} cannot be asked for actor {actor} and subject {found.subject}"
                key = "actor" if found.subject in [subject for _, subject in known] else "subject"
                raise Wrong(message, f"for a {record} there is {hint}", ("explanation", key))
    if found.distance and found.subject != "listed":
        raise Wrong(
            "distance needs subject: listed", "links lead to subjects that a record names", ("explanation", "distance")
        )
    if found.within_ms and not {"case", "dispatch"}.issuperset(found.records):
        raise Wrong("within is for cases and dispatches", "only paperwork follows a lookup", ("explanation", "within"))


def _check_kind(found: Explanation, body: dict[str, Any]) -> None:
    """Refuse what would make a claim explain, or make everything plausible."""
    if found.kind == RECORD:
        if found.subject == "claimed":
            hint = "say kind: plausible; what somebody claims explains nothing until a record names the subject"
            raise Wrong("a case that was only claimed is no explanation", hint, ("explanation", "subject"))
        return
    for key in ("strength", "within", "distance"):
        if key in body:
            hint = "what is plausible explains nothing, now or later"
            raise Wrong(f"{key} has no meaning for what is only plausible", hint, ("explanation", key))
    if not found.when:
        hint = "say what must have been claimed, for instance when: {purpose.code: counter-service}"
        raise Wrong("what is plausible needs a when", hint, ("explanation", "kind"))
