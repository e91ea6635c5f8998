"""Identities in the console: nobody sees one that another did not approve, or after its time; and what is shown or searched is on record first."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.access.roles import Person
from monitor.audit.event import AuditEvent
from monitor.console.app import console, page_of
from monitor.console.identities import sealed_names, state_of
from monitor.console.schema import open_store
from monitor.console.searching import stored_as
from monitor.console.shared_desk import Away, SharedDesk
from monitor.console.words import TEXTS
from monitor.metrics_console import PAGES
from monitor.privacy.desk import UnmaskingDesk
from monitor.privacy.pseudonym import kind_of, read
from monitor.privacy.unmasking import HOUR_MS, MAX_NAMES, WAITS_MS, Request, _Words
from monitor.stream import topics
from tests.console.harness import AUDITOR, AUTHOR, CSRF, DESK, OFFICER, SUPERVISOR, Guard, Logged, Store, Taken, Well
from tests.console.masked import ACTOR, BOTH, IDENTITIES, OTHER, PSEUDONYMS, SUBJECT, A, S, Steps, masked
from tests.incidents.made import Desk as Story

WHY = "the unit must be asked"


class Office:
    """A console with pseudonyms, and a desk of identities behind it."""

    def __init__(self, folder: Path) -> None:
        self.store, self.story = Store(open_store(f"sqlite:///{folder}/console.db")), Story()
        self.incident = masked(self.store, self.story)
        self.audit, self.steps = Logged(), Steps(lambda: self.story.now)
        self.guard = Guard(self.app(self.steps.shared(self.audit)))

    def app(self, identities: SharedDesk | None) -> object:
        return console(
            self.store.engine,
            self.audit,
            Taken(self.story, self.store),
            Well(),
            as_stored=stored_as(PSEUDONYMS),
            identities=identities,
            now=lambda: self.story.now,
        )

    def ask(self, path: str, who: Person = DESK, form: object = None, lang: str = "en") -> httpx.Response:
        self.guard.who = who

        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app=self.guard)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://console", headers={"accept-language": lang}
            ) as client:
                if form is None:
                    return await client.get(path)
                return await client.post(path, data={"csrf": CSRF, **form})  # type: ignore[dict-item]

        return asyncio.run(go())

    def asks(self, who: Person = DESK, names: object = (A, S), reason: str = WHY, lang: str = "en") -> httpx.Response:
        form = {"what": "ask", "name": names, "reason": reason}
        return self.ask(f"/incidents/{self.incident.id}/identities", who, form, lang)

    def asked(self) -> str:
        """A request by the desk; its id."""
        assert self.asks().status_code == 303
        return next(each.id for each in reversed(self.audit.events) if each.what == "identity-ask")

    def answers(self, request: str, what: str = "approve", who: Person = OFFICER, reason: str = "so be it") -> int:
        return self.ask("/identities", who, {"what": what, "request": request, "reason": reason}).status_code

    def shows(self, request: str, who: Person = DESK, lang: str = "en") -> httpx.Response:
        path = f"/incidents/{self.incident.id}/identities"
        return self.ask(path, who, {"what": "show", "request": request}, lang)

    def seen(self) -> list[AuditEvent]:
        return [each for each in self.audit.events if each.what == "identity-see" and each.done]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    made = Office(tmp_path)
    yield made
    made.store.engine.dispose()


def is_closed(answer: httpx.Response) -> bool:
    """Whether an answer says nobody's id."""
    return ACTOR not in answer.text and SUBJECT not in answer.text


def test_it_is_asked_for_approved_by_another_and_shown_to_who_asked_on_that_answer_alone(office: Office) -> None:
    path = f"/incidents/{office.incident.id}"
    page = office.ask(path)
    assert set(re.findall(r'type="checkbox" name="name" value="([^"]+)"', page.text)) == {A, S}
    request = office.asked()
    waiting = office.ask(f"{path}?asked=1")
    assert "You asked for it" in waiting.text
    assert "waits for an answer" in waiting.text
    assert 'value="show"' not in waiting.text
    desk = office.ask("/identities", OFFICER)
    for there in (DESK.name, office.incident.id, A, S, WHY, 'value="approve"'):
        assert there in desk.text
    assert is_closed(desk)
    assert office.answers(request) == 303
    done = office.ask("/identities?done=approve", OFFICER)
    assert "It was approved." in done.text
    assert 'value="approve"' not in done.text
    assert "Take back" in done.text
    approved = office.ask(path)
    assert "approved</strong> until" in approved.text
    assert 'value="show"' in approved.text
    assert is_closed(approved)
    shown = office.shows(request)
    assert shown.status_code == 200
    assert ACTOR in shown.text
    assert SUBJECT in shown.text
    assert shown.headers["cache-control"] == "no-store"
    assert is_closed(office.ask(path)), "only on the answer itself"
    assert is_closed(office.ask("/identities", OFFICER)), "not to who approved"
    assert [(each.what, each.by) for each in office.audit.events if each.what.startswith("identity")] == [
        ("identity-ask", DESK.name),
        ("identity-approve", OFFICER.name),
        ("identity-see", DESK.name),
    ]


def test_each_seeing_is_on_record_before_and_what_cannot_be_recorded_is_not_shown(office: Office) -> None:
    request = office.asked()
    office.answers(request)
    office.audit.is_up = False
    steps = len(office.steps.records)
    refused = office.shows(request)
    assert refused.status_code == 503
    assert is_closed(refused)
    assert office.seen() == []
    assert len(office.steps.records) == steps
    office.audit.is_up = True
    for _ in range(2):
        assert ACTOR in office.shows(request).text
    first, second = office.seen()
    assert first.id != second.id
    assert (first.actors, first.subjects, first.reason) == ((A,), (S,), WHY)
    assert set(first.sealed) == {A, S}


def test_nobody_approves_what_they_asked_for(office: Office) -> None:
    assert office.asks(BOTH).status_code == 303
    request = office.audit.events[-1].id
    page = office.ask("/identities", BOTH).text
    assert "another has to answer" in page
    assert 'value="approve"' not in page
    for what in ("approve", "refuse"):
        assert office.answers(request, what, BOTH) == 409
    assert office.answers(request, "approve", msgspec.structs.replace(BOTH, name=" B.Both ")) == 409
    assert not office.audit.events[-1].done
    assert office.shows(request, BOTH).status_code == 409
    assert office.seen() == []


def test_what_is_over_is_not_shown(office: Office) -> None:
    request = office.asked()
    office.answers(request)
    office.story.now += 8 * HOUR_MS - 1
    assert ACTOR in office.shows(request).text
    office.story.now += 1
    over = office.shows(request)
    assert over.status_code == 409
    assert is_closed(over)
    assert "the time it was approved for is over" in over.text.lower()
    page = office.ask(f"/incidents/{office.incident.id}").text
    assert "<strong>over</strong>" in page
    assert 'value="show"' not in page
    assert len(office.seen()) == 1


def test_another_is_not_shown_what_somebody_asked_for(office: Office) -> None:
    request = office.asked()
    office.answers(request)
    page = office.ask(f"/incidents/{office.incident.id}", OTHER).text
    assert WHY in page, "the desk sees that it was asked for"
    assert 'value="show"' not in page
    for who, code in ((OTHER, 409), (OFFICER, 403), (AUDITOR, 403), (SUPERVISOR, 403), (AUTHOR, 403)):
        answer = office.shows(request, who)
        assert (answer.status_code, is_closed(answer)) == (code, True), who.name
    assert office.seen() == []


def test_before_it_is_approved_after_it_is_taken_back_and_on_another_incident_nothing_is_shown(office: Office) -> None:
    request = office.asked()
    assert office.shows(request).status_code == 409
    office.answers(request)
    # Another incident of the same names; its id is put into the address.
    other = msgspec.structs.replace(office.incident, id=office.incident.id[:-1] + "0", revision=10**6)
    office.store.put([(topics.INCIDENTS, msgspec.json.encode(other))])
    answer = office.ask(f"/incidents/{other.id}/identities", DESK, {"what": "show", "request": request})
    assert (answer.status_code, is_closed(answer)) == (403, True)
    assert office.answers(request, "refuse") == 303
    assert office.shows(request).status_code == 409
    assert office.answers(request) == 409, "a refusal stands"
    assert office.seen() == []


@pytest.mark.parametrize(
    ("names", "reason", "code", "why"),
    [
        ([], WHY, 409, "no-names"),
        ([A], " ", 409, "no-reason"),
        ([A, PSEUDONYMS.of("actor", "o-1")], WHY, 403, ""),
        ([ACTOR], WHY, 403, ""),
        ([A] * (MAX_NAMES + 9), WHY, 400, ""),
        ([A], "x" * 3000, 400, ""),
    ],
)
@pytest.mark.parametrize("lang", ["en", "nl"])
def test_what_cannot_be_asked_is_refused_in_words(
    office: Office, names: list[str], reason: str, code: int, why: str, lang: str
) -> None:
    answer = office.asks(names=names, reason=reason, lang=lang)
    assert answer.status_code == code
    if why:
        assert TEXTS[f"why.{why}"][lang == "nl"] in answer.text
    assert office.steps.records == []
    assert all(ACTOR not in str(each) for each in office.audit.events if why)


def test_there_are_words_for_every_reason() -> None:
    assert {f"why.{each}" for each in _Words} == {key for key in TEXTS if key.startswith("why.")}


@pytest.mark.parametrize("who", [AUDITOR, SUPERVISOR, AUTHOR, OFFICER], ids=lambda who: who.name)
def test_only_the_desk_asks_and_only_an_officer_sees_and_answers_requests(office: Office, who: Person) -> None:
    request = office.asked()
    asked = office.asks(who)
    assert asked.status_code == 403
    assert ("identity-ask", who.name, False) in [(each.what, each.by, each.done) for each in office.audit.events]
    is_officer = who is OFFICER
    listed = office.ask("/identities", who)
    assert (listed.status_code, WHY in listed.text) == ((200, True) if is_officer else (403, False))
    assert office.answers(request, who=who) == (303 if is_officer else 403)
    nav = office.ask("/live", who).text
    assert ('href="/identities"' in nav) == is_officer
    if who is AUDITOR:
        page = office.ask(f"/incidents/{office.incident.id}", who)
        assert page.status_code == 200
        assert "checkbox" not in page.text


@pytest.mark.parametrize("lang", ["en", "nl"])
def test_without_a_key_the_console_runs_and_says_so(office: Office, lang: str) -> None:
    office.guard.app = office.app(None)  # type: ignore[assignment]
    said = TEXTS["identity.no-key"][lang == "nl"]
    assert said in office.ask(f"/incidents/{office.incident.id}", lang=lang).text
    assert said in office.ask("/identities", OFFICER, lang=lang).text
    assert office.asks().status_code == 409
    assert office.answers("x") == 409


def test_a_log_that_fails_once_is_said_and_read_anew_from_its_beginning(office: Office) -> None:
    request = office.asked()
    office.answers(request)
    office.steps.fails = 1
    away = office.shows(request)
    assert (away.status_code, is_closed(away)) == (503, True)
    assert "Identities cannot be reached now" in away.text
    # The desk that failed had read nothing of what was there: the next has all of it.
    office.steps.fails = 1
    assert office.ask(f"/incidents/{office.incident.id}").text.count(TEXTS["identity.away"][0]) == 1
    assert ACTOR in office.shows(request).text
    assert office.steps.opened == 3


def test_two_who_come_at_once_do_not_take_each_others_steps(office: Office) -> None:
    """A desk reads on to its own step; another that had read it in between would have it refused."""

    class Slow:
        def __init__(self, inner: object) -> None:
            self._inner = inner

        def __getattr__(self, name: str) -> object:
            async def slow(*given: object) -> object:
                await asyncio.sleep(0)
                found = await getattr(self._inner, name)(*given)
                await asyncio.sleep(0)
                return found

            return slow

    async def go() -> list[int]:
        shared = office.steps.shared(office.audit)
        async with office.steps.desk(office.audit) as inner:
            inner._steps = Slow(inner._steps)  # type: ignore[assignment]
            shared._desk = inner
            guard = Guard(office.app(shared))  # type: ignore[arg-type]
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app=guard), base_url="http://c") as client:
                form = {"csrf": CSRF, "what": "ask", "name": [A], "reason": WHY}
                path = f"/incidents/{office.incident.id}/identities"
                return [
                    each.status_code for each in await asyncio.gather(*(client.post(path, data=form) for _ in range(5)))
                ]

    assert asyncio.run(go()) == [303] * 5


def test_a_desk_that_does_not_answer_in_time_is_let_go(office: Office) -> None:
    async def go() -> None:
        shared = office.steps.shared(office.audit, within=0.05)

        async def hang(_: UnmaskingDesk) -> None:
            await asyncio.sleep(30)

        with pytest.raises(Away):
            await shared.do(hang)
        assert await shared.do(lambda desk: desk.requests()) == []
        await shared.stop()

    asyncio.run(go())
    assert (office.steps.opened, office.steps.closed) == (2, 2)


def test_a_search_finds_who_was_typed_and_the_audit_log_never_has_the_id(office: Office) -> None:
    for typed, found in ((ACTOR, A), (SUBJECT, S), (A.upper().replace("-", " "), A), (S.replace("-", ""), S)):
        page = office.ask(f"/search?{httpx.QueryParams({'q': typed})}")
        assert re.findall(r"id=((?:actor|subject)-[\w-]+)", page.text) == [found], typed
        event = office.audit.events[-1]
        assert (event.what, [*event.actors, *event.subjects]) == ("search", [found])
        assert set(event.sealed) == {found}
        assert IDENTITIES.unseal(found, event.sealed[found]) == {A: ACTOR, S: SUBJECT}[found]
    assert "Nothing was found" in office.ask("/search?q=o-00001").text
    every = {name for kind in ("actor", "subject") for name in PSEUDONYMS.every(kind, "o-00001")}  # type: ignore[arg-type]
    assert {*office.audit.events[-1].actors, *office.audit.events[-1].subjects} == every
    # Ids of incidents, alerts and lookups are found by how they begin, as ever.
    share = office.incident.alerts[0]
    for typed in (office.incident.id[:9], share.alert[:9], share.events[0][:5]):
        assert f"/incidents/{office.incident.id}" in office.ask(f"/search?q={typed}").text, typed
    # An id that is put into an address is no more on record than one that is typed.
    office.ask(f"/actor?id={ACTOR}")
    assert set(office.audit.events[-1].actors) == set(PSEUDONYMS.every("actor", ACTOR))
    office.ask(f"/subject?id={SUBJECT}")
    said = str(office.audit.events)
    for plain in (ACTOR, SUBJECT, "o-00001"):
        assert plain not in said


def test_the_sealed_identities_at_hand_are_on_record(office: Office) -> None:
    office.ask(f"/incidents/{office.incident.id}")
    assert set(office.audit.events[-1].sealed) == {A}, "an incident's event names its actors"
    office.ask(f"/actor?id={A}")
    assert office.audit.events[-1].sealed == {A: IDENTITIES.seal(A, ACTOR)}
    office.ask(f"/subject?id={S}")
    assert office.audit.events[-1].sealed == {S: IDENTITIES.seal(S, SUBJECT)}
    office.ask(f"/subject?id={A}")
    assert office.audit.events[-1].sealed == {}
    lookup = {"id": "e-1", "system": "bvi", "ts": office.story.now, "actor.id": A, "sealed": {A: "x", "other": "y"}}
    office.store.put([(topics.REVIEW, orjson.dumps(lookup))])
    office.ask("/review")
    assert office.audit.events[-1].sealed == {A: "x"}


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40))
def test_whatever_is_typed_only_pseudonyms_are_looked_for(typed: str) -> None:
    found = stored_as(PSEUDONYMS)(typed)
    assert found
    assert all(map(kind_of, found))
    assert set(found) <= {*PSEUDONYMS.every("actor", typed), *PSEUDONYMS.every("subject", typed)} or kind_of(
        read(typed)
    )


def test_what_people_write_is_only_text(office: Office) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"
    assert office.asks(reason=evil).status_code == 303
    request = office.audit.events[-1].id
    pages = [office.ask("/identities", OFFICER)]
    assert office.answers(request, reason=evil) == 303
    pages += [office.ask("/identities", OFFICER), office.ask(f"/incidents/{office.incident.id}"), office.shows(request)]
    for each in pages:
        assert each.status_code == 200
        assert "&lt;script&gt;alert(1)" in each.text
        assert "<script>" not in each.text
        assert "<img" not in each.text


def test_without_pseudonyms_names_are_as_typed() -> None:
    assert stored_as(None)("o-1") == ["o-1"]
    assert len(stored_as(PSEUDONYMS)("o-1")) == 4


def test_how_a_request_stands_at_the_edges() -> None:
    asked = Request("r", "d", "i", [A], WHY, 1000)
    assert [state_of(asked, at) for at in (1000, 1000 + WAITS_MS, 1001 + WAITS_MS)] == ["open", "open", "over"]
    asked.status, asked.until = "approved", 5000
    assert [state_of(asked, at) for at in (4999, 5000)] == ["approved", "over"]
    asked.status = "refused"
    assert state_of(asked, 0) == "refused"


def test_names_are_in_the_order_of_the_incident_and_only_those_that_are_sealed(office: Office) -> None:
    assert sealed_names(office.incident) == [A, S]
    sealed = office.incident.sealed
    assert isinstance(sealed, dict)
    assert sealed_names(msgspec.structs.replace(office.incident, sealed={S: sealed[S]})) == [S]
    assert sealed_names(msgspec.structs.replace(office.incident, sealed=msgspec.UNSET)) == []


@pytest.mark.parametrize("path", ["/identities", "/incidents/a/identities"])
def test_the_pages_have_a_name_in_the_metrics(path: str) -> None:
    assert page_of(path) == "identities"
    assert "identities" in PAGES
