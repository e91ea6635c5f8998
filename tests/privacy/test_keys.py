"""Files of keys: made for their owner alone, rotated without a moment in which one is missing, refused when they cannot be used."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from monitor.cli import app
from monitor.settings import Settings
from monitor.stream.masking import mask_of, masks_if_known, sealer_of, with_local_keys, write_key
from monitor.stream.seal import BadKey, read_keys
from tests.incidents.made import alert


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home"))


def test_a_key_is_made_once_for_its_owner_alone_and_rotated_above_the_old(tmp_path: Path) -> None:
    file = tmp_path / "key"
    assert CliRunner().invoke(app, ["privacy", "key", str(file)]).exit_code == 0
    (first,) = read_keys(file)
    assert file.stat().st_mode & 0o777 == 0o600
    again = CliRunner().invoke(app, ["privacy", "key", str(file)])
    assert again.exit_code == 2
    assert "--rotate" in again.output
    assert CliRunner().invoke(app, ["privacy", "key", "--rotate", str(file)]).exit_code == 0
    second, old = read_keys(file)
    assert old == first != second
    assert file.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["key"]


def test_without_keys_nobody_makes_alerts_and_off_is_said_aloud(tmp_path: Path) -> None:
    with pytest.raises(BadKey, match="LOOKUP_MONITOR_PSEUDONYMS=off"):
        mask_of(Settings())
    assert mask_of(Settings(pseudonyms="off")) is None
    write_key(tmp_path / "p")
    with pytest.raises(BadKey, match="IDENTITY_KEY_FILE"):
        mask_of(Settings(pseudonym_key_file=tmp_path / "p"))
    (tmp_path / "short").write_text("k")
    with pytest.raises(BadKey):
        mask_of(Settings(pseudonym_key_file=tmp_path / "short", identity_key_file=tmp_path / "p"))


def test_the_keys_that_monitor_up_made_are_found_by_the_other_commands(tmp_path: Path) -> None:
    made = with_local_keys(Settings(), tmp_path / "home" / "lookup-monitor" / "keys")
    one, other = mask_of(made), mask_of(Settings())
    assert one is not None
    assert other is not None
    assert one.alert(alert("a")) == other.alert(alert("a"))
    assert with_local_keys(Settings(), tmp_path / "home" / "lookup-monitor" / "keys") == made, "made once"
    assert with_local_keys(Settings(pseudonyms="off"), tmp_path / "x").pseudonym_key_file is None


def test_a_replay_compares_in_each_form_there_may_be(tmp_path: Path) -> None:
    assert [form(alert("a")) for form in masks_if_known(Settings())] == [alert("a")]
    made = with_local_keys(Settings(), tmp_path / "keys")
    CliRunner().invoke(app, ["privacy", "key", "--rotate", str(made.pseudonym_key_file)])
    forms = [form(alert("a")) for form in masks_if_known(made)]
    assert [each.sealed is msgspec.UNSET for each in forms] == [False, False, True]
    assert len({each.id for each in forms}) == 3


def test_names_of_ids_are_told_to_who_has_the_key(tmp_path: Path) -> None:
    made = with_local_keys(Settings(), tmp_path / "home" / "lookup-monitor" / "keys")
    mask = mask_of(made)
    assert mask is not None
    told = CliRunner().invoke(app, ["privacy", "name", "o-1"])
    assert told.output.split() == ["o-1", *mask.alert(alert("a")).actors]


def test_keys_of_teams_are_read_or_refused(tmp_path: Path) -> None:
    assert not sealer_of(Settings())
    (tmp_path / "teams").write_text(f"obs {'k' * 32}\n")
    assert sealer_of(Settings(watch_key_file=tmp_path / "teams"))
    (tmp_path / "bad").write_text("obs k\n")
    for name in ("bad", "none"):
        with pytest.raises(BadKey):
            sealer_of(Settings(watch_key_file=tmp_path / name))
