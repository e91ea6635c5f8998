"""The pages that a worker, or another process of the monitor, serves on this machine."""

from __future__ import annotations

import urllib.error
import urllib.request


def page(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page; status 0 when nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""
