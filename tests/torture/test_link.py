"""The relay holds back what it is told to, and hands on every byte."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from tests.torture.link import Link


def _echo(server: socket.socket) -> None:
    while True:
        try:
            end, _ = server.accept()
        except OSError:
            return
        threading.Thread(target=_answer, args=(end,), daemon=True).start()


def _answer(end: socket.socket) -> None:
    with end:
        while data := end.recv(65_536):
            end.sendall(data)


@pytest.fixture
def link() -> Iterator[Link]:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as probe:
        threading.Thread(target=_echo, args=(server,), daemon=True).start()
        port = probe.getsockname()[1]
        probe.close()
        made = Link(port, server.getsockname()[1])
        yield made
        made.stop()


def ended(end: socket.socket) -> bool:
    """Whether the other side has ended the connection, in order or not."""
    try:
        return end.recv(1) == b""
    except ConnectionError:
        return True


def there_and_back(link: Link, size: int) -> float:
    """Seconds that so many bytes take there and back; they must be the same bytes."""
    sent = bytes(number % 251 for number in range(size))
    with socket.create_connection(("127.0.0.1", link.port), timeout=20) as end:
        began = time.monotonic()
        threading.Thread(target=end.sendall, args=(sent,), daemon=True).start()
        came = bytearray()
        while len(came) < size:
            came += end.recv(65_536)
        assert bytes(came) == sent
        return time.monotonic() - began


def test_what_goes_through_is_whole_and_takes_as_long_as_it_is_told(link: Link) -> None:
    there_and_back(link, 1_000_000)
    link.delay = 0.2
    assert there_and_back(link, 10) >= 0.4
    link.delay, link.rate = 0.0, 200_000.0
    assert there_and_back(link, 100_000) >= 0.5


def test_a_cut_ends_connections_and_new_ones_may_come(link: Link) -> None:
    with socket.create_connection(("127.0.0.1", link.port), timeout=20) as end:
        end.sendall(b"a")
        assert end.recv(1) == b"a"
        assert link.cut() == 1
        assert ended(end)
    there_and_back(link, 10)


def test_without_a_broker_a_connection_ends(link: Link) -> None:
    link._to = 1
    with socket.create_connection(("127.0.0.1", link.port), timeout=20) as end:
        assert ended(end)
