"""What the tests of this folder need of the machine: a real PostgreSQL, and Chromium. Where one is missing the tests are skipped; in CI they fail."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest


def need(name: str, *places: str) -> str:
    """The path of a program. Without it the test is skipped, or, with CI=true, fails."""
    found = next((each for each in (shutil.which(name), *places) if each and Path(each).exists()), None)
    if found is None:
        said = f"{name} is not installed (Debian: apt-get install {name})"
        pytest.fail(said) if os.environ.get("CI") == "true" else pytest.skip(said)
    return found


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL of its own in a temporary folder; the URL of its database."""
    newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    server = Path(need("postgresql", *(str(each) for each in reversed(newest)), shutil.which("postgres") or ""))
    with TemporaryDirectory(prefix="pg") as name:
        folder = Path(name)
        as_user: list[str] = []
        if os.geteuid() == 0:  # the server refuses to run as root
            user = pwd.getpwnam("postgres")
            os.chown(folder, user.pw_uid, user.pw_gid)
            as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        initdb = server.resolve().parent / "initdb"
        made = [*as_user, str(initdb), "-D", f"{folder}/data", "-U", "console", "-A", "trust", "-E", "UTF8"]
        subprocess.run([*made, "--locale=C", "--no-sync"], check=True, capture_output=True, cwd="/", timeout=120)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        run = [*as_user, str(server), "-D", f"{folder}/data", "-p", str(port), "-k", str(folder), "-c", "fsync=off"]
        running = subprocess.Popen(
            [*run, "-c", "listen_addresses=127.0.0.1"], cwd="/", stderr=(folder / "log").open("wb")
        )
        try:
            _wait(port, running)
            yield f"postgresql://console@127.0.0.1:{port}/postgres"
        finally:
            running.send_signal(signal.SIGINT)  # fast: connections are cut
            running.wait(30)


def _wait(port: int, running: subprocess.Popen[bytes]) -> None:
    import time

    import psycopg

    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and running.poll() is None:
        try:
            psycopg.connect(f"postgresql://console@127.0.0.1:{port}/postgres", connect_timeout=2).close()
            return
        except psycopg.OperationalError:
            time.sleep(0.1)
    raise AssertionError("PostgreSQL did not start within 60 s")
