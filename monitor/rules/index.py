"""The witness index: from a lookup's fields and values to the few detections that can match it."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.rules.compile import key_of
from monitor.rules.model import Detection, Lookup


class WitnessIndex:
    """Finds the matching detections without asking each one, in the order in which they were given."""

    def __init__(self, detections: Sequence[Detection]) -> None:
        self._always: list[tuple[int, Detection]] = []
        self._fields: dict[str, dict[str, list[tuple[int, Detection]]]] = {}
        for number, detection in enumerate(detections):
            if detection.witness is None:
                self._always.append((number, detection))
                continue
            for field, value in detection.witness:
                self._fields.setdefault(field, {}).setdefault(value, []).append((number, detection))

    def matches(self, lookup: Lookup) -> list[Detection]:
        """The detections that match ``lookup``."""
        found = {number: detection for number, detection in self._always if detection.predicate(lookup)}
        for field, values in self._fields.items():
            value = lookup.get(field)
            if value is None:
                continue
            for item in value if type(value) is list else (value,):
                for number, detection in values.get(key_of(item), ()):
                    if number not in found and detection.predicate(lookup):
                        found[number] = detection
        return [found[number] for number in sorted(found)]
