"""``sequence_run``: values that run in order — plates, house numbers, ids — are somebody working through a list."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, Final

from monitor.rules.kinds.kind import OfLog, too_few
from monitor.rules.model import Correlation, Lookup
from monitor.rules.state import Entry
from monitor.rules.values import MAX_VALUE, key_of
from monitor.rules.windows import LONG_MS

_DIGITS: Final = re.compile(r"\d{1,18}", re.ASCII)
#: A value has at most so many numbers in it that are looked at.
_MAX_NUMBERS: Final = 4


class SequenceRun(OfLog):
    """The longest run of numbers that follow each other in the values of ``field``, all else in them being equal but for case.

    ``gap`` (1 unless given) is how far apart two neighbours may be; the order in which they came does not matter. Of a value the
    first four numbers are looked at, of at most 18 digits each; a list, or a value of more than 200 characters, is not counted.
    """

    noun = "values in a row"
    needs_field = True
    options = {"gap": int}  # noqa: RUF012 (read only)
    longest = LONG_MS

    def value(self, rule: Correlation, lookup: Lookup, hits: tuple[int, ...]) -> Any:
        found = lookup.get(rule.fields[0])
        if found is None or type(found) is list:
            return None
        text = key_of(found)
        return text if len(text) <= MAX_VALUE and _DIGITS.search(text) else None

    def measure(self, rule: Correlation, inside: Sequence[Entry]) -> float:
        numbers: defaultdict[tuple[str, str], set[int]] = defaultdict(set)
        for text in {entry.value for entry in inside}:
            for around, number in numbers_in(text):
                numbers[around].add(number)
        longest, gap = 0, int(rule.options.get("gap", 1))
        for each in numbers.values():
            if len(each) > longest:  # a run is at most as long as there are numbers
                longest = max(longest, longest_run(each, gap))
        return longest

    def cannot(self, rule: Correlation, size: int) -> bool:
        return too_few(rule, size)


@lru_cache(maxsize=20_000)
def numbers_in(text: str) -> tuple[tuple[tuple[str, str], int], ...]:
    """The first numbers in a text, each with what stands before and after it."""
    found = islice(_DIGITS.finditer(text), _MAX_NUMBERS)
    return tuple(((text[: one.start()], text[one.end() :]), int(one[0])) for one in found)


def longest_run(numbers: set[int], gap: int) -> int:
    """The length of the longest run of numbers of which neighbours are at most ``gap`` apart."""
    longest = run = 0
    last: int | None = None
    for value in sorted(numbers):
        run = run + 1 if last is not None and value - last <= gap else 1
        longest, last = max(longest, run), value
    return longest
