"""When a worker says that it does not get on, and when it starts anew."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from monitor.metrics import Metrics
from monitor.settings import Settings
from monitor.stream import progress
from monitor.stream.app import new_app
from monitor.stream.progress import Progress
from monitor.stream.run import watch

FIRST, SECOND = TP("t", 0), TP("t", 1)


class Clock:
    """A clock that is turned by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def moved(made: Progress, tp: TP, offset: int, end: int | None) -> None:
    message = SimpleNamespace(tp=tp, partition=tp.partition, offset=offset, timestamp=940.0)
    made.moved("intake", message, end)


def test_a_worker_stalls_when_there_is_something_to_read_and_it_does_not(clock: Clock) -> None:
    made = Progress(Metrics())
    clock.now += 100
    assert made.stalled() == 0, "nothing is known to be there"
    moved(made, FIRST, 9, 20)
    clock.now += 30
    assert made.stalled() == 30
    moved(made, FIRST, 19, 20)
    clock.now += 30
    assert made.stalled() == 0, "all is read"
    moved(made, FIRST, 20, None)
    assert made.stalled() == 0, "where the partition ends is not known"


def test_lag_is_told_in_messages_and_seconds(clock: Clock) -> None:
    metrics = Metrics()
    made = Progress(metrics)

    def lag() -> tuple[float, float]:
        return metrics.lag.labels("intake", "0")._value.get(), metrics.lag_seconds.labels("intake", "0")._value.get()

    moved(made, FIRST, 9, 20)
    assert lag() == (10, 60)
    moved(made, FIRST, 19, 20)
    assert lag() == (0, 0)


def test_partitions_that_have_gone_are_no_reason(clock: Clock) -> None:
    made = Progress(Metrics())
    moved(made, FIRST, 9, 20)
    clock.now += 30
    made.forget({SECOND})
    assert made.stalled() == 30
    made.forget({FIRST})
    assert made.stalled() == 0


def test_when_kafka_takes_no_writes_the_worker_waits_for_it(clock: Clock) -> None:
    made = Progress(Metrics())
    moved(made, FIRST, 9, 20)
    assert made.without_kafka() is None
    made.refused()
    clock.now += 30
    made.refused()
    assert made.without_kafka() == 30
    assert made.stalled() == 0
    made.wrote()
    assert made.without_kafka() is None
    assert made.stalled() == 30


def test_when_kafka_does_not_answer_the_worker_says_so_though_there_is_nothing_to_write(clock: Clock) -> None:
    made = Progress(Metrics())
    moved(made, FIRST, 9, 20)
    made.heard(True)
    assert made.without_kafka() is None
    made.heard(False)
    clock.now += 30
    made.heard(False)
    assert made.without_kafka() == 30
    assert made.stalled() == 0, "starting anew would not help"
    made.refused()
    clock.now += 5
    made.heard(True)
    assert made.without_kafka() == 5, "it answers, but takes no writes"


def test_the_mark_of_a_transaction_is_nothing_to_read(clock: Clock) -> None:
    made = Progress(Metrics())
    moved(made, FIRST, 9, 11)
    moved(made, SECOND, 9, 12)
    clock.now += 30

    async def is_read_up(tp: TP) -> bool:
        return tp == FIRST

    consumer: Any = SimpleNamespace(is_read_up=is_read_up)
    asyncio.run(made.look_again(consumer, 30))
    made.forget({SECOND})
    assert made.stalled() == 30, "it is not asked so soon"
    asyncio.run(made.look_again(consumer, 29))
    assert made.stalled() == 0


def test_when_kafka_does_not_answer_the_worker_waits_for_it(clock: Clock) -> None:
    made = Progress(Metrics())
    moved(made, FIRST, 9, 11)
    clock.now += 30
    answer: bool | None = None

    async def is_read_up(_: TP) -> bool | None:
        return answer

    consumer: Any = SimpleNamespace(is_read_up=is_read_up)
    asyncio.run(made.look_again(consumer, 20))
    assert made.stalled() == made.hangs() == 0
    clock.now += 30
    answer = False
    asyncio.run(made.look_again(consumer, 20))
    assert made.stalled() == 60


def test_it_starts_anew_once_and_only_after_the_limit() -> None:
    said = iter([0.0, 0.06, 0.05, 0.06, 0.07])
    asked: list[float] = []
    done = threading.Event()

    def hangs() -> float:
        asked.append(next(said, 0.08))
        return asked[-1]

    watch(hangs, 0.05, done.set).join(10)
    assert done.is_set()
    assert asked == [0.0, 0.06, 0.05, 0.06, 0.07, 0.08], "the last is for the log"


def test_an_event_loop_that_is_silent_hangs(clock: Clock) -> None:
    made = Progress(Metrics())
    clock.now += 100
    assert made.hangs() == 0, "it has not begun"
    made.beat()
    clock.now += 3
    assert made.hangs() == 3
    moved(made, FIRST, 9, 20)
    clock.now += 2
    made.beat()
    clock.now += 1
    assert made.hangs() == 3, "there is something to read"


@pytest.mark.parametrize("code", [0, 2])
def test_a_worker_that_does_not_stop_in_time_is_ended(code: int) -> None:
    program = f"""
import threading
from monitor.stream.run import end_within
threading.Thread(target=threading.Event().wait).start()
end_within(0.1, {code})
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=60, capture_output=True, check=False)
    assert done.returncode == code
    assert b"did not stop in time" in done.stdout


def test_after_a_crash_nothing_is_asked_of_the_consumers_thread() -> None:
    async def stopped() -> bool:
        app = new_app(Settings())
        consumer: Any = app.transport.create_consumer(
            on_partitions_revoked=print, on_partitions_assigned=print, callback=print
        )
        app.client_only = False
        consumer._delivered[FIRST] = deque([7])
        consumer._acked_index[FIRST].add(7)
        consumer._acked[FIRST].append(7)
        consumer._crash(ValueError())
        # Its thread was never started, so it answers as little as one that has ended.
        return bool(await asyncio.wait_for(consumer.commit(), 1))

    assert asyncio.run(stopped()) is False
