"""What becomes of the chunks that a stage was given."""

from __future__ import annotations

from typing import Any


def forget_records(event: Any) -> None:
    """A chunk may wait long to be acknowledged; its records are not needed for that, and are most of a worker's memory."""
    event.value = event.message.value = None
