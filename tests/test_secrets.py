"""Secrets come from files or the environment and no other way, and from files only that nobody else can read."""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from monitor.cli import app
from monitor.connection import BadConnection, Connection
from monitor.secret_files import BadSecretFile, check_mode, read_line, read_secret, write_secret
from monitor.settings import Settings
from monitor.sinks.config import BadSinks, SinkConfig
from monitor.stream.key_files import signer_in
from monitor.stream.seal import BadKey, read_keys

#: Names of what could be a secret.
SECRET = re.compile(
    r"secret|password|passphrase|token|credential|(^|_)keys?($|_)|(^|_)totp|(^|_)otp|recovery|private", re.I
)


def parameters(command: Any, name: str = "monitor") -> Iterator[tuple[str, Any]]:
    """Every parameter of every command."""
    for parameter in command.params:
        yield name, parameter
    if hasattr(command, "list_commands"):
        for each in command.list_commands(None):
            yield from parameters(command.get_command(None, each), f"{name} {each}")


def test_no_command_takes_a_secret_as_an_argument() -> None:
    found = {(command, each.name): each for command, each in parameters(get_command(app))}
    assert ("monitor users add", "password_file") in found, "the walk comes everywhere"
    assert ("monitor audit verify", "before") in found
    secret = {place: each for place, each in found.items() if SECRET.search(place[1] or "")}
    assert {place[1] for place in secret} >= {"password_file", "key", "key_file", "secrets_to"}
    for place, each in secret.items():
        assert each.type_descriptor.annotation is Path, f"{place} is no file"


def test_no_setting_is_a_secret() -> None:
    for name, field in Settings.model_fields.items():
        kinds = set(typing.get_args(field.annotation)) or {field.annotation}
        if SECRET.search(name) and name != "state_unsigned":
            assert kinds <= {Path, type(None)}, f"{name} is no file"
    assert {name for name in SinkConfig.model_fields if SECRET.search(name)} == {"secret_file", "secret_env"}


def connect(path: Path) -> None:
    Connection("k:1", "SASL_PLAINTEXT", user="u", password_file=path).options()


def tls(path: Path) -> None:
    Connection("k:1", "SSL", certificate_file=path, key_file=path).tls()


def sink(path: Path) -> None:
    SinkConfig(name="a", kind="webhook", url="https://h", secret_file=path).secret()


@pytest.mark.parametrize(
    ("use", "error"),
    [
        (connect, BadConnection),
        (tls, BadConnection),
        (sink, BadSinks),
        (read_keys, BadKey),
        (signer_in, BadSecretFile),
        (read_line, BadSecretFile),
        (read_secret, BadSecretFile),
    ],
)
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_secret_that_others_can_read_is_refused_in_plain_words(
    tmp_path: Path, use: Callable[[Path], object], error: type[Exception], mode: int
) -> None:
    path = tmp_path / "secret"
    path.write_text("k" * 32)
    path.chmod(mode)
    with pytest.raises(error, match=f"others than its owner can read or change it.*chmod 600 {path}") as raised:
        use(path)
    assert "kkkk" not in str(raised.value)


def test_the_group_may_read_what_root_gives_to_another(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("x")
    path.chmod(0o640)
    if os.geteuid() != 0:
        pytest.skip("only root can give a file to somebody else")
    tmp_path.chmod(0o755)
    os.chown(path, 0, 10001)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgid(10001)
            os.setuid(10001)
            check_mode(path)
            code = 0
        finally:
            os._exit(code)
    # The folders above belong to root alone here, so that it cannot even look: then that is what is said.
    above_is_open = all(each.stat().st_mode & 0o001 for each in path.parents)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == (0 if above_is_open else 1)
    with pytest.raises(BadSecretFile):
        check_mode(path)


def test_a_secret_is_written_whole_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    before = os.umask(0)
    try:
        write_secret(path, b"one", is_new=True)
        with pytest.raises(FileExistsError):
            write_secret(path, b"two", is_new=True)
        assert path.read_bytes() == b"one"
        write_secret(path, b"three")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_line(path) == "three"
    assert [each.name for each in tmp_path.iterdir()] == ["secret"]
