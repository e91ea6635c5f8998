"""One human act: a client program makes several queries of one click (plate, its owner, is the owner wanted).

They are told by what they are like: the same actor at the same terminal, seconds apart, each about a subject that belongs to
one before it. The first that comes stands for what somebody decided to look up; the others are marked as folded into it, and
what explains the first explains them. Queries about subjects that have nothing to do with each other (plates in a row) never
fold, however fast they come.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from monitor.enrich import status_of
from monitor.explanations import ENOUGH, NONE, PLAUSIBLE, RECORD, join, with_none
from monitor.known import About
from monitor.reference import Reference

ACTS_VERSION: Final = 1
#: The longest pause between two queries of one act, and the longest that an act lasts, in milliseconds of event time.
PAUSE_MS: Final = 15_000
LONGEST_MS: Final = 60_000
#: How far event time may have gone on since an act was last added to, so that what comes late still joins it. Lookups of a
#: terminal that had lost the line come hours late, but together.
LATE_MS: Final = 60_000
#: How many subjects an act may join, and of how many actors the act is known; the oldest are forgotten first.
MAX_SUBJECTS: Final = 32
MAX_ACTORS: Final = 4096
#: The name of the explanation that a folded query has from the first of its act.
SAME_ACT: Final = "same-act"


class BadActs(Exception):
    """Saved acts that this version cannot read."""


class Act(msgspec.Struct, array_like=True):
    """The running act of an actor. ``near`` are owners and addresses of its subjects, ``strength`` is that of the first's
    explanation, 0 when it had none, ``seen`` the newest event time of the source when it was last added to. ``kind`` is the
    first's ``explanation.kind``; acts saved by the version before have none, and last a minute."""

    root: str
    first: int
    last: int
    terminal: str
    subjects: list[str]
    near: list[str]
    strength: float
    seen: int
    kind: str = NONE


class _Saved(msgspec.Struct, array_like=True):
    version: int
    acts: dict[str, Act]


class Acts:
    """The running acts of the actors of one source partition. The same lookups in the same order give the same marks."""

    def __init__(self) -> None:
        # In the order in which they were last added to.
        self._acts: dict[str, Act] = {}

    def __len__(self) -> int:
        return len(self._acts)

    def fold(self, lookup: dict[str, Any], reference: Reference, reached: int) -> dict[str, Any]:
        """Mark an enriched lookup (changed in place and returned) with its act, ``act.id``: the id of the act's first lookup.

        The second and later ones are ``act.folded`` too. ``reached`` is the newest event time of the source partition so
        far, this lookup's included: what is remembered depends on it alone, so that every replay folds the same.
        """
        self._forget(reached)
        lookup["act.id"] = lookup["id"]
        actor, terminal, subject = lookup["actor.id"], lookup.get("client.terminal"), lookup.get("subject.id")
        if terminal is None or subject is None:
            return lookup
        act, about = self._acts.get(actor), reference.about(subject)
        if act is not None and act.terminal == terminal and _belongs(act, subject, about, lookup["ts"]):
            _join(act, subject, about, lookup["ts"], reached)
            if lookup["id"] != act.root:
                lookup["act.id"], lookup["act.folded"] = act.root, True
                _inherit(lookup, act)
        elif act is None or lookup["ts"] >= act.last:
            act = self._begin(lookup, terminal, subject, about, reached)
        else:  # late, and no part of what runs now
            return lookup
        self._acts.pop(actor, None)
        self._acts[actor] = act
        if len(self._acts) > MAX_ACTORS:
            del self._acts[next(iter(self._acts))]
        return lookup

    @staticmethod
    def _begin(lookup: dict[str, Any], terminal: str, subject: str, about: About, reached: int) -> Act:
        explained = NONE not in lookup.get("explanation", (NONE,))
        strength = float(lookup.get("explanation.strength", 1.0)) if explained else 0.0
        near = [name for name in (about.owner, about.address) if name is not None]
        return Act(
            lookup["id"], lookup["ts"], lookup["ts"], terminal, [subject], near, strength, reached, _kind_of(lookup)
        )

    def _forget(self, reached: int) -> None:
        """Acts that nothing can join any more, not even late."""
        acts = self._acts
        while acts:
            actor = next(iter(acts))
            if acts[actor].seen >= reached - LATE_MS - PAUSE_MS:
                break
            del acts[actor]

    def save(self) -> bytes:
        """The acts as bytes, for the state of the intake."""
        return msgspec.msgpack.encode(_Saved(ACTS_VERSION, self._acts))

    @classmethod
    def load(cls, data: bytes) -> Acts:
        """The acts of :meth:`save`. Raises :class:`BadActs`."""
        try:
            saved = msgspec.msgpack.decode(data, type=_Saved)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise BadActs(f"the saved acts cannot be read: {error}") from None
        if saved.version != ACTS_VERSION:
            raise BadActs(f"the saved acts have version {saved.version}; this program reads version {ACTS_VERSION}")
        made = cls()
        made._acts = saved.acts
        return made


def _belongs(act: Act, subject: str, about: About, ts: int) -> bool:
    """Whether a query at ``ts`` about ``subject`` can be part of the act."""
    # Systems deliver at their own pace, so that a query may come before the one that it followed.
    earliest, latest = act.first - PAUSE_MS, act.last + PAUSE_MS
    if not max(earliest, act.last - LONGEST_MS) <= ts <= min(latest, act.first + LONGEST_MS):
        return False
    subjects = act.subjects
    if subject in subjects:
        return True
    if len(subjects) >= MAX_SUBJECTS:
        return False
    if subject in act.near or about.owner in subjects or about.address in subjects:
        return True
    return any(other in subjects for _, other in about.links)


def _join(act: Act, subject: str, about: About, ts: int, reached: int) -> None:
    act.seen = reached
    act.first, act.last = min(act.first, ts), max(act.last, ts)
    if subject not in act.subjects:
        act.subjects.append(subject)
        act.near += [name for name in (about.owner, about.address) if name is not None and name not in act.near]


def _kind_of(lookup: dict[str, Any]) -> str:
    return str(lookup.get("explanation.kind", NONE))


def _inherit(lookup: dict[str, Any], act: Act) -> None:
    """Explain a folded query by what explained the first of its act; never one of what nobody may know or look up.

    What was merely plausible of the first is so of all.
    """
    own = lookup.get("explanation")
    if own is None or NONE not in own or not (act.strength or act.kind == PLAUSIBLE):
        return
    if lookup.get("subject.watched") or "honeytoken" in (lookup.get("subject.tags") or ()):
        return
    if not act.strength:
        lookup["explanation.kind"] = act.kind
        return
    total = join(lookup.get("explanation.strength", 0.0), act.strength)
    names = sorted({SAME_ACT, *own} - {NONE})
    lookup["explanation"], lookup["explanation.strength"] = with_none(names, total), round(total, 3)
    lookup["explanation.kind"] = RECORD if total >= ENOUGH else _kind_of(lookup)
    lookup["purpose.status"] = status_of(lookup)
