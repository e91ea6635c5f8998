"""The whole live worker of two checkouts over one Kafka, in turns: what ``bench.gate --kafka`` tells on top of its verdict.

By the clock, so it is for a machine with nothing else to do. Each checkout runs its own ``bench.ours.whole``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Final

from bench.peers.contender import Contender, measure
from bench.suites.outcome import console, say
from bench.suites.turns import Size, kafka, load_of, prefill

PAIRS: Final = 3
_WHOLE: Final = Contender("ours-whole", "the whole pipeline", "bench.ours.whole", counts=False)


def pairs_of(base: Path, head: Path, size: Size, pairs: int = PAIRS) -> list[float]:
    """How many times the base's rate this checkout has, by pair. Raises :class:`bench.peers.contender.Broken`."""
    ratios = []
    load = load_of(size)
    with (
        tempfile.TemporaryDirectory(prefix="lookup-monitor-") as folder,
        kafka(size.bootstrap, Path(folder, "kafka"), say) as (at, _),
    ):
        prefill(at, "gate.lookups", 4, load)
        for pair in range(pairs):
            rates = {}
            for root in (base, head) if pair % 2 == 0 else (head, base):
                workdir = Path(folder, f"gate-{pair}-{'base' if root == base else 'head'}")
                rates[root] = measure(_WHOLE, at, "gate.lookups", load.messages, 0, workdir, root).rate
            ratios.append(rates[head] / rates[base])
    return ratios


def show(base: Path, head: Path) -> None:
    """Measure and print."""
    ratios = pairs_of(base, head, Size(100_000))
    console.print(
        f"whole worker over Kafka: {median(ratios):.3f} times the base's lookups/s "
        f"({min(ratios):.3f} to {max(ratios):.3f}, {len(ratios)} pairs)"
    )
