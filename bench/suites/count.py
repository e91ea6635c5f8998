"""The counting job: parse, count per actor in a window, alert at the threshold. Ours, and what others would do it with."""

from __future__ import annotations

from typing import Final

from bench.peers.contender import Contender
from bench.report import Target
from bench.suites.outcome import Outcome, Say
from bench.suites.turns import QUICK, Entry, Size, outcome_of, take_turns

__all__ = ["CONTENDERS", "QUICK", "TARGETS", "Size", "run"]

CONTENDERS: Final = (
    Contender("ours-count", "our transport; changelog", "bench.ours.count"),
    Contender("aiokafka-loop", "bare aiokafka loop, a dict; nothing durable", "bench.peers.aiokafka_loop"),
    Contender(
        "confluent-loop", "bare confluent-kafka consume(1000), a dict; nothing durable", "bench.peers.confluent_loop"
    ),
    Contender("streams-count", "Kafka Streams, window store with a cache; changelog", "bench.peers.streams_count"),
    Contender("streams-dsl", "Kafka Streams, windowedBy().count(); changelog", "bench.peers.streams_dsl"),
    Contender("quix-count", "Quix Streams, tumbling window; changelog", "bench.peers.quix_count"),
    Contender("faust-idle", "stock Faust agent that does nothing", "bench.peers.faust_idle", counts=False),
)
#: What ours must reach, each held against one peer (issue 10; six times stock Faust is older).
TARGETS: Final = (
    Target("ours-count", "quix-count", at_least=4),
    Target("ours-count", "aiokafka-loop", at_least=0.6),
    Target("ours-count", "streams-count", at_least=1, per_core=True),
    Target("ours-count", "faust-idle", at_least=6),
)


def run(size: Size, say: Say, contenders: tuple[Contender, ...] = CONTENDERS) -> Outcome:
    """Measure every contender on the same lookups. Raises :class:`bench.peers.contender.Broken`, also when one counts wrongly."""
    entries = [Entry(one) for one in contenders]
    results, details = take_turns(entries, size, say)
    title = f"{size.messages:,} lookups in 4 partitions, one process each, best seen beside each other"
    names = {one.name for one in contenders}
    targets = [target for target in TARGETS if {target.ours, target.peer} <= names]
    return outcome_of("count", title, entries, results, targets, details)
