"""The systemd units: what the tools of systemd say of them, and that they run commands there are with settings there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from monitor.acls import ROLES
from monitor.cli import COMMANDS
from monitor.commands.run import OUTSIDE
from monitor.settings import ENV_PREFIX, Settings
from tests.deploy.test_compose_hardening import COMPOSE

DEPLOY = Path(__file__).resolve().parents[2] / "deploy/systemd"
UNITS = sorted(path.name for path in DEPLOY.glob("*.service"))
NAMES = {name: re.fullmatch(r"lookup-monitor-(\w+)@?\.service", name)[1] for name in UNITS}  # type: ignore[index]
#: What each process is to Kafka; the others are called as their role.
ROLE_OF = {"replay": "auditor"}
MOST_EXPOSED = 3.0
#: Where each directive may stand more than once.
LISTS = {"Environment", "LoadCredential", "SystemCallFilter"}
analyze = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(
    analyze is None and not os.environ.get("CI"), reason="systemd-analyze is not on this machine"
)


def parsed(text: str) -> dict[str, Any]:
    """The directives of a unit: name to value, or to all values where it may stand more than once."""
    found: dict[str, Any] = {}
    for line in text.splitlines():
        if not line or line[0] in "#[":
            continue
        name, _, value = line.partition("=")
        if name in LISTS:
            found.setdefault(name, []).append(value)
        else:
            assert name not in found, name
            found[name] = value
    return found


def unit(name: str) -> dict[str, Any]:
    return parsed((DEPLOY / name).read_text())


def environment(name: str) -> dict[str, str]:
    return dict(each.split("=", 1) for each in unit(name).get("Environment", ()))


def shared_environment() -> dict[str, str]:
    lines = (DEPLOY / "lookup-monitor.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def copied(folder: Path, name: str, change: tuple[str, str] = ("", "")) -> Path:
    """All units in a folder, with a program there is on this machine; ``change`` is made to one of them."""
    here = Path(sys.executable).with_name("monitor")
    for each in (*UNITS, "lookup-monitor.target"):
        text = (DEPLOY / each).read_text().replace("/opt/lookup-monitor/bin/monitor", str(here))
        (folder / each).write_text(text.replace(*change) if each == name and change[0] else text)
    return folder / name


def exposure(path: Path) -> float:
    done = subprocess.run(
        [analyze or "", "security", "--offline=true", str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found is not None, done.stdout
    return float(found[1])


def verified(*paths: Path) -> str:
    done = subprocess.run([analyze or "", "verify", *map(str, paths)], capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


@needs_systemd
def test_every_unit_is_sound_and_little_exposed(tmp_path: Path) -> None:
    copied(tmp_path, UNITS[0])
    assert verified(*(tmp_path / name for name in (*UNITS, "lookup-monitor.target"))) == ""
    assert {name: found for name in UNITS if (found := exposure(tmp_path / name)) > MOST_EXPOSED} == {}


@needs_systemd
@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("RestartSec=5", "RestrtSec=5", "Unknown key"),
        ("Restart=always", "Restart=mostly", "Failed to parse"),
        ("Type=exec", "Type=ready", "Failed to parse"),
    ],
)
def test_a_mistake_in_a_unit_is_found(tmp_path: Path, before: str, after: str, says: str) -> None:
    assert says in verified(copied(tmp_path, "lookup-monitor-sinks.service", (before, after)))


@needs_systemd
def test_a_unit_that_is_not_confined_is_found(tmp_path: Path) -> None:
    path = copied(tmp_path, "lookup-monitor-sinks.service", ("CapabilityBoundingSet=\n", ""))
    path.write_text(re.sub(r"^(SystemCallFilter|Private\w+|Protect\w+)=.*\n", "", path.read_text(), flags=re.M))
    assert exposure(path) > MOST_EXPOSED


def test_there_is_a_unit_for_each_process_and_the_target_starts_them() -> None:
    assert set(NAMES.values()) == {"worker", "topics", "replay", *OUTSIDE}
    wanted = set(parsed((DEPLOY / "lookup-monitor.target").read_text())["Wants"].split())
    assert wanted == {name for name in UNITS if "@" not in name}
    for name in UNITS:
        assert (unit(name)["PartOf"], unit(name)["WantedBy"]) == ("lookup-monitor.target", "lookup-monitor.target")


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_runs_a_command_there_is_with_settings_there_are(name: str) -> None:
    command = unit(name)["ExecStart"].removeprefix("/opt/lookup-monitor/bin/monitor ")
    assert command.split()[0] in COMMANDS
    assert command.startswith(OUTSIDE.get(NAMES[name], NAMES[name]))
    # %d is where the credentials are, %i which worker it is.
    here = {
        key: value.replace("%d", "/run/credentials/u").replace("%i", "01") for key, value in environment(name).items()
    }
    fields = {key.removeprefix(ENV_PREFIX).lower(): value for key, value in {**shared_environment(), **here}.items()}
    assert all(key.startswith(ENV_PREFIX) for key in (*here, *shared_environment()))
    settings = Settings(**fields)  # type: ignore[arg-type]
    role = ROLE_OF.get(NAMES[name], NAMES[name])
    assert role in ROLES
    assert settings.kafka_user == f"lookup-{role}"
    assert (
        f"LoadCredential=kafka.password:/etc/lookup-monitor/secrets/kafka/{role}.password"
        in (DEPLOY / name).read_text()
    )


@pytest.mark.parametrize("name", UNITS)
def test_secrets_come_as_credentials_alone(name: str) -> None:
    """Each file that is named under %d is handed over, and each that is handed over is named; all lie where only root may look."""
    handed = dict(each.split(":") for each in unit(name).get("LoadCredential", ()))
    named = {value.removeprefix("%d/") for value in environment(name).values() if value.startswith("%d/")}
    assert named == handed.keys()
    assert all(place.startswith("/etc/lookup-monitor/secrets/") for place in handed.values())
    secret = re.compile(r"_(PASSWORD|KEY|SECRET)_FILE$")
    assert all(value.startswith("%d/") for key, value in environment(name).items() if secret.search(key))
    assert not [key for key in shared_environment() if secret.search(key)]
    assert "d /etc/lookup-monitor/secrets 0700 root root -" in (DEPLOY / "tmpfiles.conf").read_text()


def test_all_units_are_confined_in_the_same_way() -> None:
    def confinement(name: str) -> str:
        text = (DEPLOY / name).read_text()
        return text[text.index("# What follows is the same in every unit") : text.index("[Install]")]

    assert len({confinement(name) for name in UNITS}) == 1
    user = unit(UNITS[0])["User"]
    assert (
        f'u {user} - "lookup-monitor" /var/lib/lookup-monitor /usr/sbin/nologin'
        in (DEPLOY / "sysusers.conf").read_text()
    )


def test_the_limits_are_those_of_the_compose_file_and_no_port_is_taken_twice() -> None:
    ports = []
    for name, short in NAMES.items():
        limits = COMPOSE["services"][short]["deploy"]["resources"]["limits"]
        assert unit(name)["MemoryMax"] == limits["memory"], name
        ports += [value for key, value in environment(name).items() if key == f"{ENV_PREFIX}METRICS_PORT"]
    assert len(set(ports)) == len(ports) == len(UNITS) - 1  # topics ends and serves nothing
