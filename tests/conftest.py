"""How the tests are shared between two processes: one has those with a broker, the other the rest, and then the last of those."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_LIVE = "tests/live/"
#: Those with a broker that come last, for whichever process has nothing else to do by then.
_LAST = tuple(f"{_LIVE}test_{name}.py" for name in ("monitoring", "outcomes", "tutorial"))
#: The console of the commands is as wide as the terminal was when a process first said something: for tests, whichever came first.
os.environ["COLUMNS"] = "240"
#: Secrets that tests write are readable by their owner alone, as they must be; that others are refused has its own tests.
os.umask(0o077)


@pytest.fixture
def lax_umask() -> Iterator[None]:
    """For tests of what is readable by its owner alone because the monitor makes it so."""
    before = os.umask(0o022)
    yield
    os.umask(before)


class _Sharing(LoadScopeScheduling):  # type: ignore[misc]
    """Each file stays together, for what its tests share, and all those with a broker do, but for a few at the end: two brokers with their
    workers and other tests besides would starve each other of two cores.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(_LAST):
            return "last"
        return _LIVE if nodeid.startswith(_LIVE) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _Sharing:
    """Called by pytest-xdist."""
    config.option.loadscopereorder = False  # those with a broker take the longest; they begin first
    return _Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a broker come first, but for those that come last."""
    items.sort(key=lambda item: (item.nodeid.startswith(_LAST), not item.nodeid.startswith(_LIVE)))
