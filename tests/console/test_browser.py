"""The pages in a real Chromium, under the policy that the guard sets: accessible, usable by keyboard and without scripts, and printable.

Screenshots of all of them are kept in ``.ci/artifacts/console``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, expect

from monitor.console.app import console
from monitor.console.pages_lists import SHORTCUTS
from monitor.console.schema import open_store
from tests.console.browser import ARTIFACTS, chromium, served, violations
from tests.console.harness import DESK, OFFICER, SUPERVISOR, Guard, Logged, Taken, Well
from tests.console.masked import ACTOR, Steps, masked
from tests.console.story import tell

#: Milliseconds that something in a page may take.
WITHIN = 15_000


class Site(NamedTuple):
    """A console that is served, and Chromium."""

    at: str
    browser: Browser
    incident: str
    taken: Taken
    masked: str

    def context(self, **more: Any) -> BrowserContext:
        made = self.browser.new_context(viewport={"width": 1440, "height": 900}, **more)
        made.set_default_timeout(WITHIN)
        return made


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with chromium() as browser:
        store, story = tell(open_store(f"sqlite:///{tmp_path_factory.mktemp('browser')}/console.db"))
        taken = Taken(story, store)
        audit = Logged()
        identities = Steps(lambda: story.now).shared(audit)
        app = console(
            store.engine, audit, taken, Well(), identities=identities, behind=lambda: 0, now=lambda: story.now
        )
        ARTIFACTS.mkdir(parents=True, exist_ok=True)
        found = [
            each
            for each in story.book.all()
            if each.status == "open" and any(one.rule.level == "low" for one in each.alerts)
        ]
        model = [each for each in found if any(one.rule.title.startswith("Unusual") for one in each.alerts)]
        incident = max(model, key=lambda each: len(each.alerts)).id
        with served(Guard(app, people={"supervisor": SUPERVISOR, "officer": OFFICER})) as at:
            yield Site(at, browser, incident, taken, masked(store, story).id)


@pytest.fixture
def page(site: Site) -> Iterator[Page]:
    context = site.context(locale="en")
    yield context.new_page()
    context.close()


PAGES = {
    "queue": "/",
    "queue-empty": "/?rule=none",
    "incident": "/incidents/{incident}",
    "incident-sent": "/incidents/{incident}?sent=comment&steps=999",
    "actor": "/actor?id=o-10204",
    "subject": "/subject?id=p-000932",
    "rules": "/rules",
    "live": "/live",
    "verdicts": "/dispositions",
    "review": "/review",
    "search": "/search?q=relative",
    "keys": "/keys",
    "missing": "/nope",
}


@pytest.mark.parametrize("lang", ["en", "nl"])
def test_pages_have_no_fault_that_axe_finds_and_break_no_rule_of_the_policy(site: Site, lang: str) -> None:
    context = site.context(locale=lang)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(str(error)))
    for name, path in PAGES.items():
        page.goto(site.at + path.format(incident=site.incident))
        assert page.locator("html").get_attribute("lang") == lang
        page.screenshot(path=ARTIFACTS / f"{name}-{lang}.png", full_page=True)
        assert violations(page) == [], name
    assert [each for each in said if "404" not in each] == []
    context.close()


def test_axe_would_find_a_fault(page: Page, site: Site) -> None:
    page.goto(site.at + "/")
    page.evaluate("document.querySelectorAll('label').forEach(one => one.remove())")
    assert any(each.startswith(("label", "select-name")) for each in violations(page))


def test_the_supervisors_pages_and_a_small_screen_have_none_either(site: Site) -> None:
    context = site.browser.new_context(viewport={"width": 390, "height": 800}, locale="nl")
    context.add_cookies([{"name": "test-person", "value": "supervisor", "url": site.at}])
    page = context.new_page()
    page.goto(site.at + "/")
    expect(page.locator("h1")).to_have_text("Wachtrij")
    page.screenshot(path=ARTIFACTS / "supervisor-small-nl.png", full_page=True)
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
    page.locator("a.open").first.click()
    page.screenshot(path=ARTIFACTS / "supervisor-incident-small-nl.png", full_page=True)
    assert violations(page) == []
    context.close()


def test_the_queue_is_worked_through_by_keyboard(page: Page, site: Site) -> None:
    page.goto(site.at + "/")
    rows = page.locator("a.open")
    page.keyboard.press("j")
    expect(rows.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    # What has the focus is seen to have it.
    assert rows.nth(1).evaluate("e => getComputedStyle(e).outlineStyle") == "solid"
    page.screenshot(path=ARTIFACTS / "queue-keyboard-en.png")
    page.keyboard.press("k")
    expect(rows.nth(0)).to_be_focused()
    where = str(rows.nth(0).get_attribute("href"))
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{where}")
    page.keyboard.press("a")
    expect(page.locator(".acts button").first).to_be_focused()
    page.keyboard.press("c")
    page.keyboard.type("jk/?gq")
    expect(page.locator("#comment")).to_have_value("jk/?gq")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.locator("#q")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("r")
    page.wait_for_url("**/rules")
    page.keyboard.press("?")
    page.wait_for_url("**/keys")
    assert page.locator("kbd").all_text_contents() == [key for key, _ in SHORTCUTS]
    page.get_by_role("button", name="Switch the keys off").click()
    page.wait_for_load_state()
    page.keyboard.press("g")
    page.keyboard.press("q")
    expect(page.get_by_role("button", name="Switch the keys on")).to_be_visible()


def test_everything_is_reached_by_tab_and_the_first_thing_is_the_way_to_the_page(page: Page, site: Site) -> None:
    page.goto(f"{site.at}/incidents/{site.incident}")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    box = page.locator(".skip").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.evaluate("document.body.tabIndex = -1; document.body.focus()")
    wanted = page.locator(
        "a[href]:visible, button:visible, select:visible, textarea:visible, input:visible, summary:visible"
    ).count()
    seen = set()
    for _ in range(wanted * 2):
        page.keyboard.press("Tab")
        seen.add(
            page.evaluate(
                "(() => { const all = [...document.querySelectorAll('*')]; return all.indexOf(document.activeElement); })()"
            )
        )
    # One of the choices of a verdict stands for all of them: arrows go on from there.
    radios = page.locator("input[type=radio]").count()
    assert len(seen) >= wanted - radios + 1


def test_a_comment_comes_back_to_the_page_without_loading_it_anew(page: Page, site: Site) -> None:
    page.goto(f"{site.at}/incidents/{site.incident}?sent=comment&steps={_steps(page, site)}")
    expect(page.locator("#sent")).to_contain_text("was sent; it is shown here")
    # Said from elsewhere, as if it came through Kafka.
    other = page.context.new_page()
    other.goto(f"{site.at}/incidents/{site.incident}")
    other.locator("#comment").fill("the unit has answered")
    other.get_by_role("button", name="Add").click()
    expect(other.locator("#sent")).to_contain_text("has been taken in")
    expect(other.locator(".timeline")).to_contain_text("the unit has answered")
    expect(page.locator("#sent")).to_contain_text("has been taken in")
    page.get_by_role("link", name="Show").click()
    expect(page.locator(".timeline")).to_contain_text("the unit has answered")


def _steps(page: Page, site: Site) -> int:
    page.goto(f"{site.at}/incidents/{site.incident}")
    return page.locator(".timeline li.step").count()


def test_filters_change_the_list_at_once_and_keep_the_address(page: Page, site: Site) -> None:
    page.goto(site.at + "/")
    before = page.locator("a.open").count()
    page.locator("#f-level").select_option("critical")
    page.wait_for_url(re.compile(r"level=critical"))
    expect(page.locator("#list .level-high")).to_have_count(0)
    assert 0 < page.locator("a.open").count() < before
    # Nothing about anybody is left behind in the browser.
    for path in ("", "/actor?id=o-10204", f"/incidents/{site.incident}"):
        if path:
            page.goto(site.at + path)
        assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0], path


def test_pages_work_without_scripts(site: Site) -> None:
    context = site.context(java_script_enabled=False, locale="en")
    page = context.new_page()
    page.goto(site.at + "/?status=closed")
    page.goto(site.at + "/")
    page.locator("#f-level").select_option("high")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(re.compile(r"level=high"))
    page.locator("a.open").first.click()
    page.locator("#comment").fill("without scripts")
    page.get_by_role("button", name="Add").click()
    expect(page.locator("#sent")).to_contain_text("has been taken in")
    expect(page.locator(".timeline")).to_contain_text("without scripts")
    page.locator(".find input").fill("o-102")
    page.get_by_role("button", name="Search").click()
    expect(page.locator("main")).to_contain_text("o-10203")
    page.get_by_role("button", name="Nederlands").click()
    expect(page.locator("html")).to_have_attribute("lang", "nl")
    expect(page.locator("h1")).to_have_text("Zoeken")
    context.close()


def test_a_verdict_closes_the_incident_and_the_sample_asks_before_it_says_misuse(page: Page, site: Site) -> None:
    page.goto(site.at + "/?level=low")
    page.locator("a.open").first.click()
    page.get_by_label("explained").check()
    page.locator("#note").fill("a case was found")
    page.get_by_role("button", name="Give the verdict").click()
    expect(page.locator("#sent")).to_contain_text("has been taken in")
    expect(page.locator(".facts")).to_contain_text("closed · explained")
    page.goto(site.at + "/review")
    count = len(site.taken.sent)
    page.locator(".line button").first.click()
    page.wait_for_timeout(200)
    assert len(site.taken.sent) == count, "no verdict was chosen"
    page.locator(".line select").first.select_option("benign")
    page.locator(".line button").first.click()
    page.wait_for_url("**/review?sent=1")
    assert len(site.taken.sent) == count + 1
    assert site.taken.sent[-1].by == DESK.name


def test_an_identity_is_asked_for_approved_and_seen_by_keyboard(site: Site) -> None:
    context, office = site.context(locale="en"), site.context(locale="nl")
    office.add_cookies([{"name": "test-person", "value": "officer", "url": site.at}])
    page, officer = context.new_page(), office.new_page()
    said: list[str] = []
    for one in (page, officer):
        one.on("console", lambda message: said.append(message.text))
    page.goto(f"{site.at}/incidents/{site.masked}")
    page.keyboard.press("i")
    expect(page.locator(".unmask input[type=checkbox]").first).to_be_focused()
    for key in ("Space", "Tab", "Tab"):
        page.keyboard.press(key)
    page.keyboard.type("is it a colleague?")
    assert violations(page) == []
    for key in ("Tab", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".unmask .sent")).to_contain_text("You asked for it")
    page.screenshot(path=ARTIFACTS / "identity-asked-en.png", full_page=True)
    officer.goto(site.at + "/live")
    officer.keyboard.press("g")
    officer.keyboard.press("i")
    officer.wait_for_url("**/identities")
    expect(officer.locator("h1")).to_have_text("Aanvragen van identiteiten")
    officer.screenshot(path=ARTIFACTS / "identities-nl.png", full_page=True)
    assert violations(officer) == []
    officer.get_by_label("Waarom keurt u goed of weigert u?").fill("het incident is ernstig")
    officer.get_by_role("button", name="Keur goed").click()
    expect(officer.locator(".sent.there")).to_have_text("Het is goedgekeurd.")
    officer.screenshot(path=ARTIFACTS / "identities-approved-nl.png", full_page=True)
    assert violations(officer) == []
    page.goto(f"{site.at}/incidents/{site.masked}")
    assert ACTOR not in page.content()
    page.keyboard.press("i")
    page.get_by_role("button", name="Show", exact=True).press("Enter")
    expect(page.locator(".opened")).to_contain_text(ACTOR)
    page.screenshot(path=ARTIFACTS / "identity-shown-en.png", full_page=True)
    assert violations(page) == []
    assert ACTOR not in page.url
    page.emulate_media(media="print")
    expect(page.locator(".opened")).to_be_visible()
    expect(page.locator(".unmask form").first).to_be_hidden()
    page.emulate_media(media="screen")
    assert page.evaluate("[localStorage.length, sessionStorage.length]") == [0, 0]
    assert said == []
    # The browser has not kept the page: to go back to it is to ask for it again, which is recorded.
    page.goto(site.at + "/")
    with pytest.raises(Error, match="ERR_CACHE_MISS"):
        page.go_back()
    context.close()
    office.close()


def test_an_incident_prints_whole(page: Page, site: Site, tmp_path: Path) -> None:
    page.goto(f"{site.at}/incidents/{site.incident}")
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    for gone in (".top", ".acts", ".foot form"):
        expect(page.locator(gone)).to_be_hidden()
    for there in ("h1", ".facts", ".timeline", ".ranges svg", "details .ids"):
        expect(page.locator(there).first).to_be_visible()
    page.screenshot(path=ARTIFACTS / "incident-print-en.png", full_page=True)
    paper = page.pdf(path=ARTIFACTS / "incident-en.pdf", format="A4")
    assert paper.startswith(b"%PDF")
    # Nothing is cut off at the side of the paper.
    page.set_viewport_size({"width": 794, "height": 1123})
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
