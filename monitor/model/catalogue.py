"""The one table of the features: what each is called, in what unit and span it counts, and by what formula.

The code takes names and transforms from here, the documentation (docs/model.md) its table, the alerts their sentences.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Form = Literal["count", "share", "index"]


class Feature(msgspec.Struct, frozen=True):
    """One feature. Its value always lies in 0..1.

    ``form`` says what the value is of the number a person understands: of a ``count`` n it is n / (n + ``half``), so that
    ``half`` of them make one half; a ``share`` is itself, or s / (s + ``half``) where shares are small and there is a ``half``;
    an ``index`` has no unit, and more is more unusual. ``words`` name it in an alert; ``unit`` is what a count counts.
    """

    name: str
    form: Form
    half: float
    unit: str
    span: str
    formula: str
    words: str

    def natural(self, value: float) -> float:
        """The number behind a value: a count for counts, percent for shares, the value itself for an index."""
        number = self.half * value / max(1.0 - value, 1e-9) if self.half else value
        return 100.0 * number if self.form == "share" else number

    def told(self, value: float) -> str:
        """A value as a person reads it."""
        number = self.natural(value)
        if self.form == "count":
            return f"{number:.0f}" if number >= 10 else f"{number:.1f}"
        if self.form == "share":
            return f"{number:.0f} %" if number >= 10 else f"{number:.1f} %"
        return f"{number:.2f}"


#: Shares are means over about this many of the actor's last lookups.
MEMORY: Final = 40


def _count(name: str, half: float, unit: str, span: str, formula: str, words: str) -> Feature:
    return Feature(name, "count", half, unit, span, formula, words)


def _share(name: str, of: str, words: str, span: str = f"{MEMORY} lookups") -> Feature:
    return Feature(name, "share", 0.0, "share", span, f"s ← s + ([{of}] − s) / {MEMORY}", words)


def _index(name: str, span: str, formula: str, words: str) -> Feature:
    return Feature(name, "index", 0.0, "index", span, formula, words)


_DECAYED: Final = "n ← n·exp(−Δt / span) + {of}"
_ALL: Final = _DECAYED.format(of="1")
#: In the first months only.
_WHOLE: Final = ", over 1 − exp(−age / span)"
_UNEXPLAINED: Final = _DECAYED.format(of="[unexplained]")

CATALOGUE: Final[tuple[Feature, ...]] = (
    _count("rate_10m", 20.0, "lookups", "10 min", _ALL, "many lookups within ten minutes"),
    _count("rate_1h", 40.0, "lookups", "1 h", _ALL, "many lookups within an hour"),
    _count("rate_1d", 120.0, "lookups", "1 d", _ALL, "many lookups within a day"),
    _count("rate_30d", 1200.0, "lookups", "30 d", _ALL + _WHOLE, "many lookups within a month"),
    _index(
        "surge", "1 d, 30 d", "d / (d + 2·(m/30 + 5)) of rate_1d and rate_30d", "far more lookups than their own usual"
    ),
    _count(
        "switches_1d",
        60.0,
        "changes of subject",
        "1 d",
        _DECAYED.format(of="[subject not among the last 24 different ones]"),
        "many different subjects within a day",
    ),
    _count("unexplained_1d", 5.0, "lookups", "1 d", _UNEXPLAINED, "many lookups without an explanation within a day"),
    _count(
        "unexplained_30d",
        30.0,
        "lookups",
        "30 d",
        _UNEXPLAINED + _WHOLE,
        "many lookups without an explanation in a month",
    ),
    _share("unexplained", "unexplained", "a large share without an explanation in the work"),
    _share("bad_purpose", "purpose missing or false", "a large share with a missing or false purpose"),
    _share("out_of_area", "outside the actor's area", "a large share outside the actor's area"),
    _share("off_shift", "off shift", "a large share off shift"),
    _share("sensitive", "export, print or follow", "a large share of exports, prints and follows"),
    _share("related", "a relation to the actor", "subjects close to the actor's own life"),
    _share(
        "new_subjects", "subject not among the last 24 different ones", "hardly any subject seen twice in a short time"
    ),
    _share("systems", "another system than before", "switching between many systems"),
    _share("new_terminal", "terminal not among the last 4", "terminals this actor does not usually use"),
    _share("no_sequel", "3 d without an explained lookup of the subject", "a large share that led to nothing"),
    _share("new_in_month", "subject not in the Bloom filters of 15 to 30 d", "subjects not seen in a month"),
    _share("new_system", "system not among the last 12", "systems this actor has never used"),
    _share("odd_action", "1 − times of this action / times of the most usual one", "actions this actor hardly makes"),
    _index("odd_hour", "all, fading", "1 − (n[h] + (n[h−1] + n[h+1])/2) / max n", "an hour they hardly work in"),
    _index(
        "odd_week_hour",
        "all, fading",
        "1 − n[c] / max n over the 42 four-hour cells c of the week",
        "a time of the week they hardly work in",
    ),
    _index(
        "burstiness",
        f"{MEMORY} gaps up to 8 h",
        "(B + 1)/2, B = (σ − μ)/(σ + μ) of the gaps (Goh, Barabási 2008)",
        "lookups in bursts",
    ),
    _count(
        "polling",
        3.0,
        "returns",
        "16 subjects",
        "occasions an hour or more apart on one subject, each without an explanation, less the first",
        "coming back to one subject without an explanation",
    ),
    _count(
        "case_reuse",
        10.0,
        "lookups",
        "8 cases",
        "lookups under the claimed case that it does not explain",
        "one case claimed for many lookups that it does not explain",
    ),
    _count(
        "dormant",
        30.0,
        "days",
        f"{MEMORY} lookups",
        f"d ← max(Δt, d·(1 − 1/{MEMORY}))",
        "coming back after a long time without lookups",
    ),
    _count(
        "change",
        4.0,
        "points",
        "since the change",
        "CUSUM (Page 1954) of [unexplained], own baseline p against 3p + 0.05",
        "a change from their own earlier share without an explanation",
    ),
    Feature(
        "nothing_ever",
        "share",
        0.05,
        "share",
        "all",
        "s = x / max(n, 100): of n lookups ever, x were unexplained and led to nothing within 3 d",
        "a large share over all the years that led to nothing",
    ),
)
FEATURES: Final[tuple[str, ...]] = tuple(feature.name for feature in CATALOGUE)
#: Each feature in words, for the reasons of an alert.
WORDS: Final[dict[str, str]] = {feature.name: feature.words for feature in CATALOGUE}
#: What follows the features in a vector: all lookups ever, those that led to nothing, the kind of the lookup (0..255: system,
#: action and time of day, hashed), and flags: :data:`EXPLAINED` and :data:`WITHHELD`, added up.
TAIL: Final = ("lookups", "nothing", "kind", "flags")
KINDS: Final = 256
#: The work explains the lookup: whatever the actor's behaviour, nobody is asked about this one.
EXPLAINED: Final = 1
#: The group's model shall not learn the lookup.
WITHHELD: Final = 2
SIZE: Final = len(FEATURES) + len(TAIL)


def markdown() -> str:
    """The table of docs/model.md."""
    rows = ["| feature | unit | span | value | formula |", "|---|---|---|---|---|"]
    for one in CATALOGUE:
        letter = {"count": "n", "share": "s", "index": ""}[one.form]
        value = f"{letter} / ({letter} + {one.half:g})" if one.half else letter or "as it is"
        rows.append(f"| `{one.name}` | {one.unit} | {one.span} | {value} | {one.formula} |")
    return "\n".join(rows) + "\n"
