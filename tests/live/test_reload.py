"""Rules change while workers run: at one point of the log for all of them, also through kill -9; a flawed pack is refused."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from conftest import Service, encoded, wait_for
from test_pipeline import alerts_of, free_port, page, wait_until_equal, with_joined_rule, world

from monitor import alerts
from monitor.backtest import Backtest
from monitor.commands.ingest import send_events, send_reference
from monitor.reference import Reference, decode
from monitor.rules import RuleSet, load_texts
from monitor.stream.folder import RuleFolder
from monitor.stream.topics import partition_of

NEW = """
title: Any print at all
id: 5f6c9d4e-3b0a-4a57-9f5c-0d8a5b1c2e3f
logsource: {category: lookup}
detection: {s: {action: print}, condition: s}
level: low
"""


def rules_of(folder: Path) -> RuleSet:
    loaded = load_texts(RuleFolder(folder).read())
    assert loaded.problems == []
    return loaded.rules


def copied(service: Service, name: str) -> Path:
    """The folder of rules with one more rule and without another."""
    folder = service.folder / name
    for path, text in RuleFolder(service.settings.rules).read().items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / "new.yml").write_text(NEW)
    (folder / "curiosity" / "silent-lookup.yml").unlink()
    return folder


def test_all_workers_move_to_new_rules_at_one_point_of_the_log(service: Service) -> None:
    settings = service.settings
    records, raws = world(actors=80, days=4, seed=9)
    with_joined_rule(service)
    # While the rules are deployed nothing is sent; a source that fell asleep then would lose its place in the one order.
    settings = service.settings = service.settings.model_copy(update={"idle_after": 30.0})
    folder = copied(service, "changed")
    old, new = rules_of(settings.rules), rules_of(folder)
    half = len(raws) // 2
    run = Backtest(
        old,
        Reference(map(decode, records)),
        settings.partitions,
        lambda actor: partition_of(actor, settings.partitions),
        settings.quantile,
    )
    messages = [*raws[:half], new, *raws[half:]]
    expected = encoded(settings, run.run(messages, int(time.time() * 1000)))
    packs = {alerts.decode(raw).pack for raw in expected.values()}
    assert packs == {old.version, new.version}
    titles = {alerts.decode(raw).rule.title for raw in expected.values() if alerts.decode(raw).pack == old.version}
    assert "Any print at all" not in titles

    send_reference(settings, records)
    send_events(settings, raws[:half])
    port = free_port()
    first, _ = service.start_worker(port), service.start_worker()
    wait_for(lambda: f"rules: {old.version}" in page(port, "/readyz")[1], 60, "the old version to be shown")
    done = service.monitor("rules", "deploy", str(folder))
    assert done.returncode == 0, done.stderr
    assert new.version in done.stdout
    send_events(settings, raws[half:])
    wait_for(lambda: len(alerts_of(service)) > len(expected) * 0.3, 60, "some alerts")
    first.send_signal(signal.SIGKILL)
    first.wait(10)
    again = free_port()
    service.start_worker(again)
    # Its folder still has the rules of before: it runs by what was deployed all the same, and undoes nothing.
    wait_for(lambda: f"rules: {new.version}" in page(again, "/readyz")[1], 60, "the worker that came back")
    wait_until_equal(service, expected, 150)
    listed = service.monitor("rules", "versions")
    assert [new.version in line for line in listed.stdout.splitlines() if "current" in line] == [True]


def test_a_flawed_pack_in_the_folder_is_refused_and_a_good_one_is_taken_up(service: Service) -> None:
    with_joined_rule(service)
    service.settings = service.settings.model_copy(update={"rules_interval": 0.5})
    folder, port = service.settings.rules, free_port()
    service.start_worker(port)
    old = rules_of(folder).version
    wait_for(lambda: f"rules: {old}" in page(port, "/readyz")[1], 60, "the version to be shown")
    assert f'lookup_monitor_rules_info{{version="{old}"}} 1.0' in page(port, "/metrics")[1]

    (folder / "new.yml").write_text(NEW.replace("action: print", "action|contians: print"))
    wait_for(lambda: "lookup_monitor_rules_refused_total 1.0" in page(port, "/metrics")[1], 30, "the refusal")
    assert f"rules: {old}" in page(port, "/readyz")[1]
    said = (service.folder / "worker-0.log").read_text()
    assert "new.yml:5:" in said, "the log says which file, line and column"
    refused = service.monitor("rules", "deploy", str(folder))
    assert refused.returncode == 1
    assert "did you mean contains?" in refused.stderr

    (folder / "new.yml").write_text(NEW)
    new = rules_of(folder).version
    send_events(service.settings, world(actors=20, days=1)[1])
    wait_for(lambda: f"rules: {new}" in page(port, "/readyz")[1], 30, "the new version")
    assert f'lookup_monitor_rules_info{{version="{old}"}}' not in page(port, "/metrics")[1]
