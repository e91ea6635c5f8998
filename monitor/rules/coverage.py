"""What a pack covers: by typology, the rules that alert, by level, and the tests they carry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import date
from typing import Final

import msgspec

from monitor.rules.lint.inline import is_positive, tests_of
from monitor.rules.lint.pack import Pack
from monitor.rules.model import TYPOLOGIES

#: What rules without a typology are counted under.
NONE: Final = ""


class Coverage(msgspec.Struct):
    """One typology. ``rules`` counts what alerts, by level; ``parts`` what only feeds other rules."""

    typology: str
    rules: dict[str, int]
    parts: int
    positive: int
    negative: int

    @property
    def covered(self) -> bool:
        """Whether any rule alerts about it."""
        return bool(self.rules)


def coverage(files: Mapping[str, str]) -> list[Coverage]:
    """Every typology in order, and at the end what has none, if there is such a rule. What is refused is left out."""
    pack = Pack(files, date.min)
    rows: list[Coverage] = []
    for typology in (*TYPOLOGIES, NONE):
        written = [each for each in pack.by_id.values() if each.text("typology") == typology]
        levels = Counter(each.rule.level for each in written if each.rule is not None and each.alerts)
        tests = [is_positive(test) for each in written for test, _ in tests_of(each)]
        parts = sum(not each.alerts for each in written)
        if typology != NONE or any(each.alerts for each in written):
            rows.append(Coverage(typology, dict(sorted(levels.items())), parts, tests.count(True), tests.count(False)))
    return rows
