"""A span of real Kafka, run again, exported and checked: what live raised is what the log gives, and what is tampered with is seen."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from os import environ
from pathlib import Path

import orjson
import pytest
from conftest import Service, wait_for
from test_pipeline import free_port, page, with_joined_rule, world
from test_reload import copied
from typer.testing import CliRunner, Result

from monitor import alerts
from monitor.cli import app
from monitor.commands.ingest import send_chunks, send_events, send_reference
from monitor.commands.run import stop_workers
from monitor.settings import ENV_PREFIX
from monitor.stream.batches import Out
from monitor.stream.folder import RuleFolder
from monitor.stream.topics import ALERTS, EVENTS, INTAKE_STATE
from monitor.stream.versions import pack_records, switch_records
from tests.samples import BAD

FORGED = "00000000-0000-5000-8000-000000000000"


@pytest.fixture
def monitor(service: Service, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """The command line, in this process."""
    monkeypatch.setenv(f"{ENV_PREFIX}BOOTSTRAP", service.settings.bootstrap)
    for name in ("pseudonym_key_file", "identity_key_file"):
        monkeypatch.setenv(f"{ENV_PREFIX}{name.upper()}", str(getattr(service.settings, name)))
    return lambda *arguments: CliRunner().invoke(app, list(map(str, arguments)))


def deploy(service: Service, folder: Path) -> None:
    _, pack = pack_records(RuleFolder(folder).read())
    version, _ = pack_records(RuleFolder(folder).read())
    for records in (pack, switch_records(version, service.settings.partitions)):
        assert list(send_chunks(service.settings, records))


def run(service: Service) -> None:
    """A worker and two days of a force, with a change of rules and messages that are no lookups in the middle."""
    records, raws = world(actors=60, days=2, seed=4)
    with_joined_rule(service)
    port = free_port()
    service.start_worker(port)
    send_reference(service.settings, records)
    known = f"lookup_monitor_reference_records {float(len(records))}"
    wait_for(lambda: known in page(port, "/metrics")[1], 60, "the worker to know the reference data")
    changed, half = copied(service, "changed"), len(raws) // 2
    bad = [value for _, value in BAD if value and len(value) < 65_536]
    send_events(service.settings, raws[:half])
    # A partition of which nothing was read yet would begin with the new rules.
    wait_for(lambda: all(service.ends(INTAKE_STATE)), 60, "every partition to be begun")
    deploy(service, changed)
    assert list(send_chunks(service.settings, [Out(EVENTS, 1, None, value, None) for value in bad]))
    send_events(service.settings, raws[half:])


def test_a_span_is_run_again_exported_and_checked(service: Service, monitor: Callable[..., Result]) -> None:
    run(service)
    out = service.folder / "evidence"
    made = monitor("export", out, "--from", "7d", "--to", "now")
    assert made.exit_code == 0, made.output
    done = monitor("replay", "--from", "7d")
    assert done.exit_code == 0, done.output
    raised = [alerts.decode(record.value) for record in service.read(ALERTS)]  # type: ignore[attr-defined]
    assert len({each.pack for each in raised}) == 2
    assert {each.kind for each in raised} >= {"rule"}
    assert f"{len({each.id for each in raised}):,} agree, 0 differ" in done.output
    assert len(raised) > 50
    nothing = monitor("replay", "--from", "7d", "--to", "6d")
    assert nothing.exit_code == 0, nothing.output
    assert nothing.output.startswith("0 messages run again"), "what was received later is not needed"
    checked = monitor("verify", out)
    assert checked.exit_code == 0, checked.output

    lines = (out / "alerts.jsonl").read_bytes().splitlines(keepends=True)
    (out / "alerts.jsonl").write_bytes(b"".join(lines[1:]))
    gone = orjson.loads(orjson.loads(lines[0])["value"]["text"])
    missed = monitor("replay", "--export", out)
    assert missed.exit_code == 1
    assert missed.output.startswith(f"only-replay  {gone['time']}")
    assert monitor("verify", out).exit_code == 1

    forged = Out(ALERTS, 0, b"actor/o-1", orjson.dumps({**gone, "id": FORGED}), None)
    assert list(send_chunks(service.settings, [forged]))
    assert_the_self_check_sees_one(service)


def assert_the_self_check_sees_one(service: Service) -> None:
    """The service that runs at night, here once."""
    port, said = free_port(), service.folder / "replay.log"
    settings = {"BOOTSTRAP": service.settings.bootstrap, "METRICS_PORT": str(port)}
    with said.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "monitor", "replay", "--every", "24h", "--from", "7d"],
            env={**environ, **{f"{ENV_PREFIX}{name}": value for name, value in settings.items()}},
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_for(
            lambda: said.stat().st_size and 'runs_total{result="differs"} 1.0' in page(port, "/metrics")[1],
            60,
            "a replay",
        )
        metrics = page(port, "/metrics")[1]
        assert 'lookup_monitor_replay_mismatch_total{how="only-live"} 1.0' in metrics
        assert 'lookup_monitor_replay_mismatch_total{how="only-replay"} 0.0' in metrics
        assert page(port, "/readyz")[0] == 200
        assert FORGED in said.read_text()
    finally:
        stop_workers([process])
    assert process.returncode == 0
