"""A stage that fails and a worker that hangs: it starts anew, from what is committed, and the alerts are the backtest's."""

from __future__ import annotations

from pathlib import Path

from conftest import Service, wait_for

from monitor.commands.ingest import send_events, send_reference
from tests.live.test_pipeline import alerts_of, backtest, wait_until_equal, world

#: Python runs a module of this name at its start. The third chunk that is detected does something else, once.
FAULT = """
from pathlib import Path
import time
from monitor.stream.detect import Detect
seen = 0
process = Detect.process

def faulty(self, *arguments):
    global seen
    seen += 1
    done = Path({mark!r})
    if seen == 3 and not done.exists():
        done.touch()
        {act}
    return process(self, *arguments)

Detect.process = faulty
"""


def fault(service: Service, act: str) -> dict[str, str]:
    """The environment of a worker with this fault."""
    (service.folder / "sitecustomize.py").write_text(FAULT.format(mark=str(service.folder / "done"), act=act))
    return {"PYTHONPATH": str(service.folder)}


def filled(service: Service) -> dict[str, bytes]:
    """Kafka with more than one chunk of lookups in every partition; the alerts they must give."""
    records, raws = world(actors=120, days=4, seed=6)
    assert len(raws) > 4 * 2_000
    send_reference(service.settings, records)
    send_events(service.settings, raws)
    return backtest(service, records, raws)


def log_of(service: Service, number: int) -> str:
    return Path(service.folder / f"worker-{number}.log").read_text()


def test_a_stage_that_fails_ends_the_worker_and_nothing_is_lost(service: Service) -> None:
    expected = filled(service)
    worker = service.start_worker(more=fault(service, "raise KeyError('o-10001')"))
    assert wait_for(lambda: worker.poll() is not None, 60, "the end of the worker")
    assert worker.returncode == 2
    said = log_of(service, 0)
    assert "KeyError at sitecustomize.py:" in said
    assert "for lookup.keyed.v1/" in said
    assert "o-10001" not in said, "a log line names somebody"
    service.start_worker(more=fault(service, "pass"))
    wait_until_equal(service, expected, 90)


def test_a_worker_that_hangs_starts_itself_anew(service: Service) -> None:
    expected = filled(service)
    service.settings = service.settings.model_copy(update={"restart_after": 5.0})
    worker = service.start_worker(more=fault(service, "time.sleep(3600)"))
    wait_until_equal(service, expected, 120)
    assert worker.poll() is None, "it is the same process to whoever started it"
    assert log_of(service, 0).count("starting anew") == 1
    assert len(alerts_of(service)) == len(expected)
