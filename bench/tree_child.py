"""Runs backtests with the monitor of one checkout: ``python bench/tree_child.py TREE EVENTS REFERENCE``, a process of its own.

Started by path, so that nothing but ``TREE`` is imported from. It says ``{"ready": …}`` when all is loaded; then each line of its input is a
run, ``{"limit": N, "alerts": FILE, "jobs": N}``, answered by a line with lookups, alerts, and the seconds by the clock and on the processor.
``jobs`` 0 is rules and model in this process, as ``monitor backtest`` does it; others are the rules alone in so many processes.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any


def load(tree: Path, reference: Path) -> tuple[Any, Any, Any]:
    """Rules, reference data and settings of a checkout. Raises ``ImportError`` when the monitor is not that checkout's."""
    sys.path[0] = str(tree)
    import monitor
    from monitor.reference import Reference, decode
    from monitor.rules import load_texts, read_dir
    from monitor.settings import Settings, pack_dir

    if not Path(str(monitor.__file__)).resolve().is_relative_to(tree):
        raise ImportError(f"{monitor.__file__} is not of {tree}")
    with reference.open("rb") as file:
        known = Reference(map(decode, file))
    loaded = load_texts(read_dir(pack_dir()))
    if loaded.problems:
        raise ImportError(f"rules of {tree}: {loaded.problems[0]}")
    return loaded.rules, known, Settings()


def backtest(
    rules: Any, known: Any, settings: Any, events: Path, limit: int | None, now: int
) -> tuple[int, Iterator[Any]]:
    """The lookups so far and the alerts of rules and model over the first ``limit`` lookups; in this process."""
    from monitor.backtest import Backtest
    from monitor.stream.topics import partition_of

    count = settings.partitions
    run = Backtest(rules, known, count, lambda actor: partition_of(actor, count), settings.quantile)
    with events.open("rb") as file:
        found = list(run.run(islice(file, limit), now))
    return run.fates.total() + run.refused.total(), iter(found)


def replay(rules: Any, known: Any, settings: Any, events: Path, jobs: int) -> tuple[int, Iterator[Any]]:
    """The same of the rules alone, over all lookups, in ``jobs`` processes."""
    from monitor.replay_processes import Log
    from monitor.replay_processes import replay as run
    from monitor.stream.topics import partition_of

    count = settings.partitions
    done = run(Log(events, known, count, lambda actor: partition_of(actor, count)), rules, jobs)
    return done.lookups, iter(done.alerts)


def cpu() -> float:
    """Seconds of processor time of this process and of those that it started and that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def main() -> None:
    """Load, then run what is asked for until the input ends."""
    tree, events, reference = (Path(each).resolve() for each in sys.argv[1:4])
    loaded = load(tree, reference)
    from monitor.alerts import encode

    gc.collect()
    gc.freeze()
    print(json.dumps({"ready": str(tree), "rules": len(loaded[0].by_id)}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        began, used = time.perf_counter(), cpu()
        if asked.get("jobs"):
            lookups, found = replay(*loaded, events, asked["jobs"])
        else:
            lookups, found = backtest(*loaded, events, asked.get("limit"), int(time.time() * 1000))
        seconds, busy = time.perf_counter() - began, cpu() - used
        raw = [encode(alert) + b"\n" for alert in found]
        if asked.get("alerts"):
            Path(asked["alerts"]).write_bytes(b"".join(raw))
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
        print(
            json.dumps({"lookups": lookups, "alerts": len(raw), "seconds": seconds, "cpu": busy, "peak_mb": peak}),
            flush=True,
        )


if __name__ == "__main__":
    main()
