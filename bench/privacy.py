"""What privacy costs: enrichment with sealed watches against plain ones, and an alert under pseudonyms. CPU time, in turns.

python -m bench.privacy [--teams N]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from statistics import median

import orjson

from monitor import alerts, events
from monitor.backtest import Backtest
from monitor.enrich import enrich
from monitor.privacy.identity import Identities
from monitor.privacy.mask import Mask
from monitor.privacy.pseudonym import Pseudonyms
from monitor.privacy.watch_list import sealed_watches
from monitor.reference import Reference, decode
from monitor.rules import load_texts, read_dir
from monitor.sealed_watch import Sealer
from monitor.settings import pack_dir
from monitor.simulate import Settings, simulate

_ROUNDS = 9


def _paired(first: Callable[[], object], second: Callable[[], object]) -> tuple[float, float]:
    """Median CPU seconds of each, one after the other in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * _ROUNDS):
        act = (first, second)[number % 2]
        began = time.process_time()
        act()
        times[number % 2].append(time.process_time() - began)
    return median(times[0]), median(times[1])


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--teams", type=int, default=1, help="teams with a sealed list")
    teams = options.parse_args().teams
    force = simulate(Settings(seed=5, days=5, actors=100, start=datetime(2026, 11, 10, tzinfo=UTC)))
    raws = [orjson.dumps(event) for event in force.events()]
    records = [orjson.dumps(each) for each in force.reference]
    watched = sorted({orjson.loads(raw).get("subject", {}).get("id", "") for raw in raws} - {""})[:500]
    keys = {f"team-{number}": (bytes([65 + number]) * 32,) for number in range(teams)}
    plain = [orjson.dumps({"record": "watch", "id": f"w-{team}", "subjects": watched}) for team in keys]
    sealed = [each for team, (key,) in keys.items() for each in sealed_watches(team, team, (key,), watched)]
    now = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp() * 1000)

    def enriched(records: Sequence[bytes]) -> Callable[[], object]:
        reference = Reference(map(decode, records))

        def act() -> object:
            reference._sealer = Sealer(keys)  # as in a worker that has just started: no hash is at hand
            return [enrich(events.decode(raw, received_ms=now), reference) for raw in raws]

        return act

    without, with_seals = _paired(enriched([*records, *plain]), enriched([*records, *sealed]))
    print(
        f"decode and enrich, {len(raws):,} lookups, {teams} teams with {len(watched)} subjects each: plain {without / len(raws) * 1e6:.1f} µs, "
        f"sealed {with_seals / len(raws) * 1e6:.1f} µs a lookup, ratio {with_seals / without:.3f}"
    )
    run = Backtest(load_texts(read_dir(pack_dir())).rules, Reference(map(decode, records)), 1, lambda _: 0, 0.999)
    found = list(run.run(raws, now))

    def masked() -> object:
        mask = Mask(Pseudonyms([b"k" * 64]), Identities([b"i" * 64]))
        return [alerts.encode(mask.alert(each)) for each in found]

    named, under = _paired(lambda: [alerts.encode(each) for each in found], masked)
    sizes = [sum(len(alerts.encode(each)) for each in some) for some in (found, masked_of(found))]
    print(
        f"{len(found)} alerts: encoded {named / len(found) * 1e6:.1f} µs, under pseudonyms {under / len(found) * 1e6:.1f} µs; "
        f"{sizes[0] / len(found):.0f} and {sizes[1] / len(found):.0f} bytes an alert"
    )


def masked_of(found: list[alerts.Alert]) -> list[alerts.Alert]:
    """Alerts under pseudonyms."""
    mask = Mask(Pseudonyms([b"k" * 64]), Identities([b"i" * 64]))
    return [mask.alert(each) for each in found]


if __name__ == "__main__":
    main()
