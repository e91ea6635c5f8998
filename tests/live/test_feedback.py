"""Verdicts through real Kafka: nothing lost and nothing learned twice, whenever the ranker is killed."""

from __future__ import annotations

import random
import signal
import time

import msgspec
import orjson
from conftest import Service, wait_for
from kafka import KafkaProducer
from test_pipeline import free_port, page

from monitor import alerts
from monitor.feedback.desk import Desk, Priority, decode, encode, load_state
from monitor.feedback.disposition import Disposition
from monitor.feedback.disposition import encode as encode_disposition
from monitor.review import Sampler
from monitor.stream.topics import ALERTS, DISPOSITIONS, DISPOSITIONS_DLQ, PRIORITIES, RANK_STATE
from tests.feedback.made import alert, log, verdict, verdicts

SIZE = 400


def sent(service: Service, topic: str, records: list[tuple[int, bytes]]) -> None:
    producer = KafkaProducer(bootstrap_servers=service.settings.bootstrap, acks="all")
    try:
        for partition, value in records:
            producer.send(topic, value=value, partition=partition)
        producer.flush(30)
    finally:
        producer.close()


def expected_of(made: list[tuple[int, int, alerts.Alert]], said: list[Disposition]) -> tuple[dict[str, Priority], int]:
    """What one desk that nobody disturbs makes of it."""
    desk, found = Desk({}, Sampler(0.02), load_state(None)), {}
    for src, off, one in made:
        found[one.id] = desk.take_alert(one, src, off)
    for off, each in enumerate(said):
        found[each.alert or ""] = desk.take_verdict(each, off)[1]
    found.update((each.alert, each) for each in desk.rerank())
    return {name: comparable(each) for name, each in found.items() if each is not None}, desk.ranker.learned


def comparable(priority: Priority) -> Priority:
    return msgspec.structs.replace(decode(encode(priority)), learned=0)


def priorities(service: Service) -> dict[str, Priority]:
    return {each.key.decode(): comparable(decode(each.value)) for each in service.read(PRIORITIES)}


def value_of(port: int, series: str) -> float:
    lines = page(port, "/metrics")[1].splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{series} ")), -1.0)


def test_the_ranker_is_killed_again_and_again_and_learns_everything_once(service: Service) -> None:
    made = log(11, SIZE)
    said = verdicts([one for *_, one in made], 11, 150)
    expected, learned = expected_of(made, said)
    chance = random.Random(4)
    at = said_at = 0
    for _ in range(5):
        ranker = service.start("rank", port := free_port())
        wait_for(lambda port=port: page(port, "/readyz")[0] == 200, 60, "readiness")
        until = time.monotonic() + 1.0 + 2.0 * chance.random()
        while time.monotonic() < until:
            size = chance.randrange(1, 40)
            sent(service, ALERTS, [(src, alerts.encode(one)) for src, _, one in made[at : at + size]])
            at = min(SIZE, at + size)
            known = {one.id for *_, one in made[:at]}
            while said_at < len(said) and said[said_at].alert in known and chance.random() < 0.8:
                sent(service, DISPOSITIONS, [(0, encode_disposition(said[said_at]))])
                said_at += 1
        ranker.send_signal(signal.SIGKILL)
        ranker.wait(10)
    sent(service, ALERTS, [(src, alerts.encode(one)) for src, _, one in made[at:]])
    service.start("rank", port := free_port())
    sent(service, DISPOSITIONS, [(0, encode_disposition(each)) for each in said[said_at:]])
    wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")
    wait_for(lambda: value_of(port, "lookup_monitor_rank_learned") == learned, 60, "all verdicts to be learned")
    wait_for(lambda: priorities(service) == expected, 30, "the priorities to be those of a calm run")
    assert service.read(DISPOSITIONS_DLQ, 1) == []
    assert len(service.read(RANK_STATE, 1)) > 5  # it was killed while it worked, and not only while it started
    logged = (service.folder / "rank.log").read_text()
    assert not [name for name in ("o-1", "desk-1") if name in logged], "a log line names somebody"


def test_a_verdict_that_is_read_before_its_alert_waits_for_it(service: Service) -> None:
    """Five thousand alerts take several fetches; the verdict on the last of them comes with the first."""
    many = [alert(f"many-{number}", actor=f"o-{number}") for number in range(5_000)]
    sent(service, ALERTS, [(3, alerts.encode(each)) for each in many])
    sent(service, DISPOSITIONS, [(0, encode_disposition(verdict(many[-1])))])
    service.start("rank", port := free_port())
    wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")
    wait_for(lambda: value_of(port, "lookup_monitor_rank_learned") == 1 or service.read(DISPOSITIONS_DLQ, 1), 60, "it")
    assert service.read(DISPOSITIONS_DLQ, 1) == []


def test_a_verdict_by_hand_and_what_is_refused(service: Service) -> None:
    one = alert("one")
    service.start("rank", port := free_port())
    sent(service, ALERTS, [(0, alerts.encode(one))])
    wait_for(lambda: priorities(service).keys() == {one.id}, 60, "the first priority")
    done = service.monitor("dispose", one.id, "true-misuse", "--by", "desk-1", "--note", "an ex")
    assert done.returncode == 0, done.stderr
    wait_for(lambda: priorities(service)[one.id].verdict == "true-misuse", 20, "the verdict")
    wait_for(lambda: value_of(port, 'lookup_monitor_rank_dispositions_total{verdict="true-misuse"}') == 1, 10, "metric")
    assert service.monitor("dispose", one.id, "guilty", "--by", "desk-1").returncode == 2
    assert service.monitor("dispose", one.id, "benign", "--by", "").returncode == 2

    sent(service, DISPOSITIONS, [(0, b"{"), (0, encode_disposition(verdict(alert("never raised"))))])
    refused = wait_for(lambda: len(found := service.read(DISPOSITIONS_DLQ, 1)) == 2 and found, 20, "the refusals")
    assert [dict(each.headers)["reason"] for each in refused] == [b"not-json", b"unknown-alert"]  # type: ignore[attr-defined]
    assert refused[0].value == b"{"  # type: ignore[attr-defined]
    listed = service.monitor("dlq", "list", "--of", "dispositions")
    assert "unknown-alert" in listed.stdout
    assert "2 refused messages" in listed.stdout

    # After a fix (the alert is there now) it is sent again, and taken.
    sent(service, ALERTS, [(1, alerts.encode(alert("never raised")))])
    again = service.monitor("dlq", "replay", "--of", "dispositions", "--reason", "unknown-alert")
    assert again.returncode == 0, again.stderr
    wait_for(lambda: value_of(port, "lookup_monitor_rank_learned") == 2, 20, "the verdict to be learned")
    assert orjson.loads(service.read(DISPOSITIONS, 1)[-1].value)["verdict"] == "benign"  # type: ignore[attr-defined]


def test_fairness_from_kafka_is_as_from_files_and_a_sample_goes_to_review(service: Service) -> None:
    from monitor.commands.ingest import send_events
    from monitor.review import Sampler as Reviews
    from monitor.stream.topics import EVENTS, REVIEW
    from tests.fairness.made import biased

    service.settings = service.settings.model_copy(update={"review_rate": 0.05})
    raws, raised = biased(3, 2.5, actors=120)
    files = {"events": raws, "reference": [], "alerts": [alerts.encode(each) for each in raised]}
    for name, lines in files.items():
        (service.folder / f"{name}.jsonl").write_bytes(b"\n".join(lines))
    said = [verdict(each, "true-misuse") for each in raised[::3]]
    (service.folder / "said.jsonl").write_bytes(b"\n".join(map(encode_disposition, said)))
    sent(service, ALERTS, [(number % 4, each) for number, each in enumerate(files["alerts"])])
    sent(service, DISPOSITIONS, [(0, encode_disposition(each)) for each in said])
    send_events(service.settings, raws)
    of_files = service.monitor(
        "report", "fairness", "--format", "json", "--dispositions", str(service.folder / "said.jsonl"),
        *(f"--{name}={service.folder / name}.jsonl" for name in files),
    )  # fmt: skip
    of_kafka = service.monitor(
        "report", "fairness", "--format", "json", "--from", "2026-08-30T00:00:00Z", "--to", "2026-10-30T00:00:00Z"
    )
    assert of_kafka.stdout == of_files.stdout
    assert (of_files.returncode, of_kafka.returncode) == (1, 1), of_kafka.stderr

    service.start_worker(port := free_port())
    expected = {name for raw in raws if Reviews(0.05).takes(name := f"bvi/{orjson.loads(raw)['id']}")}
    wait_for(lambda: page(port, "/readyz")[0] == 200, 60, "readiness")
    wait_for(lambda: {each.key.decode() for each in service.read(REVIEW)} == expected, 60, "the sample")  # type: ignore[attr-defined]
    assert sum(service.ends(EVENTS)) >= len(raws)
