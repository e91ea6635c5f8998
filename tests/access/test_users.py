"""The file of the users, and what may stand in it; limits; and the real strength of passwords."""

from __future__ import annotations

import json
import multiprocessing
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from monitor.access import passwords
from monitor.access.limits import MAX_KEYS, BackOff, Buckets
from monitor.access.passwords import BadPassword, hash_recovery, is_password, new_recovery_codes, recovery_place
from monitor.access.roles import Person, Role
from monitor.access.users import BadUser, Users
from monitor.cli import app
from monitor.secret_files import BadSecretFile
from tests.access.made import NOW, PASSWORD, House


@pytest.mark.usefixtures("lax_umask")
def test_what_is_kept_is_for_its_owner_alone_and_holds_no_password(house: House) -> None:
    path = house.folder / "users.json"
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.read_text()
    assert PASSWORD not in text
    assert not any(code in text or code.replace("-", "") in text for code in house.secrets.recovery)
    assert json.loads(text)["version"] == 1
    assert json.loads(text)["users"][0]["password"].startswith("$argon2id$")
    assert not list(house.folder.glob("*.part"))


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o610])
def test_a_file_that_others_can_read_is_refused(house: House, mode: int) -> None:
    (house.folder / "users.json").chmod(mode)
    with pytest.raises(BadSecretFile, match="chmod 600"):
        Users(house.folder / "users.json").all()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version":2,"users":[]}', '{"version":1,"users":[{}]}', "\xff"])
def test_a_file_that_is_none_lets_nobody_in_and_is_left_as_it_is(house: House, text: str) -> None:
    path = house.folder / "users.json"
    path.write_text(text, encoding="latin-1")
    users = Users(path)
    for act in (users.all, lambda: users.prove("anna", PASSWORD, "1", NOW), lambda: users.disable("anna", house.now)):
        with pytest.raises(BadSecretFile):
            act()
    assert path.read_text(encoding="latin-1") == text


@pytest.mark.parametrize(
    ("roles", "unit"),
    [
        ({Role.DESK, Role.PRIVACY_OFFICER}, None),
        ({Role.DESK, Role.AUDITOR}, None),
        ({Role.SUPERVISOR}, None),
        (set(), None),
    ],
)
def test_roles_that_one_person_must_not_have_are_refused(house: House, roles: set[Role], unit: str | None) -> None:
    with pytest.raises(BadUser):
        house.users.set_roles("anna", frozenset(roles), unit, house.now)
    with pytest.raises(BadUser):
        house.add("other", *roles)
    assert house.users.person("anna") == Person("anna", frozenset({Role.DESK}), None)


@pytest.mark.parametrize("name", ["", "-x", "a b", "a\n", "é", "a" * 65, "a/b", "<b>"])
def test_names_that_are_none(house: House, name: str) -> None:
    with pytest.raises(BadUser):
        house.add(name, Role.DESK)


@pytest.mark.parametrize("password", ["", "short", "a" * 12, "abab" * 5, "my name is ANNA!", "x" * 257])
def test_passwords_that_are_none(house: House, password: str) -> None:
    with pytest.raises(BadPassword):
        house.users.reset("anna", password, house.now)


def test_what_stands_against_a_change_leaves_all_as_it_was(house: House) -> None:
    before = (house.folder / "users.json").read_bytes()

    def against() -> None:
        raise OSError("no")

    for act in (
        lambda: house.users.disable("anna", house.now, against),
        lambda: house.users.add("bert", frozenset({Role.DESK}), None, PASSWORD, house.now, against),
        lambda: house.users.reset("anna", PASSWORD, house.now, against),
    ):
        with pytest.raises(OSError, match="no"):
            act()
    assert (house.folder / "users.json").read_bytes() == before


def _try(path: Path, code: str, results: object) -> None:
    results.put(Users(path).prove("anna", PASSWORD, code, NOW))  # type: ignore[attr-defined]


def test_one_code_for_two_processes_is_one_login(house: House) -> None:
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    tries = [fork.Process(target=_try, args=(house.folder / "users.json", house.code(), results)) for _ in range(4)]
    for each in tries:
        each.start()
    found = [results.get(timeout=20) for _ in tries]
    for each in tries:
        each.join(20)
    assert sorted(found) == [False, False, False, True]


def test_a_password_costs_a_guesser_what_the_standard_says() -> None:
    hashed = passwords.hash_password(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$"), "RFC 9106"
    assert passwords.hash_password(PASSWORD) != hashed, "salted"
    passwords.nobodys_hash.cache_clear()
    nobody = passwords.nobodys_hash()

    def cpu(of: str) -> float:
        began = time.process_time()
        assert not is_password(of, "another password")
        return time.process_time() - began

    pairs = [(cpu(hashed), cpu(nobody)) for _ in range(3)]
    known, unknown = (min(times) for times in zip(*pairs, strict=True))
    assert 0.5 < known / unknown < 2, "who is not there takes as long as who is"


def test_recovery_codes() -> None:
    codes = new_recovery_codes()
    hashes = [hash_recovery(code) for code in codes]
    assert [recovery_place(hashes, code.upper().replace("-", " ")) for code in codes] == list(range(8))
    assert recovery_place(hashes, "") is None


@given(st.lists(st.floats(0, 100), max_size=60))
def test_a_bucket_gives_no_more_than_its_rate(gaps: list[float]) -> None:
    bucket, now, given_out = Buckets(burst=5, rate=0.5), 0.0, 0
    for gap in gaps:
        now += gap
        wait = bucket.take("k", now)
        given_out += wait == 0
        if wait:
            assert bucket.take("k", now + wait + 1e-6) == 0
            given_out += 1
            now += wait + 1e-6
    assert given_out <= 5 + now * 0.5 + 1e-6


def test_waits_double_and_end() -> None:
    back, now = BackOff(free=3, longest=60, forget=900), 0.0
    waits = []
    for _ in range(12):
        now += back.wait("k", now)
        back.failed("k", now)
        waits.append(back.wait("k", now))
    assert waits == [0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert back.wait("another", now) == 0
    assert back.wait("k", now + 900) == 0
    back.succeeded("k")
    assert back.wait("k", now) == 0


def test_an_attack_fills_no_memory() -> None:
    back, bucket = BackOff(), Buckets(1, 1)
    for number in range(MAX_KEYS + 100):
        back.failed(str(number), 0)
        bucket.take(str(number), 0)
    assert len(back._failures) == len(bucket._levels) == MAX_KEYS


def test_without_kafka_no_user_is_changed(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    path, password = house.folder / "users.json", house.folder / "password"
    before = path.read_bytes()
    password.write_text(PASSWORD)
    password.chmod(0o600)
    environment = {
        "LOOKUP_MONITOR_USERS_FILE": str(path),
        "LOOKUP_MONITOR_BOOTSTRAP": "127.0.0.1:9",
        "LOOKUP_MONITOR_AUDIT_WITHIN": "1",
    }
    secrets = house.folder / "secrets"
    told = ["--password-file", str(password), "--secrets-to", str(secrets)]
    for arguments in (
        ["add", "bert", "--role", "desk", *told],
        ["roles", "anna", "--role", "auditor"],
        ["disable", "anna"],
        ["reset", "anna", *told],
    ):
        done = CliRunner().invoke(app, ["users", *arguments], env=environment)
        assert done.exit_code == 2, done.output
        assert "nothing was changed" in done.output
    assert path.read_bytes() == before
    assert not secrets.exists()
    for arguments, said in (
        (["add", "bert", "--role", "desk", "--role", "auditor", *told], "one person cannot be both"),
        (["add", "anna", "--role", "desk", *told], "already"),
        (["add", "bert", "--role", "desk", "--password-file", str(password)], "--secrets-to"),
        (["add", "bert", "--role", "boss", *told], "boss"),
        (["roles", "bert", "--role", "desk"], "there is no user"),
    ):
        done = CliRunner().invoke(app, ["users", *arguments], env=environment)
        assert (done.exit_code, said in done.output) == (2, True), done.output
    password.chmod(0o644)
    done = CliRunner().invoke(app, ["users", "add", "bert", "--role", "desk", *told], env=environment)
    assert (done.exit_code, "chmod 600" in done.output) == (2, True)
