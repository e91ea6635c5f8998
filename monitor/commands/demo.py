"""demo: the whole way on real Kafka, with a made-up force, in about a minute."""

from __future__ import annotations

import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from kafka import KafkaConsumer, TopicPartition
from rich.console import Group
from rich.live import Live
from rich.table import Table

from monitor import alerts
from monitor.commands.common import fail, out, start_kafka
from monitor.commands.data import recall_table
from monitor.commands.ingest import event_out, send_chunks, send_reference
from monitor.commands.run import ensure_topics, spawn_worker, stop_workers
from monitor.local_kafka_folder import free_port
from monitor.recall import recall_by_typology
from monitor.settings import Settings
from monitor.simulate import Settings as ForceSettings
from monitor.simulate import simulate
from monitor.stream.batches import Out
from monitor.stream.masking import with_local_keys
from monitor.stream.topics import ALERTS

_DAYS, _FEWEST_DAYS = 28, 7
_FEWEST_ACTORS = 20
_LOOKUPS_PER_ACTOR_DAY = 20.0
#: As many hold every kind of misuse.
_FEWEST_LOOKUPS = int(_FEWEST_ACTORS * _FEWEST_DAYS * _LOOKUPS_PER_ACTOR_DAY)
_DRAIN = 30.0


class Scene:
    """What the demo knows while it runs; the feeder's and the reader's threads write it, the display reads it."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.fed: list[str] = []
        self.alerts: dict[str, alerts.Alert] = {}
        self.repeats = 0
        self.first_alert: float | None = None
        self.stop = threading.Event()
        self.fed_all = threading.Event()
        self.trouble: BaseException | None = None


def demo(
    seconds: Annotated[int, typer.Option(min=5, help="how long lookups are made")] = 60,
    rate: Annotated[int, typer.Option(min=1, help="lookups a second")] = 400,
    plain: Annotated[bool, typer.Option("--plain", help="lines instead of a live table")] = False,
) -> None:
    """Show the whole way: real Kafka, a made-up force with hidden misuse, a worker, and the alerts as they come."""
    scene = Scene()
    actors, days = _size_of(seconds * rate)
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)
    force = simulate(ForceSettings(seed=1, days=days, actors=actors, start=start))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lookup-monitor-demo-")))
        out.print("starting Kafka (the first time it is downloaded, some 43 MB)")
        kafka = stack.enter_context(start_kafka(folder / "kafka"))
        port = free_port()
        plain_settings = Settings(bootstrap=kafka.bootstrap, metrics_port=port, metrics_host="127.0.0.1")
        settings = with_local_keys(plain_settings, folder / "keys")
        ensure_topics(settings)
        count = send_reference(settings, (orjson.dumps(record) for record in force.reference))
        out.print(
            f"Kafka {kafka.bootstrap} · metrics http://127.0.0.1:{port}/metrics · {actors} actors, {count:,} records"
        )
        process = spawn_worker(settings, folder / "worker.log")
        stack.callback(stop_workers, [process])
        for target in (_read_alerts, _feed):
            threading.Thread(target=_guard, args=(target, scene, settings, force, seconds, rate), daemon=True).start()
        _show(scene, seconds, plain, process)
        scene.stop.set()
        if process.poll() is not None:
            out.print((folder / "worker.log").read_text()[-3000:], markup=False)
            raise fail(f"the worker ended with code {process.returncode}; its last lines are above")
    if scene.trouble is not None:
        raise fail(f"the demo broke: {type(scene.trouble).__name__}: {scene.trouble}")
    _summary(scene, force)
    if not scene.alerts:
        hint = "" if seconds * rate >= _FEWEST_LOOKUPS else f"; that takes some {_FEWEST_LOOKUPS:,} lookups (--rate R)"
        raise fail(f"no alert came through Kafka{hint}", code=1)


def _size_of(lookups: int) -> tuple[int, int]:
    """How many actors and days a force has that makes about so many lookups: few lookups, fewer days, not too few actors.

    Hidden misuse is spread over all the days of a force, so one that is cut off early would show none.
    """
    actors = max(_FEWEST_ACTORS, int(lookups / (_LOOKUPS_PER_ACTOR_DAY * _DAYS)))
    days = min(_DAYS, max(_FEWEST_DAYS, int(lookups / (_LOOKUPS_PER_ACTOR_DAY * actors))))
    return actors, days


def _guard(target: Any, scene: Scene, settings: Settings, force: Any, seconds: int, rate: int) -> None:
    try:
        target(scene, settings, force, seconds, rate)
    except BaseException as error:
        scene.trouble = error
        scene.stop.set()


def _feed(scene: Scene, settings: Settings, force: Any, seconds: int, rate: int) -> None:
    """Send the force's lookups at the rate, a tenth of a second's worth at a time."""

    def paced() -> Iterator[Out]:
        began = time.monotonic()
        for number, event in enumerate(itertools.islice(force.events(), seconds * rate)):
            if scene.stop.wait(max(0.0, number / rate - (time.monotonic() - began))):
                return
            scene.fed.append(event["id"])
            yield event_out(orjson.dumps(event), settings.partitions, number)

    for _ in send_chunks(settings, paced(), size=max(1, rate // 10)):
        pass
    scene.fed_all.set()


def _read_alerts(scene: Scene, settings: Settings, *_: Any) -> None:
    consumer = KafkaConsumer(**settings.kafka.options(), enable_auto_commit=False, auto_offset_reset="earliest")
    consumer.assign([TopicPartition(ALERTS, number) for number in range(settings.partitions)])
    while not scene.stop.is_set():
        for records in consumer.poll(timeout_ms=200).values():
            for record in records:
                alert = alerts.decode(record.value)
                scene.repeats += alert.id in scene.alerts
                scene.alerts[alert.id] = alert
                if scene.first_alert is None:
                    scene.first_alert = time.monotonic() - scene.began
    consumer.close()


def _show(scene: Scene, seconds: int, plain: bool, process: Any) -> None:
    """Show what happens until all is fed and no alert has come for a while."""
    shown, quiet_since, last = 0, time.monotonic(), -1
    with ExitStack() as stack:
        live = None if plain else stack.enter_context(Live(_picture(scene), console=out, refresh_per_second=4))
        deadline = time.monotonic() + seconds + 120
        while time.monotonic() < deadline and not scene.stop.wait(0.25) and process.poll() is None:
            count = len(scene.alerts)
            if count != last:
                last, quiet_since = count, time.monotonic()
            if live is not None:
                live.update(_picture(scene))
            else:
                for alert in list(scene.alerts.values())[shown:count]:
                    out.print(
                        f"{alert.time} {alert.rule.level:8} {_title(alert)} · {alert.entity.id}: {alert.reasons[0]}",
                        markup=False,
                        soft_wrap=True,
                    )
                shown = count
            if scene.fed_all.is_set() and time.monotonic() - quiet_since > 6 and (count or _waited(scene, seconds)):
                break


def _waited(scene: Scene, seconds: int) -> bool:
    return time.monotonic() - scene.began > seconds + _DRAIN


def _title(alert: alerts.Alert) -> str:
    return f"{alert.rule.typology or 'model'}: {alert.rule.title}"


def _picture(scene: Scene) -> Group:
    elapsed = time.monotonic() - scene.began
    table = Table("time", "level", "typology", "rule", "about", "why")
    for alert in list(scene.alerts.values())[-15:]:
        table.add_row(
            alert.time[:19],
            alert.rule.level,
            alert.rule.typology or "model",
            alert.rule.title,
            f"{alert.entity.kind} {alert.entity.id}",
            alert.reasons[0] if alert.reasons else "",
        )
    status = f"{elapsed:.0f} s · {len(scene.fed):,} lookups fed ({len(scene.fed) / max(elapsed, 1):,.0f}/s) · {len(scene.alerts):,} alerts"
    return Group(status, table)


def _summary(scene: Scene, force: Any) -> None:
    fed = set(scene.fed)
    labels = [label for label in force.labels if label["events"] and all(event in fed for event in label["events"])]
    out.print(recall_table(recall_by_typology(labels, scene.alerts.values())))
    misuse = {event for label in force.labels for event in label["events"]}
    right = sum(1 for alert in scene.alerts.values() if misuse & set(alert.events))
    levels = Counter(alert.rule.level for alert in scene.alerts.values())
    first = "–" if scene.first_alert is None else f"{scene.first_alert:.1f} s after the start"
    out.print(
        f"{len(scene.fed):,} lookups · {len(scene.alerts):,} alerts ({dict(levels)}), {right:,} of them about hidden misuse "
        f"· {scene.repeats} repeats · first alert {first}"
    )
