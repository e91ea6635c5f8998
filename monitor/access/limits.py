"""How often something may be tried: by account, by address, by session. Pure: the time is given. Nobody is ever locked out for good."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

#: So many keys are remembered; more only come of an attack, and then the ones not heard of for longest are forgotten.
MAX_KEYS: Final = 20_000


class Buckets:
    """At most ``burst`` at once, and ``rate`` a second after that, for each key."""

    def __init__(self, burst: float, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, key: str, now: float) -> float:
        """Take one. 0, or the seconds until there is one to take again; then none was taken."""
        level, at = self._levels.get(key, (self._burst, now))
        level = min(self._burst, level + max(0.0, now - at) * self._rate)
        if level < 1:
            return (1 - level) / self._rate
        self._levels[key] = (level - 1, now)
        self._levels.move_to_end(key)
        if len(self._levels) > MAX_KEYS:
            self._levels.popitem(last=False)
        return 0.0


class BackOff:
    """After ``free`` failures each further one doubles the wait, from one second to ``longest``. A failure is forgotten after ``forget`` seconds
    without another, and all of them after a success."""

    def __init__(self, free: int = 5, longest: float = 300.0, forget: float = 900.0) -> None:
        self._free, self._longest, self._forget = free, longest, forget
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, key: str, now: float) -> float:
        """Seconds until the next try may be made."""
        count, last = self._failures.get(key, (0, now))
        if now - last >= self._forget:
            self._failures.pop(key, None)
            return 0.0
        if count < self._free:
            return 0.0
        return max(0.0, last + min(self._longest, 2.0 ** min(30, count - self._free)) - now)

    def failed(self, key: str, now: float) -> None:
        """A try failed. Count it before it is made, so that many at once do not all go by the count of before."""
        count, last = self._failures.get(key, (0, now))
        self._failures[key] = (1 if now - last >= self._forget else count + 1, now)
        self._failures.move_to_end(key)
        if len(self._failures) > MAX_KEYS:
            self._failures.popitem(last=False)

    def succeeded(self, key: str) -> None:
        """A try was right."""
        self._failures.pop(key, None)
