"""The guarded console, for each test anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.access.made import House, cheap_passwords


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with cheap_passwords():
        made = House(tmp_path)
        yield made
        made.access.sessions.close()
