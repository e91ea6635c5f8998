"""The worker: Faust's membership, assignment, commits and supervision around intake, detect and score.

The order of every chunk is the same, and it is in one place, :meth:`Worker._write`: what was made from the chunk (keyed
lookups, alerts, state) is acknowledged by Kafka first; only then is the chunk acknowledged to Faust, which commits its
offset. A crash in between repeats the chunk; the offsets kept in the state make the repeat count nothing twice.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from monitor.alerts import Alert
from monitor.detector import Detector
from monitor.enrich import explains_later
from monitor.events import MAX_SKEW_MS
from monitor.memory import collect_seldom
from monitor.metrics import Metrics
from monitor.rerun import UnknownPack, version_in
from monitor.review import message
from monitor.rules import RuleSet, load_texts
from monitor.settings import Settings
from monitor.stream import topics
from monitor.stream.app import App, add_agent, new_app
from monitor.stream.batches import BatchWriter, Out, Span
from monitor.stream.deployment import Deployment
from monitor.stream.detect import Chunk, Detect, Written, acknowledge, as_it_is, forget_records
from monitor.stream.feed import ReferenceFeed
from monitor.stream.intake import Intake
from monitor.stream.key_files import public_keys_in
from monitor.stream.masking import mask_of, sealer_of
from monitor.stream.model_watch import ModelWatch
from monitor.stream.packs import PackFeed
from monitor.stream.parts import Parts
from monitor.stream.progress import Progress
from monitor.stream.sampling import reviewed
from monitor.stream.score import Score
from monitor.stream.tables import Table, Tables, load
from monitor.stream.versions import Files
from monitor.stream.warm import Warm

log = structlog.get_logger(__name__)
_RETRY_MAX = 10.0
#: How long a rebalance waits for what is being done, so that the state need not be read anew, in seconds.
_REST_WITHIN = 1.0


class Worker:
    """One worker process: a Faust app with three agents, and the parts they share."""

    def __init__(self, settings: Settings, rules: RuleSet, metrics: Metrics, made: Tables | None = None) -> None:
        """Raises :class:`monitor.stream.seal.BadKey`."""
        self.settings = settings
        self.rules = rules
        self.metrics = metrics
        self.partitions = settings.partitions
        self.ready = False
        self.app = self._new_app()
        self._intakes = Parts(self._new_intake)
        self._detects = Parts(self._new_detect)
        self._scores = Parts(self._new_score)
        self._parts: dict[str, Parts[Any]] = {
            topics.EVENTS: self._intakes,
            topics.KEYED: self._detects,
            topics.FEATURES: self._scores,
        }
        self._snapshots: dict[int, tuple[int, int]] = {}
        self._saving: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._quiet_since: dict[int, float] = {}
        self._told_idle: dict[int, float] = {}
        self._detectors: dict[str, Detector] = {}
        self.version = ""
        self.progress = Progress(metrics)
        self._models = ModelWatch(metrics)
        self._warm = Warm(settings.kafka, made or Tables(settings), metrics)
        mask = mask_of(settings)
        self._mask = as_it_is if mask is None else mask.alert
        self._shown = message if mask is None else mask.lookup

    def _new_app(self) -> App:
        app = new_app(self.settings)
        app.on_partitions_revoked.connect(self._revoked)
        app.on_partitions_assigned.connect(self._assigned)
        app.task(self._start)
        app.timer(interval=self.settings.snapshot_interval)(self._save_models)
        app.timer(interval=min(1.0, self.settings.idle_after))(self._tell_idle)
        app.timer(interval=self.settings.rules_interval)(self._look_for_rules)
        # Two, since the second may wait for Kafka, and the first says that the event loop runs.
        app.timer(interval=min(5.0, self.settings.restart_after / 4))(self._beat)
        app.timer(interval=min(5.0, self.settings.restart_after / 4))(self._look_again)
        for topic, handle in (
            (topics.EVENTS, self._intake),
            (topics.KEYED, self._detect),
            (topics.FEATURES, self._score),
        ):
            add_agent(app, topic, lambda: self._started.wait(), partial(self._work, handle))
        return app

    def readiness(self) -> str | None:
        """``None`` when the worker does its work, else why not."""
        if not self.ready:
            return "starting: reading the reference data"
        if (seconds := self.progress.without_kafka()) is not None:
            return f"Kafka does not answer, or takes no writes, for {seconds:.0f} s"
        if self.app.rebalancing:
            return "partitions are being assigned"
        if (seconds := self.progress.stalled()) > self.settings.stall_after:
            return f"no progress for {seconds:.0f} s although there are messages to read"
        return None

    async def _beat(self) -> None:
        self.progress.beat()

    async def _look_again(self) -> None:
        await self.progress.look_again(
            self.app.consumer, min(self.settings.stall_after, self.settings.restart_after) / 2
        )

    async def _start(self) -> None:
        collect_seldom()
        self._writer = BatchWriter(self.settings.kafka)
        await self._writer.start()
        self._feed = ReferenceFeed(
            self.settings.kafka, self.metrics, self.app.depends_on, self.progress.heard, sealer_of(self.settings)
        )
        await self._feed.start()
        keys = public_keys_in(self.settings.rules_keys)
        refused = self.metrics.rules_refused.inc
        self._packs = PackFeed(self.settings.kafka, self._load_pack, self.app.depends_on, keys, refused)
        await self._packs.start()
        self._deployment = Deployment(
            self.settings, self.metrics, self._packs, self._feed.reference, partial(self._write, "intake"), keys
        )
        self._show_version(await self._deployment.at_start())
        # The reference data stays; without this the garbage collector would walk all of it again and again.
        gc.collect()
        gc.freeze()
        self.progress.beat()
        self.app.add_future(self._warm.follow())
        self._started.set()
        self.ready = True

    @property
    def _started(self) -> asyncio.Event:
        if not hasattr(self, "_started_event"):
            self._started_event = asyncio.Event()
        return self._started_event

    async def stop(self) -> None:
        """Close what the worker opened itself."""
        if self.ready:
            self.ready = False
            await self._warm.stop()
            await self._feed.stop()
            await self._packs.stop()
            await self._writer.stop()

    async def _work(self, handle: Callable[[Any], Awaitable[None]], event: Any) -> None:
        with self._parts[event.message.topic].at_work(event.message.partition):
            await handle(event)

    async def _revoked(self, app: faust.App, revoked: set[TP], **_: Any) -> None:
        """What is known of partitions that go is dropped; their state is kept until it is clear who has them now."""
        self.progress.forget(revoked)
        parts = {tp: self._parts[tp.topic].forget(tp.partition) for tp in revoked}
        if self.settings.standby_replicas:
            await asyncio.gather(*(self._keep_state(tp, part) for tp, part in parts.items() if part is not None))
        for tp in revoked:
            if tp.topic == topics.FEATURES:
                self._snapshots.pop(tp.partition, None)
            if tp.topic == topics.EVENTS:
                self._quiet_since.pop(tp.partition, None)
                self._told_idle.pop(tp.partition, None)

    async def _keep_state(self, tp: TP, part: Any) -> None:
        # No chunk of it is begun any more; so when none is at work nobody changes its table, and all changes are acknowledged.
        if await self._parts[tp.topic].rest(tp.partition, _REST_WITHIN):
            self._warm.keep((part if isinstance(part, Intake) else part[0]).table)

    async def _assigned(self, app: faust.App, assigned: set[TP], **_: Any) -> None:
        standbys = app.assignor.assigned_standbys()
        self._warm.assign(*({(topics.STATE_OF[tp.topic], tp.partition) for tp in tps} for tps in (standbys, assigned)))

    async def _load(self, stage: str, topic: str, partition: int) -> Table:
        table: Table = await self._until_done(stage, lambda: self._warm.table(topic, partition))
        await self._write_state(stage, table, table.again())
        return table

    async def _write_state(self, stage: str, table: Table, out: list[Out], in_order: bool = True) -> None:
        """Write what has changed in a table. Somebody who was taken for dead may have written too: then what is newer than
        that is written once more, since of each key Kafka may keep no more than what came last."""
        while not table.acknowledged(await self._write(stage, out, in_order=in_order)):
            await self._until_done(stage, lambda: load(self.settings.kafka, table))
            out = table.again()

    def _load_pack(self, files: Files) -> RuleSet:
        rules = load_texts(files, self._feed.reference.lists).rules
        for rule in rules.by_id.values():
            self.metrics.alerts.labels(rule.id, rule.level)
        return rules

    def _detector_of(self, version: str) -> Detector:
        detector = self._detectors.get(version)
        if detector is None:
            rules = self._packs.rules(version)
            explained = partial(explains_later, self._feed.reference, explanations=rules.explanations)
            detector = self._detectors[version] = Detector(
                rules, explained, rules_of=self._packs.rules, forget_ms=self.settings.forget_ms
            )
        return detector

    async def _until_known(self, version: str) -> None:
        """A control record may come before this worker has read the pack it names."""
        with suppress(UnknownPack):
            await self._packs.ensure(version)

    def _show_version(self, version: str) -> None:
        if version != self.version:
            self.version = version
            self.metrics.show_rules(version)
            log.info("rules", version=version)

    async def _look_for_rules(self) -> None:
        if self.ready and not self.app.rebalancing:
            await self._deployment.look()

    async def _new_intake(self, partition: int) -> Intake:
        table = await self._load("intake", topics.INTAKE_STATE, partition)
        intake = Intake(
            partition, self.partitions, table, self._feed.reference, self._packs, reviewed(self.settings), self._shown
        )
        self.metrics.bad_state.inc(intake.bad_states)
        return intake

    async def _new_detect(self, partition: int) -> tuple[Detect, list[Chunk]]:
        table = await self._load("detect", topics.DETECT_STATE, partition)
        made = (self._detector_of, self._packs.current or "", self.settings.forget_ms)
        return Detect(
            partition, self.partitions, table, *made, lambda: self._feed.reference.position, self._mask, self._teams
        ), []

    async def _new_score(self, partition: int) -> tuple[Score, list[Chunk]]:
        table = await self._load("score", topics.SCORE_STATE, partition)
        return Score(self.partitions, table, self.settings.quantile, self._packs, self._mask, self._teams), []

    def _teams(self, alert: Alert) -> list[str]:
        return self._feed.reference.teams_watching(alert.subjects, alert.actors, alert.ts)

    async def _intake(self, event: Any) -> None:
        partition = event.message.partition
        intake = await self._intakes.of(partition, event.message.generation_id)
        for version in {version_in(record) for record in event.message.value if record.headers} - {None}:
            await self._until_known(str(version))
        await self._feed.reached(intake.enriched_by)
        out, state = intake.process(event.message.value)
        forget_records(event)
        await self._write("intake", out)
        # Only now: the state says that Kafka has acknowledged all that was made of the chunk.
        await self._write_state("intake", intake.table, state)
        self._show_version(intake.version)
        for reason in intake.refused:
            self.metrics.dlq.labels(reason).inc()
        self.metrics.events.labels("refused").inc(len(intake.refused))
        self.metrics.ahead.inc(sum(lateness <= -MAX_SKEW_MS for lateness in intake.lateness_ms))
        for lateness in intake.lateness_ms:
            self.metrics.lateness.observe(max(0, lateness) / 1000)
        event.ack()
        if not intake.was_quiet:
            self._quiet_since[partition] = time.monotonic()
            self._told_idle.pop(partition, None)
        self._moved("intake", event)

    async def _detect(self, event: Any) -> None:
        detect, chunks = await self._detects.of(event.message.partition, event.message.generation_id)
        chunk = Chunk(event)
        chunks.append(chunk)
        records = event.message.value
        for version in {record.value for record in records if record.key == topics.SWITCH}:
            await self._until_known(version.decode())
        began = time.perf_counter()
        written = detect.process(records, chunk, self.app.consumer.committed(event.message.tp))
        forget_records(event)
        self.metrics.rule_time.observe((time.perf_counter() - began) / len(records))
        await self._write("detect", written.out)
        # As in the intake: a state that came before its alerts would, after a crash between the two, lose them. Each key is in
        # it once, so the order does not matter.
        await self._write_state("detect", detect.table, written.state, in_order=False)
        for fate, count in written.fates.items():
            self.metrics.events.labels(fate).inc(count)
        self._count_alerts(written)
        acknowledge(chunks)
        self.metrics.held.labels("detect").set(sum(each.held for each, _ in self._detects))
        self._moved("detect", event)

    async def _score(self, event: Any) -> None:
        partition = event.message.partition
        score, chunks = await self._scores.of(partition, event.message.generation_id)
        chunk = Chunk(event)
        records = event.message.value
        # No snapshot meanwhile: it would say that the chunk is learned, and its alerts are not in Kafka yet.
        async with self._saving[partition]:
            began = time.perf_counter()
            chunks.append(chunk)
            written = score.process(records, chunk)
            forget_records(event)
            self.metrics.model_time.observe((time.perf_counter() - began) / len(records))
            await self._write("score", written.out)
        self._count_alerts(written)
        self._models.note(written)
        self._snapshots[partition] = (event.message.offset, records[-1].timestamp)
        self.metrics.held.labels("score").set(sum(each.held for each, _ in self._scores))
        self._moved("score", event)
        if len(chunks) >= 20:
            await self._snapshot(partition)

    async def _snapshot(self, partition: int) -> list[Chunk]:
        """Save the models of a partition, then acknowledge what they have learned; return those chunks.

        One at a time: a later snapshot holds only what has changed since, so it must not be acknowledged before an earlier one.
        """
        async with self._saving[partition]:
            at = self._snapshots.pop(partition, None)
            part = self._scores.kept(partition)
            if at is None or part is None:
                return []
            score, chunks = part
            saved = len(chunks)
            out = score.snapshot(*at)
            done = [chunk for chunk in chunks[:saved] if chunk.waiting == 0]
            await self._write_state("score", score.table, out)
            for chunk in done:
                chunk.handle.ack()
            chunks[:] = [chunk for chunk in chunks if chunk not in done]
            return done

    def _count_alerts(self, written: Written) -> None:
        now = time.time()
        if written.bad_states:
            self.metrics.bad_state.inc(written.bad_states)
            log.error("saved state refused; those keys start anew", keys=written.bad_states)
        for alert, received in written.alerts:
            self.metrics.alerts.labels(alert.rule.id, alert.rule.level).inc()
            self.metrics.latency.observe(max(0.0, now - received / 1000))

    def _moved(self, stage: str, event: Any) -> None:
        self.progress.moved(stage, event.message, self.app.consumer.end_of(event.message.tp))

    async def _save_models(self) -> None:
        if not self.ready or self.app.rebalancing:
            return
        for partition in list(self._snapshots):
            with self._scores.at_work(partition):
                await self._snapshot(partition)
        self._models.show(score for score, _ in self._scores)

    async def _tell_idle(self) -> None:
        """A source partition with nothing to read must not hold the others back; say so, and again every 10 s."""
        if not self.ready or self.app.rebalancing:
            return
        now = time.monotonic()
        assigned = [tp for tp in self.app.consumer.assignment() if tp.topic == topics.EVENTS]
        for tp in assigned:
            quiet = now - self._quiet_since.setdefault(tp.partition, now)
            told = now - self._told_idle.get(tp.partition, -1e9)
            if quiet < self.settings.idle_after or told < 10 or not await self.app.consumer.is_read_up(tp):
                continue
            self._told_idle[tp.partition] = now
            intake = await self._intakes.of(tp.partition, self.app.consumer_generation_id)
            await self._write("intake", intake.idle(int(quiet * 1000)))

    async def _write(self, stage: str, out: list[Out], in_order: bool = True) -> list[Span]:
        spans: list[Span] = await self._until_done(stage, lambda: self._writer.write(out, in_order))
        return spans

    async def _until_done(self, stage: str, act: Callable[[], Awaitable[Any]]) -> Any:
        """Do it until Kafka says yes: what repeats is recognised downstream, what is skipped would be lost."""
        pause = 0.1
        while True:
            try:
                done = await act()
                self.progress.wrote()
                return done
            except (KafkaError, OSError) as error:
                self.progress.refused()
                self.metrics.retries.labels(stage).inc()
                log.warning("Kafka did not take a write; trying again", stage=stage, error=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(_RETRY_MAX, pause * 2)
