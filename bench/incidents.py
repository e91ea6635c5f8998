"""What becomes of a history's alerts: incidents, who is told of them, and how much of it is misuse.

    monitor simulate w --seed 13002 --days 28 --actors 150 --start 2026-09-01
    monitor backtest --events w/events.jsonl --reference w/reference.jsonl --alerts w/alerts.jsonl
    python -m bench.incidents w…

The labels of the world are the truth. Nobody acknowledges or closes anything, and supervisors are given all the time they want, so that
what is counted is what the alerts alone do.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import orjson

from monitor import alerts
from monitor.incidents.book import Book
from monitor.incidents.journal import Raised, Source
from monitor.incidents.response import DAY_MS, Policy
from monitor.review import Sampler


def measure(folder: Path) -> list[str]:
    """What is to be said of one history, in lines."""
    found = [alerts.decode(line) for line in (folder / "alerts.jsonl").read_bytes().splitlines()]
    labels = [orjson.loads(line) for line in (folder / "labels.jsonl").read_bytes().splitlines()]
    misusers = {actor for label in labels for actor in label["actors"]}
    found.sort(key=lambda each: (each.ts, each.id))
    policy = Policy(answer_ms=10_000 * DAY_MS)
    book, fates = Book({}, policy, Sampler(policy.page_share)), Counter[str]()
    began = time.process_time()
    for number, alert in enumerate(found):
        fates[book.take(Raised(Source("alerts", 0, number), alert), alert.ts, number)[0]] += 1
        book.changed()
    cost = (time.process_time() - began) / max(1, len(found))
    told: dict[str, set[str]] = {name: set() for name in ("pager", "desk", "supervisor", "none")}
    pages: Counter[str] = Counter()
    for incident in book.all():
        told[incident.response] |= set(incident.members)
        pages.update(notice.time[:10] for notice in incident.notices if notice.kind == "page")
    lines = [
        f"{folder}: {len(found):,} alerts, {fates['opened']} incidents, {dict(fates)}, {cost * 1e6:.0f} us CPU an alert"
    ]
    known: set[str] = set()
    for name, actors in told.items():
        mine, known = actors - known, known | actors
        lines.append(f"  {name:10} misusers {len(mine & misusers):4}   innocents {len(mine - misusers):4}")
    lines.append(f"  in no incident: {len(misusers - known)} of {len(misusers)} misusers")
    lines.append(
        f"  pages {sum(pages.values())}, most on a day {max(pages.values(), default=0)}, held {book.done['held']}"
    )
    return lines


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print("\n".join(measure(Path(name))))
