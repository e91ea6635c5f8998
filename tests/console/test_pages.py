"""The pages through the application: who may what, what is put on record first, and that nothing anybody wrote is taken for a page's own."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor import alerts
from monitor.access.roles import Person, Role
from monitor.alerts import Alert, Entity, RuleInfo
from monitor.console.acting import MAX_FORM, within
from monitor.console.app import console, page_of
from monitor.console.schema import open_store
from monitor.feedback import disposition
from monitor.feedback.disposition import Disposition
from monitor.incidents.command import Command
from monitor.incidents.journal import Asked, Raised
from monitor.incidents.model import encode
from monitor.metrics_console import PAGES, ConsoleMetrics
from monitor.model.explain import Factor
from monitor.stream import topics
from tests.console.harness import AUDITOR, AUTHOR, CSRF, DESK, OFFICER, SUPERVISOR, Guard, Logged, Store, Taken, Well
from tests.console.story import tell
from tests.incidents.made import Desk as Story
from tests.incidents.made import alert

PAGES_OF_DESK = ["/", "/rules", "/live", "/dispositions", "/review", "/search", "/search?q=relative", "/keys"]


class Force:
    """A console over a store, and what it wrote and sent."""

    def __init__(self, store: Store, story: Story) -> None:
        self.store, self.story = store, story
        self.audit, self.taken = Logged(), Taken(story, store)
        self.metrics = ConsoleMetrics()
        self.app = console(
            store.engine, self.audit, self.taken, Well(), self.metrics, behind=lambda: 0, now=lambda: story.now
        )
        self.guard = Guard(self.app)

    def ask(self, path: str, who: Person = DESK, form: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        self.guard.who = who

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.guard)
            async with httpx.AsyncClient(transport=transport, base_url="http://console") as client:
                named = {name.replace("_", "-"): value for name, value in headers.items()}
                if form is None:
                    return await client.get(path, headers=named)
                return await client.post(path, data={"csrf": CSRF, **form}, headers=named)

        return asyncio.run(go())

    def incident(self, status: str = "open", response: str = "pager") -> str:
        """The id of an incident."""
        found = [each for each in self.story.book.all() if each.status == status and each.response == response]
        return next(each.id for each in found if each.muted_by is None)

    def whats(self) -> list[tuple[str, bool]]:
        return [(each.what, each.done) for each in self.audit.events]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Force:
    """Nothing is changed in this one."""
    store, story = tell(open_store(f"sqlite:///{tmp_path_factory.mktemp('console')}/console.db"))
    return Force(store, story)


@pytest.fixture
def force(filled: Force) -> Iterator[Force]:
    filled.audit.events.clear()
    filled.taken.sent.clear()
    yield filled
    filled.audit.is_up = filled.taken.is_up = True


@pytest.fixture
def fresh(filled: Force, tmp_path: Path) -> Force:
    """One to do things in."""
    with filled.store.engine.connect() as connection:
        connection.exec_driver_sql(f"VACUUM INTO '{tmp_path}/console.db'")
    store = Store(open_store(f"sqlite:///{tmp_path}/console.db"))
    store.at = dict(filled.store.at)
    return Force(store, copy.deepcopy(filled.story))


@pytest.mark.parametrize("path", [*PAGES_OF_DESK, "/incident", "/actor?id=o-10203", "/subject?id=p-000900"])
@pytest.mark.parametrize("lang", ["en", "nl"])
def test_every_page_answers_in_its_language_and_is_not_kept(force: Force, path: str, lang: str) -> None:
    path = path.replace("/incident", f"/incidents/{force.incident()}")
    answer = force.ask(path, accept_language=lang)
    assert answer.status_code == 200
    assert f'<html lang="{lang}">' in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-language"] == lang
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    assert not re.search(r"\son\w+=", answer.text)


@pytest.mark.parametrize(
    ("who", "allowed"),
    [
        (DESK, {"/", "/dispositions", "/review", "/rules", "/live", "/search?q=o", "/actor?id=o-1", "/subject?id=p"}),
        (AUDITOR, {"/", "/dispositions", "/review", "/rules", "/live"}),
        (SUPERVISOR, {"/", "/live"}),
        (AUTHOR, {"/rules", "/live"}),
        (OFFICER, {"/live"}),
        (Person("n", frozenset()), set()),
        (Person("s", frozenset({Role.SUPERVISOR})), {"/live"}),
    ],
    ids=lambda each: each.name if isinstance(each, Person) else "",
)
def test_a_page_is_for_those_who_have_the_right(force: Force, who: Person, allowed: set[str]) -> None:
    every = {"/", "/dispositions", "/review", "/rules", "/live", "/search?q=o", "/actor?id=o-1", "/subject?id=p"}
    codes = {path: force.ask(path, who).status_code for path in sorted(every)}
    assert codes == {path: 200 if path in allowed else 403 for path in sorted(every)}
    incident = force.ask(f"/incidents/{force.incident()}", who)
    assert incident.status_code == (200 if who in (DESK, AUDITOR) else 403)


def test_a_supervisor_sees_the_questions_to_his_unit_and_no_more(force: Force) -> None:
    theirs = {each.id for each in force.story.book.all() if each.queue == "supervisor/harbour" and not each.muted_by}
    open_ones = {each.id for each in force.story.book.all() if each.id in theirs and each.is_open}
    shown = {each for each in re.findall(r"/incidents/([0-9a-f-]{36})", force.ask("/", SUPERVISOR).text)}
    assert shown == open_ones
    for path in ("/?queue=desk", "/?queue=supervisor/south", "/?status=all", "/?status=muted", "/?response=pager"):
        found = set(re.findall(r"/incidents/([0-9a-f-]{36})", force.ask(path, SUPERVISOR).text))
        assert found <= theirs, path
    for each in force.story.book.all():
        answer = force.ask(f"/incidents/{each.id}", SUPERVISOR)
        assert answer.status_code == (200 if each.id in theirs else 403)
        if answer.status_code == 200:
            assert "/actor?" not in answer.text
            assert set(re.findall(r"/incidents/([0-9a-f-]{36})", answer.text)) <= {each.id}
            assert 'value="close"' not in answer.text
            assert (
                force.ask(f"/incidents/{each.id}/act", SUPERVISOR, {"what": "close", "verdict": "benign"}).status_code
                == 403
            )
    assert force.taken.sent == []


def test_there_is_a_question_to_the_supervisor_in_the_story(force: Force) -> None:
    assert any(each.queue == "supervisor/harbour" for each in force.story.book.all())


def test_what_is_shown_is_on_record_before(force: Force) -> None:
    name = force.incident()
    for path in ("/", f"/incidents/{name}", "/actor?id=o-10203", "/subject?id=p-9", "/search?q=kees", "/dispositions"):
        force.ask(path)
    assert force.whats() == [
        ("view-queue", True),
        ("view-incident", True),
        ("view-actor", True),
        ("view-subject", True),
        ("search", True),
        ("view-queue", True),
    ]
    _, incident, actor, subject, search, _ = force.audit.events
    assert incident.incident == name
    assert incident.actors
    assert (actor.actors, subject.subjects, search.subjects) == (("o-10203",), ("p-9",), ("kees",))
    assert {each.by for each in force.audit.events} == {DESK.name}
    assert len({each.id for each in force.audit.events}) == 6


def test_what_cannot_be_recorded_is_not_shown_and_not_done(force: Force) -> None:
    name = force.incident()
    force.audit.is_up = False
    for path in (
        "/",
        f"/incidents/{name}",
        "/actor?id=o-10203",
        "/subject?id=p-9",
        "/search?q=kin",
        "/review",
        "/dispositions",
    ):
        answer = force.ask(path)
        assert answer.status_code == 503, path
        assert not set(re.findall(r"[op]-\d{5,}", answer.text)) - {"o-10203"}, path  # as it is in the address
        assert "Nothing can be opened now" in answer.text
    for form in ({"what": "acknowledge"}, {"what": "close", "verdict": "benign"}, {"what": "comment", "reason": "r"}):
        assert force.ask(f"/incidents/{name}/act", form=form).status_code == 503
    assert force.ask("/review", form={"lookup": "bvi/bvi-00000", "verdict": "benign"}).status_code == 503
    assert force.taken.sent == []
    failed = force.metrics.registry.get_sample_value("lookup_monitor_console_failed_total", {"page": "incident"})
    assert failed is not None
    assert failed > 0


def test_what_is_refused_is_on_record_too(force: Force) -> None:
    name = force.incident()
    force.ask(f"/incidents/{name}", SUPERVISOR)
    force.ask(f"/incidents/{name}/act", AUDITOR, {"what": "close", "verdict": "benign"})
    force.ask("/search?q=x", AUDITOR)
    force.ask("/actor?id=o-1", AUDITOR)
    assert force.whats() == [("view-incident", False), ("dispose", False), ("search", False), ("view-actor", False)]
    assert force.taken.sent == []


@pytest.mark.parametrize("what", ["acknowledge", "comment", "escalate", "close", "judge"])
def test_what_somebody_does_is_sent_under_their_name_and_shown_when_it_came_back(fresh: Force, what: str) -> None:
    name = fresh.incident()
    found = fresh.story.at(name)
    form = {"what": what, "reason": "I asked the unit"}
    if what in ("close", "judge"):
        form.update(what="close", verdict="explained")
    if what == "judge":
        form["alert"] = found.alerts[0].alert
    answer = fresh.ask(f"/incidents/{name}/act", form=form)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/incidents/{name}?sent={what}&steps={len(found.history)}"
    (sent,) = fresh.taken.sent
    assert sent.by == DESK.name
    assert isinstance(sent, Disposition if what in ("close", "judge") else Command)
    assert (getattr(sent, "reason", None) or getattr(sent, "note", None)) == "I asked the unit"
    (event,) = [each for each in fresh.audit.events if each.what not in ("view-incident", "view-queue")]
    assert event.what == ("dispose" if what in ("close", "judge") else what)
    assert event.incident == name
    shown = fresh.ask(answer.headers["location"]).text
    assert "has been taken in" in shown
    assert "I asked the unit" in shown
    if what == "close":
        assert "closed · explained" in shown


def test_until_it_came_back_the_page_says_so_and_asks_a_bounded_number_of_times(force: Force) -> None:
    name = force.incident()
    steps = len(force.story.at(name).history)
    shown = force.ask(f"/incidents/{name}?sent=comment&steps={steps}").text
    assert "was sent; it is shown here" in shown
    (asks,) = re.findall(r'hx-get="([^"]*pending[^"]*)"', shown)
    count = 0
    while asks:
        answer = force.ask(asks.replace("&amp;", "&"))
        assert answer.status_code == 200
        assert "<html" not in answer.text
        following = re.findall(r'hx-get="([^"]*)"', answer.text)
        asks = following[0] if following else ""
        count += 1
    assert count == 30
    assert "has not been taken in yet" in answer.text


@pytest.mark.parametrize(
    ("path", "form", "code"),
    [
        ("act", {"what": "delete"}, 400),
        ("act", {}, 400),
        ("act", {"what": "comment", "reason": ""}, 400),
        ("act", {"what": "comment", "reason": "x" * 3000}, 400),
        ("act", {"what": "comment", "reason": "x" * MAX_FORM}, 413),
        ("act", {"what": "close", "verdict": "guilty"}, 400),
        ("act", {"what": "close", "verdict": "benign", "alert": "of another incident"}, 400),
        ("/review", {"lookup": "bvi/none", "verdict": "benign"}, 404),
        ("/review", {"lookup": "bvi/bvi-00000", "verdict": ""}, 400),
    ],
)
def test_what_is_not_understood_is_not_sent(force: Force, path: str, form: dict[str, str], code: int) -> None:
    path = f"/incidents/{force.incident()}/act" if path == "act" else path
    assert force.ask(path, form=form).status_code == code
    assert force.taken.sent == []


def test_a_closed_incident_takes_no_commands_but_a_comment(force: Force) -> None:
    closed = next(each.id for each in force.story.book.all() if each.status == "closed")
    assert force.ask(f"/incidents/{closed}/act", form={"what": "escalate", "reason": "r"}).status_code == 409
    assert force.taken.sent == []
    shown = force.ask(f"/incidents/{closed}").text
    assert 'value="escalate"' not in shown
    assert 'value="comment"' in shown


def test_what_kafka_does_not_take_is_said_and_put_on_record(force: Force) -> None:
    force.taken.is_up = False
    answer = force.ask(f"/incidents/{force.incident()}/act", form={"what": "comment", "reason": "r"})
    assert answer.status_code == 503
    assert "It was not sent" in answer.text
    assert force.whats() == [("comment", True), ("comment", False)]


def test_nobody_acts_as_the_monitor(force: Force) -> None:
    monitor = Person("monitor", frozenset({Role.DESK}))
    assert force.ask(f"/incidents/{force.incident()}/act", monitor, {"what": "acknowledge"}).status_code == 400


@pytest.mark.parametrize(
    "path",
    [
        "/incidents/none", "/incidents/6dd17cb4-8fb1-5085-8abb-0553be4d7776", "/incidents/..%2f..%2fetc", "/nope",
        "/actor", "/subject?id=", "/incidents/x/act", "/static/../app.py", "/static/none.js",
    ],
)  # fmt: skip
def test_what_is_not_there_is_404(force: Force, path: str) -> None:
    if path.endswith("7776"):
        path = path.replace("6dd17cb4", "00000000")
    assert force.ask(path).status_code in (404, 405)


@pytest.mark.parametrize(
    "path", ["/?after=x", "/?after=9999999999999999999.a", "/?status=burning", f"/search?q={'x' * 201}"]
)
def test_an_address_that_is_none_of_ours_is_refused(force: Force, path: str) -> None:
    assert force.ask(path).status_code == 400


def test_a_long_address_is_refused_before_it_is_read(force: Force) -> None:
    assert force.ask("/search?q=" + "x" * 5000).status_code == 414
    assert force.audit.events == []


def test_pages_of_the_queue_show_each_incident_once(tmp_path: Path) -> None:
    store, story = Store(open_store(f"sqlite:///{tmp_path}/console.db")), Story()
    for number in range(120):
        story.now += 1000
        story.raised(alert(f"a{number}", "medium", actors=(f"o-{number}",), subjects=(f"p-{number}",)))
    store.put([(topics.INCIDENTS, raw) for _, raw in story.book.changed()])
    force, path, seen = Force(store, story), "/", []
    while path:
        text = force.ask(path).text
        seen += re.findall(r'class="open" href="/incidents/([0-9a-f-]{36})"', text)
        following = re.findall(r'rel="next" href="([^"]*)"', text)
        path = following[0].replace("&amp;", "&") if following else ""
    assert len(seen) == len(set(seen)) == 120


def test_filters_hold_together(force: Force) -> None:
    every = [each for each in force.story.book.all() if each.muted_by is None]
    for asked, wanted in (
        ("status=unclosed&level=critical", {each.id for each in every if each.is_open and each.level == "critical"}),
        ("status=closed&typology=curiosity", {
            each.id for each in every
            if not each.is_open and any(one.rule.typology == "curiosity" for one in each.alerts)
        }),
        ("status=unclosed&unit=north&response=desk", {
            each.id for each in every if each.is_open and "north" in each.units.values() and each.response == "desk"
        }),
        ("status=unclosed&rule=r-kin", {
            each.id for each in every if each.is_open and any(one.rule.id == "r-kin" for one in each.alerts)
        }),
        ("status=unclosed&rule=none", set()),
    ):  # fmt: skip
        found = re.findall(r'class="open" href="/incidents/([0-9a-f-]{36})"', force.ask(f"/?{asked}").text)
        assert set(found) == wanted, asked
        assert wanted or "none" in asked


def test_search_finds_ids_by_how_they_begin_and_words(force: Force) -> None:
    name = force.incident()
    share = force.story.at(name).alerts[0]
    assert "/actor?id=o-10203" in force.ask("/search?q=o-102").text
    assert f"/incidents/{name}" in force.ask(f"/search?q={name[:9]}").text
    assert f"/incidents/{name}" in force.ask(f"/search?q={share.alert}").text
    assert f"/incidents/{name}" in force.ask(f"/search?q={share.events[0]}").text
    assert "Incidents with these words" in force.ask("/search?q=relative+actor").text
    for odd in ('"', "*", "a OR b", "NEAR(", "'; DROP TABLE alerts", "%", "relative AND", "-", "()&|!:*", "\u0000x"):
        assert force.ask(f"/search?{httpx.QueryParams({'q': odd})}").status_code == 200, odd


class _Tags(HTMLParser):
    """The tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"


def test_what_is_written_in_messages_is_only_text(tmp_path: Path) -> None:
    """A script in every field of an alert, and in what people say."""
    store, story = Store(open_store(f"sqlite:///{tmp_path}/console.db")), Story()
    one = Alert(
        id=EVIL + "id",
        time="2026-09-21T12:00:00Z",
        ts=story.now,
        rule=RuleInfo(EVIL + "rule", EVIL, "high", EVIL),
        entity=Entity("actor", EVIL),
        actors=[EVIL],
        subjects=[EVIL],
        events=[EVIL],
        score=0.5,
        reasons=[EVIL],
        kind="model",
        factors=[Factor(EVIL, EVIL, 1.0, 0.0, 1.0, 2.0, 0.1)],
        speaks_for=[EVIL],
    )
    incident = story.take(Raised(story.source("alerts"), one, True, {EVIL: EVIL}))
    assert incident is not None
    command = Command(command="comment", incident=incident.id, by="d", time="2026-09-21T12:00:00Z", reason=EVIL)
    story.take(Asked(story.source("commands"), command))
    said = Disposition(verdict="unsure", by=EVIL[:100], time="2026-09-21T12:00:00Z", alert=one.id, note=EVIL)
    store.put([
        (topics.ALERTS, alerts.encode(one)),
        *((topics.INCIDENTS, raw) for _, raw in story.book.changed()),
        (topics.DISPOSITIONS, disposition.encode(said)),
        (topics.REVIEW, orjson.dumps({"id": EVIL, "system": EVIL, "ts": story.now, "actor.id": EVIL, "subject.id": EVIL, "action": EVIL, "purpose.status": EVIL, "explanation": [EVIL]})),
    ])  # fmt: skip
    force = Force(store, story)
    query = str(httpx.QueryParams({"id": EVIL}))
    for path in (
        "/",
        f"/incidents/{incident.id}",
        f"/actor?{query}",
        f"/subject?{query}",
        "/rules",
        "/dispositions",
        "/review",
        f"/search?q={query[3:]}",
    ):
        answer = force.ask(path, Person(EVIL, frozenset({Role.DESK}), EVIL))
        assert answer.status_code == 200, path
        page = _Tags()
        page.feed(answer.text)
        assert page.tags.count("script") == 2, path  # ours, from files
        assert "img" not in page.tags, path
        assert not {each for each in page.attributes if each.startswith("on")}, path
        assert "alert(1)" in answer.text, path
        assert "{{7*7}}" in answer.text, path


@pytest.mark.parametrize(
    "back",
    [
        "//evil.example/x", "https://evil.example/", "/\\evil.example", "\\\\evil.example", "javascript:alert(1)", "/\t/evil.example",
        "/\n/evil.example", "evil.example", "", "/é", " /x", "/%0d%0aSet-Cookie:x=1\r\nX: y",
    ],
)  # fmt: skip
def test_nobody_is_sent_to_another_site(force: Force, back: str) -> None:
    answer = force.ask("/choice", form={"back": back, "lang": "nl"})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    assert "console-lang=nl" in answer.headers["set-cookie"]
    assert "httponly" in answer.headers["set-cookie"].lower()


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_a_place_to_return_to_is_ours(back: str) -> None:
    found = within(back)
    assert httpx.URL("https://console.example/a/b").join(found).host == "console.example"
    assert found[0] == "/"
    assert found[1:2] not in ("/", "\\")


def test_a_choice_is_kept_and_goes_back_to_its_page(force: Force) -> None:
    answer = force.ask("/choice", form={"back": "/?level=high", "lang": "xx", "keys": "off"})
    assert answer.headers["location"] == "/?level=high"
    assert "console-lang" not in answer.headers["set-cookie"]
    assert 'data-keys="off"' in force.ask("/", cookie="console-keys=off").text
    assert '<html lang="nl">' in force.ask("/", cookie="console-lang=nl", accept_language="en").text


def test_a_store_that_does_not_answer_is_said_and_nothing_of_it_is_shown(tmp_path: Path) -> None:
    store = Store(open_store(f"sqlite:///{tmp_path}/console.db"))
    force = Force(store, Story())
    with store.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE facet_counts")
    answer = force.ask("/")
    assert answer.status_code == 503
    assert "The store does not answer" in answer.text


def test_a_fault_of_ours_names_nobody_in_the_log(
    force: Force, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("o-10203 looked up p-000900")

    monkeypatch.setattr("monitor.console.reading.Reader.about", broken)
    answer = force.ask("/actor?id=o-10203")
    assert answer.status_code == 500
    assert "This page failed" in answer.text
    said = capsys.readouterr()
    assert "RuntimeError" in said.out + said.err
    assert "p-000900" not in said.out + said.err


def test_files_of_ours_may_be_kept_and_are_named_by_what_is_in_them(force: Force) -> None:
    (script,) = re.findall(r'src="(/static/console[^"]*)"', force.ask("/").text)
    answer = force.ask(script)
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    assert "no-store" in force.ask("/static/none.css").headers.get("cache-control", "no-store")


@pytest.mark.parametrize(
    "path", ["/", "/incidents/a", "/incidents/a/pending", "/incidents/a/act", "/actor", "/x", "/static/a"]
)
def test_a_page_of_the_metrics_is_of_a_closed_set(path: str) -> None:
    assert page_of(path) in PAGES


def test_a_supervisor_is_not_told_of_related_incidents(fresh: Force) -> None:
    theirs = next(each for each in fresh.story.book.all() if each.queue == "supervisor/harbour" and not each.muted_by)
    other = fresh.incident()
    changed = msgspec.structs.replace(theirs, related=[other], revision=theirs.revision + 1000)
    fresh.store.put([(topics.INCIDENTS, encode(changed))])
    assert other in fresh.ask(f"/incidents/{theirs.id}", DESK).text
    shown = fresh.ask(f"/incidents/{theirs.id}", SUPERVISOR)
    assert shown.status_code == 200
    assert other not in shown.text
