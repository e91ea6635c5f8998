"""A small SVG of measured points and the power law through them, both axes logarithmic: the same points give the same bytes. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from bench.fit import Fit

_WIDTH, _HEIGHT = 440, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 34, 46
_INK: Final = "#444"
_LINE: Final = "#1668b8"


class _Axis:
    """From a number to a place between two ends; the ends are powers of ten, or a twice or five times of one."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.ticks = list(_ticks(min(values), max(values)))
        self._low, self._high = math.log(self.ticks[0]), math.log(self.ticks[-1])
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = (math.log(value) - self._low) / (self._high - self._low)
        return self._start + share * (self._end - self._start)


def _ticks(least: float, most: float) -> Iterator[float]:
    """1, 2 and 5 times powers of ten, from at or below the least to at or above the most; two at least."""
    steps = [
        float(f"{step}e{power}")
        for power in range(math.floor(math.log10(least)) - 1, math.ceil(math.log10(most)) + 2)
        for step in (1, 2, 5)
    ]
    first = max(number for number, step in enumerate(steps) if step <= least)
    last = min(number for number, step in enumerate(steps) if step >= most)
    last = max(last, first + 1)
    every = steps[first : last + 1]
    yield from every if len(every) <= 8 else [*every[::3], *([every[-1]] if (len(every) - 1) % 3 else [])]


def _label(value: float) -> str:
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def svg(title: str, x_name: str, y_name: str, sizes: Sequence[float], costs: Sequence[float], law: Fit) -> str:
    """The picture, as text; ``law`` is drawn from the least size to the most."""
    ends = (min(sizes), max(sizes))
    x = _Axis(sizes, _LEFT, _WIDTH - _RIGHT)
    y = _Axis([*costs, *map(law.at, ends)], _HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'font-family="sans-serif" font-size="11" fill="{_INK}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18" font-size="13">{escape(title)}</text>',
    ]
    for tick in x.ticks:
        at = x.at(tick)
        parts.append(f'<path d="M{at:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 15}" text-anchor="middle">{_label(tick)}</text>')
    for tick in y.ticks:
        at = y.at(tick)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{_label(tick)}</text>')
    left, right = ends
    parts.append(
        f'<path d="M{x.at(left):.1f} {y.at(law.at(left)):.1f}L{x.at(right):.1f} {y.at(law.at(right)):.1f}" stroke="{_LINE}" stroke-width="1.5"/>'
    )
    parts += [
        f'<circle cx="{x.at(size):.1f}" cy="{y.at(cost):.1f}" r="3.5" fill="{_LINE}"/>'
        for size, cost in zip(sizes, costs, strict=True)
    ]
    parts.append(
        f'<text x="{(_LEFT + _WIDTH - _RIGHT) / 2:.0f}" y="{_HEIGHT - 10}" text-anchor="middle">{escape(x_name)}</text>'
    )
    middle = (_TOP + _HEIGHT - _BOTTOM) / 2
    parts.append(
        f'<text transform="translate(13 {middle:.0f})rotate(-90)" text-anchor="middle">{escape(y_name)}</text>'
    )
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
