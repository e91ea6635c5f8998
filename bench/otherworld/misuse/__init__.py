"""Misuse: fifteen typologies, each in several variants and three degrees of care.

:mod:`~bench.otherworld.misuse.personal` for oneself, :mod:`~bench.otherworld.misuse.crime` for others,
:mod:`~bench.otherworld.misuse.access` of access. Every actor plays in one story at most, and does their ordinary work besides.
"""

from __future__ import annotations

from typing import Final

from bench.otherworld.chance import stream
from bench.otherworld.misuse import access, crime, personal
from bench.otherworld.misuse.plot import CARES, Plot, Variant
from bench.otherworld.staff import Account, Staff

VARIANTS: Final[dict[str, tuple[Variant, ...]]] = {**personal.VARIANTS, **crime.VARIANTS, **access.VARIANTS}
#: Those who can play are at work on so many days at least.
_LEAST_DUTIES: Final = 7


def _fit(who: Account, variant: Variant) -> bool:
    return (
        who.job.name in variant.jobs
        and len(who.duties) >= _LEAST_DUTIES
        and who.leaves is None
        and not who.starts
        and not who.moved
    )


def cast(staff: Staff) -> list[Plot]:
    """Choose every story's variant, care and actors, and change the rosters of those who must be away for it.

    Variants and degrees of care take turns from a start that the seed draws, so that a few seeds see all of them.
    Raises :class:`ValueError` when the staff is too small for it.
    """
    plots: list[Plot] = []
    taken: set[str] = set()
    first = stream(staff.settings.seed, "cast").randrange(12)
    # Those that few can play come first.
    order = sorted(VARIANTS, key=lambda name: (min(len(variant.jobs) for variant in VARIANTS[name]), name))
    for typology in order:
        variants = VARIANTS[typology]
        rng = stream(staff.settings.seed, "cast", typology)
        for number in range(staff.settings.per_typology):
            variant = variants[(first + number) % len(variants)]
            care = (first // 4 + staff.settings.seed + number + order.index(typology)) % len(CARES)
            free = [who for who in staff.accounts if who.id not in taken and _fit(who, variant)]
            chosen: list[Account] = []
            for _ in range(variant.actors):
                # A ring has its members in different units.
                left = [
                    who for who in free if who not in chosen and who.unit not in {one.unit for one in chosen}
                ] or free
                if not left:
                    raise ValueError(f"nobody is left to play {typology} ({variant.name})")
                chosen.append(rng.choice(left))
            taken.update(who.id for who in chosen)
            plot = Plot(
                len(plots),
                typology,
                variant,
                care,
                chosen,
                stream(staff.settings.seed, "plot", typology, number),
                staff,
            )
            if variant.prepare is not None:
                variant.prepare(plot.rng, staff, plot.who)
            plots.append(plot)
    return plots
