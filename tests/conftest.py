"""How the tests are shared between two processes: one has those with a broker, the other the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

_LIVE = Path(__file__).parent / "live"


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist, which looks at the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests with a broker run one after the other, since several would starve each other of two cores; they begin first.

    Of the others each file stays together, for what its tests share.
    """
    for item in items:
        live = _LIVE in item.path.parents
        item.add_marker(pytest.mark.xdist_group("live" if live else str(item.path.relative_to(_LIVE.parent))))
    items.sort(key=lambda item: _LIVE not in item.path.parents)
