"""Running a span once more, and comparing: the one way for Kafka and for an export."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from monitor.agree import Agree, Agreement
from monitor.alerts import Alert
from monitor.evidence import Unusable
from monitor.evidence.facts import Evidence
from monitor.reach import reaches_of
from monitor.reference import Reference
from monitor.rerun import Fact, Message, Rerun, UnknownPack
from monitor.rules import RuleSet, load_texts
from monitor.sealed_watch import Sealer
from monitor.stream.store import BlobStore

#: After how many records is said how far it is.
_SAY_EVERY = 1_000


class Checked(NamedTuple):
    """What came of a rerun. ``refused`` are the lookups that the run refused."""

    agreement: Agreement
    lookups: int
    refused: int


class _Lists(Mapping[str, tuple[str, ...]]):
    """The lists of the reference data. One that comes later in the log is there from the beginning, and empty: a worker that had
    started before it would have refused the rules that ask for it, and one that started after it not."""

    def __init__(self, names: Sequence[str], reference: Reference) -> None:
        self._names = names
        self._reference = reference

    def __getitem__(self, name: str) -> tuple[str, ...]:
        if name not in self._names:
            raise KeyError(name)
        return self._reference.lists.get(name, ())

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class Packs:
    """The rules of a span's versions, made of their texts when first asked for."""

    def __init__(self, evidence: Evidence, reference: Reference) -> None:
        self._evidence = evidence
        self._reference = reference
        self._made: dict[str, RuleSet] = {}
        self._reaches: dict[str, dict[str, int | None]] = {}

    def rules(self, version: str) -> RuleSet:
        """The rules of a version. Raises :class:`UnknownPack`."""
        made = self._made.get(version)
        if made is None:
            texts = self._evidence.pack(version)
            if texts is None:
                raise UnknownPack(version)
            lists = _Lists(self._evidence.facts.lists, self._reference)
            made = self._made[version] = load_texts(texts, lists).rules
        return made

    def is_certain(self, alert: Alert) -> bool:
        """Whether the log goes back far enough to tell whether the alert is right."""
        known_from = self._evidence.facts.known_from_ms
        if known_from is None:
            return True
        reach = self._reach(alert)
        return reach is not None and alert.ts - reach >= known_from

    def _reach(self, alert: Alert) -> int | None:
        if alert.kind == "model":
            return None
        if alert.pack not in self._reaches:
            try:
                self._reaches[alert.pack] = reaches_of(self.rules(alert.pack))
            except UnknownPack:  # no worker raised it: there is nothing it could follow from
                self._reaches[alert.pack] = {}
        return self._reaches[alert.pack].get(alert.rule.id, 0)


def check(
    evidence: Evidence,
    say: Callable[[str], None] = lambda words: None,
    forms: Sequence[Callable[[Alert], Alert]] = (lambda alert: alert,),
    sealer: Sealer | None = None,
) -> Checked:
    """Run the evidence again and compare. ``say`` is told how far it is, ``forms`` are as in :class:`monitor.agree.Agree`,
    and ``sealer`` knows sealed watches again.

    Raises :class:`Unusable` when the rules where the log begins, or the keys of the pseudonyms, are not there.
    """
    facts, store = evidence.facts, BlobStore()
    try:
        reference = Reference(store=store, sealer=sealer)
        packs = Packs(evidence, reference)
        agree = Agree(facts.from_ms, facts.to_ms, packs.is_certain, forms)
        for record in evidence.live():
            agree.live(record)
        if agree.is_masked and len(forms) < 2:
            raise Unusable(
                "the alerts are under pseudonyms: to compare them takes LOOKUP_MONITOR_PSEUDONYM_KEY_FILE and "
                "LOOKUP_MONITOR_IDENTITY_KEY_FILE, as the workers have them"
            )
        try:
            run = Rerun(
                packs.rules,
                facts.starts,
                reference,
                facts.quantile,
                facts.idle_ms,
                forget_ms=facts.forget_ms,
                gap_after_ms=facts.gap_after_ms,
            )
        except UnknownPack as error:
            raise Unusable(f"the rules {error} are not there, but the log begins under them") from None
        lookups = 0

        def told() -> Iterator[Message | Fact]:
            nonlocal lookups
            for number, entry in enumerate(evidence.log(), 1):
                if number % _SAY_EVERY == 0:
                    say(f"{number:,} records run again")
                lookups += isinstance(entry, Message)
                yield entry

        for made in run.play(told()):
            agree.raised(made)
        return Checked(agree.result(), lookups, run.refused.total())
    finally:
        store.close()
