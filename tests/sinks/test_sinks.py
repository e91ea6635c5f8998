"""Sinks, against real HTTP servers: what they are told, that nothing is lost and nobody is called twice."""

from __future__ import annotations

import asyncio
import base64
import email
import email.policy
import hashlib
import hmac
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import stamina
from hypothesis import given, settings
from hypothesis import strategies as st
from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

from monitor.incidents.model import Incident
from monitor.incidents.response import Policy
from monitor.metrics_sinks import SinkMetrics
from monitor.sinks import ocsf
from monitor.sinks.config import BadSinks, SinkConfig, load
from monitor.sinks.delivery import FIRST_PAUSE, Limiter, Offer
from monitor.sinks.kinds import Alertmanager, make, signed
from monitor.sinks.message import message_of, text_of
from monitor.sinks.plan import ANSWERS, CALLS, Mark, done, pending
from tests.incidents.made import Desk, alert
from tests.incidents.test_book import calm, log
from tests.sinks.made import Got, Kept, Receiver, Told, courier, post_office, receiver, story, told

ALL = ("question", "desk", "page", "escalation", "acknowledged", "closed")
SECRET = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SINK_SECRET", SECRET)
    with stamina.set_testing(True, attempts=3):
        yield


@pytest.fixture
def server() -> Iterator[Receiver]:
    with receiver() as made:
        yield made


def sink(kind: str, url: str | None = None, **more: Any) -> SinkConfig:
    secret = {} if kind in ("alertmanager", "ocsf") or "secret_file" in more else {"secret_env": "SINK_SECRET"}
    return SinkConfig.model_validate({"name": "s", "kind": kind, "url": url, "notices": ALL, **secret, **more})


# What is told.


def test_pagerduty_is_triggered_acknowledged_and_resolved_under_one_key(server: Receiver) -> None:
    kept = Kept()
    for incident in story():
        told(sink("pagerduty", f"{server.url}/v2/enqueue"), [incident], kept)
    assert [each.body["event_action"] for each in server.got] == ["trigger"] * 3 + ["acknowledge", "resolve"]
    assert {(each.path, each.body["dedup_key"], each.body["routing_key"]) for each in server.got} == {
        ("/v2/enqueue", story()[0].id, SECRET)
    }
    payload = server.got[2].body["payload"]
    assert (payload["severity"], payload["source"], payload["class"]) == ("error", "lookup-monitor", "curiosity")
    assert "a high rule" in payload["summary"]
    assert "o-1 (north, risk 120)" in payload["custom_details"]["text"]


def test_a_webhook_is_signed_as_the_specification_says(server: Receiver) -> None:
    told(sink("webhook", server.url), [story()[-1]])
    assert [each.headers["webhook-id"].split("/")[1] for each in server.got] == ["1", "2", "3", "4", "5"]
    one = server.got[2]
    content = b".".join([one.headers["webhook-id"].encode(), one.headers["webhook-timestamp"].encode(), one.raw])
    expected = base64.b64encode(hmac.new(SECRET.encode(), content, hashlib.sha256).digest()).decode()
    assert one.headers["webhook-signature"] == f"v1,{expected}"
    assert one.headers["idempotency-key"] == one.headers["webhook-id"] == one.body["key"]
    assert one.body["actors"] == [{"name": "o-1", "unit": "north", "risk": 120.0}]


def test_the_signature_is_that_of_the_specifications_example() -> None:
    """https://github.com/standard-webhooks/standard-webhooks: the example of its libraries."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    headers = signed(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}')
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_mail_and_chat_get_words(server: Receiver, tmp_path: Path) -> None:
    (tmp_path / "urls").write_text(server.url.replace("http", "json") + "/hook\n")
    told(sink("apprise", secret_file=tmp_path / "urls"), [story()[2]])
    (one,) = server.got
    assert "a high rule" in one.body["title"]
    assert "- a high rule (high, adds 80 of 80)" in one.body["message"]


def test_mail_is_sent_and_a_post_office_that_is_shut_is_down(tmp_path: Path) -> None:
    with post_office() as (port, mails):
        (tmp_path / "urls").write_text(
            f"mailto://127.0.0.1:{port}?from=monitor@example.org&to=desk@example.org&mode=insecure"
        )
        config, clock = sink("apprise", secret_file=tmp_path / "urls"), Told()
        told(config, [story()[2]], clock=clock)
    (one,) = [email.message_from_string(each, policy=email.policy.default) for each in mails]
    assert "a high rule" in str(one["Subject"])
    assert one["To"] == "desk@example.org"
    assert "adds 80 of 80" in one.get_body(("plain", "html")).get_content()  # type: ignore[union-attr]

    async def run() -> None:
        courier_ = courier(config, Kept(), clock)
        courier_.offer(Offer(story()[2], None))
        work = asyncio.create_task(courier_.deliver_all())
        while courier_.trouble is None:
            await asyncio.sleep(0.01)
        work.cancel()

    with stamina.set_testing(True, attempts=1):  # Apprise itself waits between two tries
        asyncio.run(asyncio.wait_for(run(), 30))


def test_alertmanager_gets_one_alert_that_fires_and_none_when_it_is_over(server: Receiver) -> None:
    kept = Kept()
    for incident in story():
        told(sink("alertmanager", server.url), [incident], kept)
    assert {each.path for each in server.got} == {"/api/v2/alerts"}
    firing: dict[str, dict[str, Any]] = {}
    for got in server.got:
        for each in got.body:
            name = json.dumps(each["labels"], sort_keys=True)
            firing.pop(name, None)
            if each["endsAt"] > "2027":
                firing[name] = each
        counts = len(firing)
        assert counts == (1 if got in server.got[:3] else 0)
    labels = {label for got in server.got for each in got.body for label in each["labels"].values()}
    assert not [each for each in labels if each.startswith(("o-", "p-"))], "a label names somebody"


def test_findings_are_as_the_schema_of_ocsf_wants_them() -> None:
    schema = OcsfJsonSchemaEmbedded(get_ocsf_schema(version=ocsf.VERSION))
    made = schema.get_class_schema(class_name=schema.lookup_class_name_from_uid(class_uid=2004), profiles=[])
    validator = jsonschema.Draft202012Validator(made)
    found = [incident for raw in calm(log(8, 150))[0].values() for incident in [Desk().book, raw][1:]]
    from monitor.incidents.model import decode

    incidents = [decode(raw) for raw in found]
    for incident in [*story(), *incidents[:25]]:
        for notice in incident.notices[-2:]:
            validator.validate(ocsf.finding_of(message_of(incident, notice)))
    last = ocsf.finding_of(message_of(story()[-1], story()[-1].notices[-1]))
    assert (last["activity_id"], last["status_id"], last["type_uid"], last["severity_id"]) == (3, 4, 200403, 4)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**last, "severity_id": 7})


@pytest.mark.usefixtures("lax_umask")
def test_findings_in_a_file_are_there_once_whatever_the_crashes(tmp_path: Path) -> None:
    path, kept, incident = tmp_path / "findings.jsonl", Kept(), story()[-1]
    kept.dies_before_saving = True
    for _ in range(2):
        with pytest.raises(SystemExit):
            told(sink("ocsf", path=path), [incident], kept)
    with path.open("ab") as file:
        file.write(b'{"metadata": {"uid": "cut o')  # as a crash leaves it
    kept.dies_before_saving = False
    told(sink("ocsf", path=path), [incident], kept)
    uids = [json.loads(line)["metadata"]["uid"] for line in path.read_text().splitlines()]
    assert uids == [f"{incident.id}/{number}" for number in range(1, 6)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_findings_go_to_a_collector(server: Receiver) -> None:
    told(sink("ocsf", server.url, secret_env="SINK_SECRET"), [story()[0]])
    (one,) = server.got
    assert one.headers["authorization"] == f"Bearer {SECRET}"
    assert one.body["metadata"]["uid"] == one.headers["idempotency-key"]


def test_every_name_goes_through_one_place() -> None:
    """Who masks there masks everywhere: in the message, its words, and the finding."""
    incident = story()[-1]
    made = message_of(incident, incident.notices[-1], lambda kind, name: f"<{kind}>")
    for text in (repr(made), text_of(made), repr(ocsf.finding_of(made))):
        assert "o-1" not in text
        assert "<actor>" in text
    assert made.subjects == ["<subject>"] * 3


# Nothing lost, nobody called twice.


def incidents_of(count: int) -> tuple[Desk, list[str]]:
    desk = Desk(Policy(page_budget=10**6))
    return desk, [desk.raised(alert(f"a-{n}", "high", (f"o-{n}",))).id for n in range(count)]


@pytest.mark.parametrize("kind", ["pagerduty", "webhook"])
def test_a_sink_that_is_down_for_an_hour_loses_nothing_and_calls_once(server: Receiver, kind: str) -> None:
    """Meanwhile every page is sent again twice, a third are acknowledged, and the process is killed and started again."""
    clock, kept, is_up_at = Told(), Kept(), Told().at + 3600
    server.answer = lambda got: 202 if clock.at >= is_up_at else 503
    desk, ids = incidents_of(30)
    config = sink(kind, server.url, rate=100_000)
    metrics = SinkMetrics(["s"])

    async def run() -> None:
        one = courier(config, kept, clock, metrics)
        for name in ids:
            one.offer(Offer(desk.at(name), None))
        work = asyncio.create_task(one.deliver_all())
        for minute in range(1, 60):
            while clock.at < Told().at + minute * 60:
                await asyncio.sleep(0.001)
            desk.now = int(clock.at * 1000)
            if minute == 20:
                assert one.trouble == "HTTP 503"
                assert metrics.up.labels("s")._value.get() == 0
                for name in ids[::3]:
                    one.offer(Offer(desk.asked("acknowledge", name), None))
            if minute == 31:
                desk.tick(0)
                for name in ids:
                    one.offer(Offer(desk.at(name), None))
            if minute == 40:
                work.cancel()  # killed; a new one knows the marks and reads the incidents as they are
                one = courier(config, kept, clock, metrics)
                for name in ids:
                    one.offer(Offer(desk.at(name), None))
                work = asyncio.create_task(one.deliver_all())
        await work
        assert one.trouble is None

    asyncio.run(asyncio.wait_for(run(), 60))
    taken = [got for got in server.got if got.raw and clock.at >= is_up_at][-len(kept_notices(desk, ids, kind)) :]
    keys = Counter(got.headers.get("webhook-id") or got.body["dedup_key"] for got in taken)
    assert keys == Counter(kept_notices(desk, ids, kind))
    assert kept.refused == []
    assert set(kept.marks) == (set(ids) if kind == "webhook" else set(ids) - set(ids[::3]))


def kept_notices(desk: Desk, ids: list[str], kind: str) -> list[str]:
    if kind == "webhook":
        return [f"{name}/{each.number}" for name in ids for each in desk.at(name).notices]
    return [name for name in ids if name not in ids[::3]]


def test_a_crash_after_the_delivery_delivers_again_under_the_same_key(server: Receiver) -> None:
    for kind, key in (("webhook", "webhook-id"), ("pagerduty", "")):
        server.got.clear()
        kept, incident = Kept(), story()[2]
        config = sink(kind, server.url, notices=("page",))
        kept.dies_before_saving = True
        with pytest.raises(SystemExit):
            told(config, [incident], kept)
        kept.dies_before_saving = False
        told(config, [incident], kept)
        told(config, [incident], kept)
        names = [got.headers[key] if key else got.body["dedup_key"] for got in server.got]
        assert len(names) == 2
        assert len(set(names)) == 1


def test_a_message_that_is_refused_goes_aside_and_the_next_is_sent(server: Receiver) -> None:
    desk, ids = incidents_of(3)
    server.answer = lambda got: 400 if got.body["dedup_key"] == ids[1] else 202
    kept = told(sink("pagerduty", server.url), [desk.at(name) for name in ids])
    assert kept.refused == [(f"{ids[1]}/1", "refused", "HTTP 400")]
    assert [got.body["dedup_key"] for got in server.got] == ids
    assert set(kept.marks) == set(ids)


def test_what_cannot_be_put_into_words_stops_nobody(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    from monitor.sinks import delivery

    desk, ids = incidents_of(2)
    real = delivery.message_of

    def broken(incident: Incident, notice: Any) -> Any:
        if incident.id == ids[0]:
            raise KeyError("o-1")
        return real(incident, notice)

    monkeypatch.setattr(delivery, "message_of", broken)
    kept = told(sink("pagerduty", server.url), [desk.at(name) for name in ids])
    assert kept.refused == [(f"{ids[0]}/1", "broken", "KeyError")]
    assert [got.body["dedup_key"] for got in server.got] == ids[1:]


@pytest.mark.parametrize(
    ("status", "headers", "least"), [(401, {}, 2.0), (429, {"Retry-After": "90"}, 90.0), (404, {}, 2.0)]
)
def test_what_is_wrong_with_the_sink_waits(
    server: Receiver, status: int, headers: dict[str, str], least: float
) -> None:
    tries = {"429": 1}.get(str(status), 3)
    server.answer = lambda got: (status, headers) if len(server.got) < tries else 202
    clock, kept = Told(), Kept()
    told(sink("pagerduty", server.url), [story()[0]], kept, clock)
    assert len(server.got) == tries + 1
    assert clock.at - Told().at >= least
    assert kept.refused == []


def test_a_stumble_is_tried_again_at_once_and_is_no_outage(server: Receiver) -> None:
    server.answer = lambda got: 503 if len(server.got) < 2 else 202
    clock, metrics, kept = Told(), SinkMetrics(["s"]), Kept()

    async def run() -> None:
        one = courier(sink("pagerduty", server.url), kept, clock, metrics)
        one.offer(Offer(story()[0], None))
        await one.deliver_all()

    asyncio.run(run())
    assert (len(server.got), clock.at, metrics.failed.labels("s")._value.get()) == (3, Told().at, 0)
    assert metrics.delivered.labels("s")._value.get() == 1


def test_nobody_listening_is_down_too(server: Receiver) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    clock = Told()

    async def run() -> None:
        one = courier(sink("webhook", url), Kept(), clock)
        one.offer(Offer(story()[0], None))
        work = asyncio.create_task(one.deliver_all())
        while clock.at < Told().at + 10 * FIRST_PAUSE:
            await asyncio.sleep(0.01)
        work.cancel()
        assert one.trouble == "ConnectError"

    asyncio.run(asyncio.wait_for(run(), 30))


def test_no_more_than_the_rate(server: Receiver) -> None:
    desk, ids = incidents_of(100)
    clock = Told()
    told(sink("pagerduty", server.url, rate=30), [desk.at(name) for name in ids], clock=clock)
    assert len(server.got) == 100
    assert 139 <= clock.at - Told().at <= 141  # 30 at once, the other 70 at 30 a minute


def test_a_clock_that_goes_back_gives_no_more_tokens() -> None:
    clock = Told()
    limiter = Limiter(60, clock)

    async def run() -> None:
        for _ in range(60):
            await limiter.wait()
        clock.at -= 1000
        await limiter.wait()

    asyncio.run(run())
    assert clock.at <= Told().at - 990


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), data=st.data())
def test_whatever_is_missed_everybody_is_told_where_it_stands(seed: int, data: st.DataObject) -> None:
    """A sink that hears of an incident now and then: records are complete, calls are the newest, answers follow calls."""
    notices = data.draw(st.lists(st.sampled_from(ALL), min_size=1, max_size=8))
    incident = story()[0]
    from monitor.incidents.model import Notice

    incident.notices = [Notice(n, kind, "2026-09-21T12:00:00Z", "low", "") for n, kind in enumerate(notices, 1)]  # type: ignore[arg-type]
    seen = sorted({len(notices), *data.draw(st.lists(st.integers(1, len(notices)), max_size=4))})
    for is_record in (True, False):
        mark, sent = Mark(), []
        for upto in seen:
            now = story()[0]
            now.notices = incident.notices[:upto]
            while waiting := pending(now, mark, ALL, is_record):
                sent.append(waiting[0])
                mark = done(mark, waiting[0])
        numbers = [each.number for each in sent]
        assert numbers == sorted(set(numbers))
        if is_record:
            assert numbers == list(range(1, len(notices) + 1))
            continue
        after = max((n for n, kind in enumerate(notices, 1) if kind in ANSWERS), default=0)
        standing = [n for n, kind in enumerate(notices, 1) if kind in CALLS and n > after]
        if standing:
            assert sent[-1].number == standing[-1]
        elif sent:
            assert sent[-1].kind in ANSWERS, "a call that was answered is taken back"
        for before, this in zip([None, *sent], sent, strict=False):
            assert this.kind in CALLS or before is not None, "nobody is answered who was not called"


# The file of sinks.

BAD = [
    ("x = 1", "nothing else"),
    ("[[sink]]\nname='a'\nkind='fax'", "kind"),
    ("[[sink]]\nname='A b'\nkind='ocsf'\npath='f'", "name"),
    ("[[sink]]\nname='a'\nkind='webhook'\nurl='https://h'", "needs secret"),
    ("[[sink]]\nname='a'\nkind='webhook'\nsecret_env='S'", "needs a url"),
    ("[[sink]]\nname='a'\nkind='webhook'\nurl='ftp://h'\nsecret_env='S'", "url"),
    ("[[sink]]\nname='a'\nkind='pagerduty'\nurl='https://h'\nsecret='abc'", "secret"),
    ("[[sink]]\nname='a'\nkind='ocsf'", "url or a path"),
    ("[[sink]]\nname='a'\nkind='apprise'\nurl='https://h'", "secret_file or secret_env"),
    ("[[sink]]\nname='a'\nkind='ocsf'\npath='f'\n[[sink]]\nname='a'\nkind='ocsf'\npath='g'", "one name"),
    ("[[sink]]\nname='a'\nkind='ocsf'\npath='f'\ntimeout=3", "timeout"),
    ("[[sink]", "sinks.toml"),
]


@pytest.mark.parametrize(("text", "said"), BAD)
def test_a_wrong_file_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "sinks.toml").write_text(text)
    with pytest.raises(BadSinks, match=said):
        load(tmp_path / "sinks.toml")


def test_a_secret_that_cannot_be_used_is_said_before_anything_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, said in (("", "empty"), ("short", "24 bytes"), ("whsec_!!", "base64")):
        monkeypatch.setenv("SINK_SECRET", value)
        with pytest.raises(BadSinks, match=said):
            make(sink("webhook", "http://h"), httpx.AsyncClient(), lambda: 0.0)
    (tmp_path / "urls").write_text("nonsense\n")
    with pytest.raises(BadSinks, match="does not know"):
        make(sink("apprise", secret_file=tmp_path / "urls"), httpx.AsyncClient(), lambda: 0.0)
    with pytest.raises(BadSinks, match="No such file"):
        make(sink("webhook", "http://h", secret_file=tmp_path / "none"), httpx.AsyncClient(), lambda: 0.0)
    assert load(None) == []


# The real Alertmanager.

ALERTMANAGER = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


@pytest.mark.skipif(ALERTMANAGER is None, reason="Alertmanager is not installed (Debian: prometheus-alertmanager)")
def test_the_real_alertmanager_fires_once_and_resolves(tmp_path: Path, server: Receiver) -> None:
    config = {
        "route": {"receiver": "desk", "group_by": ["incident"], "group_wait": "0s", "group_interval": "1s"},
        "receivers": [{"name": "desk", "webhook_configs": [{"url": server.url, "send_resolved": True}]}],
    }
    (tmp_path / "am.yml").write_text(json.dumps(config))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        at = f"127.0.0.1:{free.getsockname()[1]}"
    assert ALERTMANAGER is not None
    process = subprocess.Popen(
        [ALERTMANAGER, f"--config.file={tmp_path}/am.yml", f"--storage.path={tmp_path}", f"--web.listen-address={at}",
         "--cluster.listen-address="],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        until(lambda: asked(f"http://{at}/-/ready") is not None, "it to be ready")
        kept = Kept()
        made = story()
        for incident in made[:3]:
            told(sink("alertmanager", f"http://{at}"), [incident], kept)
            told(sink("alertmanager", f"http://{at}"), [incident], Kept())  # again, as after a crash
        active = json.loads(asked(f"http://{at}/api/v2/alerts?active=true") or "[]")
        assert [(each["labels"]["notice"], each["labels"]["severity"]) for each in active] == [("page", "high")]
        until(lambda: "page" in firing(server), "the receiver to hear of the page")
        for incident in made[3:]:
            told(sink("alertmanager", f"http://{at}"), [incident], kept)
        assert json.loads(asked(f"http://{at}/api/v2/alerts?active=true") or "[1]") == []
    finally:
        process.terminate()
        process.wait(10)
    assert isinstance(make(sink("alertmanager", f"http://{at}"), httpx.AsyncClient(), time.time), Alertmanager)


def firing(server: Receiver) -> set[str]:
    return {each["labels"]["notice"] for got in server.got for each in got.body["alerts"] if each["status"] == "firing"}


def asked(url: str) -> str | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def until(condition: Any, what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for {what}"
        time.sleep(0.1)


def test_what_a_receiver_says_is_kept_by_the_tests() -> None:
    assert Got("/", {}, b"[1]").body == [1]
