"""The topics: their names, partitions, retention and compaction, and whether Kafka's own agree."""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Final

import msgspec
from aiokafka.partitioner import murmur2
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType, NewTopic
from kafka.errors import KafkaTimeoutError, TopicAlreadyExistsError

from monitor import event_key
from monitor.settings import Settings

EVENTS: Final = event_key.TOPIC
DLQ: Final = "lookup.events.v1.dlq"
REFERENCE: Final = "lookup.reference.v1"
KEYED: Final = "lookup.keyed.v1"
FEATURES: Final = "lookup.features.v1"
ALERTS: Final = "lookup.alerts.v1"
RULES: Final = "lookup.rules.v1"
CANARIES: Final = "lookup.canary.v1"
SOURCES: Final = "lookup.sources.v1"
REVIEW: Final = "lookup.review.v1"
DISPOSITIONS: Final = "lookup.dispositions.v1"
DISPOSITIONS_DLQ: Final = "lookup.dispositions.v1.dlq"
PRIORITIES: Final = "lookup.priorities.v1"
INTAKE_STATE: Final = "lookup.intake.state.v1"
DETECT_STATE: Final = "lookup.detect.state.v1"
SCORE_STATE: Final = "lookup.score.state.v1"
SOURCES_STATE: Final = "lookup.sources.state.v1"
INCIDENTS: Final = "lookup.incidents.v1"
JOURNAL: Final = "lookup.incidents.journal.v1"
COMMANDS: Final = "lookup.incidents.commands.v1"
COMMANDS_DLQ: Final = "lookup.incidents.commands.v1.dlq"
SINKS_DLQ: Final = "lookup.sinks.dlq.v1"
SINKS_STATE: Final = "lookup.sinks.state.v1"
OUTCOMES: Final = "lookup.outcomes.v1"
OUTCOMES_DLQ: Final = "lookup.outcomes.v1.dlq"
UNMASKINGS: Final = "lookup.unmaskings.v1"
HOLDS: Final = "lookup.holds.v1"
INCIDENTS_STATE: Final = "lookup.incidents.state.v1"
RANK_STATE: Final = "lookup.rank.state.v1"
AUDIT: Final = "lookup.audit.v1"
#: The changelog of the state that comes of each of the workers' topics.
STATE_OF: Final = {EVENTS: INTAKE_STATE, KEYED: DETECT_STATE, FEATURES: SCORE_STATE}

#: The key of a tick: a message that says how far its source partition has come.
TICK: Final = b"tick"
#: The key of a message that says by which version of the rules what follows from its source partition is judged.
SWITCH: Final = b"rules"
#: The key of a message that says where in the order of lookups every model returns to what it was.
ROLL_BACK: Final = b"\x00roll-back"
#: The key of a canary, and of its answer from the stage before.
CANARY: Final = b"canary"
#: Headers of lookups and alerts: the position in ``lookup.reference.v1`` (the offset after the last record that was taken in) by
#: which the lookup was enriched, and by which whoever detects decided on the alert.
ENRICHED_BY: Final = "reference"
DECIDED_BY: Final = "reference.decided"
#: Header of alerts: the teams that have a subject of it in a sealed watch, with commas.
WATCHED_BY: Final = "watched"
_DAY_MS: Final = 24 * 3600 * 1000
_LARGE_BYTES: Final = 4 * 1024 * 1024
#: How long a new topic may take until Kafka's brokers know it, in seconds.
_VISIBLE_WITHIN: Final = 30.0


class Topic(msgspec.Struct, frozen=True):
    """One topic as it has to be."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]


class TopicProblem(msgspec.Struct, frozen=True):
    """What is wrong with one topic, and what to do about it."""

    topic: str
    problem: str
    hint: str

    def __str__(self) -> str:
        return f"{self.topic}: {self.problem} ({self.hint})"


def topics_of(settings: Settings) -> list[Topic]:
    """Every topic the monitor uses, as ``settings`` want it."""
    count, replicas = settings.partitions, settings.replication
    compacted = {"cleanup.policy": "compact", "min.compaction.lag.ms": str(3600 * 1000)}
    # A worker that begins reads all of a changelog, so no more of it may be superseded than must be. Compaction waits until a
    # worker has seen what another one, which was taken for dead, wrote after it.
    changelog = {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": str(600 * 1000),
        "min.cleanable.dirty.ratio": "0.2",
        "segment.bytes": str(64 * 1024 * 1024),
    }

    def kept(days: int) -> dict[str, str]:
        return {"cleanup.policy": "delete", "retention.ms": str(days * _DAY_MS)}

    return [
        # The time of receipt is the brokers': a producer whose clock is wrong must not say when its lookups were received.
        Topic(EVENTS, count, replicas, kept(settings.retention_days) | {"message.timestamp.type": "LogAppendTime"}),
        # A refused message keeps its raw bytes and gets headers on top, so it may be a little larger than an event.
        Topic(DLQ, count, replicas, kept(settings.dlq_retention_days)),
        # What was known then is needed to run a span again.
        Topic(
            REFERENCE,
            1,
            replicas,
            {**compacted, "min.compaction.lag.ms": str(settings.reference_history_days * _DAY_MS)},
        ),
        Topic(KEYED, count, replicas, kept(settings.retention_days)),
        Topic(FEATURES, count, replicas, kept(settings.retention_days)),
        Topic(ALERTS, count, replicas, kept(settings.alert_retention_days)),
        Topic(RULES, 1, replicas, {**compacted, "max.message.bytes": str(_LARGE_BYTES)}),
        Topic(CANARIES, 1, replicas, kept(1)),
        Topic(SOURCES, 1, replicas, {**kept(settings.retention_days), "max.message.bytes": str(_LARGE_BYTES)}),
        Topic(REVIEW, count, replicas, kept(settings.alert_retention_days)),
        # All verdicts in one order, as the order decides what is learned; each of them is kept, not the last of an alert: who
        # took back what is evidence too.
        Topic(
            DISPOSITIONS, 1, replicas, kept(settings.alert_retention_days) | {"message.timestamp.type": "LogAppendTime"}
        ),
        Topic(DISPOSITIONS_DLQ, 1, replicas, kept(settings.dlq_retention_days)),
        # The last priority of each alert, for as long as there is the alert.
        Topic(PRIORITIES, count, replicas, kept(settings.alert_retention_days) | {"cleanup.policy": "compact,delete"}),
        # Each incident as it is now. One partition, as for verdicts: incidents come at the pace of people, in one order.
        Topic(INCIDENTS, 1, replicas, {**compacted, "max.message.bytes": str(_LARGE_BYTES)}),
        # All that makes incidents, in the order in which it was taken in, at the broker's time.
        Topic(
            JOURNAL,
            1,
            replicas,
            kept(settings.alert_retention_days)
            | {"message.timestamp.type": "LogAppendTime", "max.message.bytes": str(_LARGE_BYTES)},
        ),
        Topic(COMMANDS, 1, replicas, kept(settings.alert_retention_days)),
        Topic(COMMANDS_DLQ, 1, replicas, kept(settings.dlq_retention_days)),
        # What went wrong in the world, in one order; at the broker's time, as lookups received before it are what it is traced in.
        Topic(OUTCOMES, 1, replicas, kept(settings.alert_retention_days) | {"message.timestamp.type": "LogAppendTime"}),
        Topic(OUTCOMES_DLQ, 1, replicas, kept(settings.dlq_retention_days)),
        # Every step of every request, each under a key of its own: compaction takes what has a tombstone. Kafka's time counts.
        Topic(UNMASKINGS, 1, replicas, {**compacted, "message.timestamp.type": "LogAppendTime"}),
        Topic(HOLDS, 1, replicas, {**compacted, "message.timestamp.type": "LogAppendTime"}),
        Topic(SINKS_DLQ, 1, replicas, kept(settings.dlq_retention_days) | {"max.message.bytes": str(_LARGE_BYTES)}),
        # What the monitor's users did, in one order. What one broker alone has is not yet in the log.
        Topic(
            AUDIT,
            1,
            replicas,
            kept(settings.audit_retention_days) | {"min.insync.replicas": str(max(1, replicas - 1))},
        ),
        Topic(INTAKE_STATE, count, replicas, changelog),
        Topic(DETECT_STATE, count, replicas, changelog),
        Topic(SCORE_STATE, count, replicas, {**changelog, "max.message.bytes": str(_LARGE_BYTES)}),
        Topic(SOURCES_STATE, 1, replicas, {**changelog, "max.message.bytes": str(_LARGE_BYTES)}),
        Topic(INCIDENTS_STATE, 1, replicas, {**changelog, "max.message.bytes": str(_LARGE_BYTES)}),
        Topic(SINKS_STATE, 1, replicas, changelog),
        Topic(RANK_STATE, 1, replicas, {**changelog, "max.message.bytes": str(_LARGE_BYTES)}),
    ]


@lru_cache(maxsize=1 << 14)
def partition_of(key: str, partitions: int) -> int:
    """The partition of ``key``, as Kafka's own producers choose it (murmur2 of the UTF-8 bytes)."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % partitions)


def create(admin: KafkaAdminClient, settings: Settings) -> list[str]:
    """Create the topics that do not exist; return their names. Existing ones are left as they are.

    Returns when every broker asked knows them all: Kafka answers the creation before that. Raises ``KafkaTimeoutError``
    when that takes longer than 30 s.
    """
    existing = set(admin.list_topics())
    made = []
    for topic in topics_of(settings):
        if topic.name in existing:
            continue
        new = NewTopic(
            topic.name,
            num_partitions=topic.partitions,
            replication_factor=topic.replication,
            topic_configs=topic.config,
        )
        try:
            admin.create_topics([new])
        except TopicAlreadyExistsError:
            continue
        made.append(topic.name)
    deadline = time.monotonic() + _VISIBLE_WITHIN
    while made and not set(made) <= set(admin.list_topics()):
        if time.monotonic() > deadline:
            raise KafkaTimeoutError(f"new topics are not there after {_VISIBLE_WITHIN:.0f} s: {', '.join(made)}")
        time.sleep(0.05)
    return made


def check(admin: KafkaAdminClient, settings: Settings) -> list[TopicProblem]:
    """Compare Kafka's topics with what ``settings`` want; empty when all is well."""
    existing = set(admin.list_topics())
    problems = []
    for topic in topics_of(settings):
        if topic.name not in existing:
            problems.append(TopicProblem(topic.name, "does not exist", "run `monitor topics`"))
            continue
        problems += _check_partitions(admin, topic) + _check_config(admin, topic)
    return problems


def _check_partitions(admin: KafkaAdminClient, topic: Topic) -> list[TopicProblem]:
    (found,) = admin.describe_topics([topic.name])
    problems = []
    count = len(found["partitions"])
    if count != topic.partitions:
        hint = f"set LOOKUP_MONITOR_PARTITIONS={count}, or make the topic anew; the partitions of topics with state cannot be changed"
        problems.append(TopicProblem(topic.name, f"has {count} partitions, not {topic.partitions}", hint))
    replicas = min(len(_field(part, "replica_nodes", "replicas")) for part in found["partitions"])
    if replicas < topic.replication:
        problems.append(
            TopicProblem(
                topic.name,
                f"has {replicas} replicas, not {topic.replication}",
                "move it with kafka-reassign-partitions",
            )
        )
    return problems


def _field(part: dict[str, list[int]], *names: str) -> list[int]:
    return next(part[name] for name in names if name in part)


def _check_config(admin: KafkaAdminClient, topic: Topic) -> list[TopicProblem]:
    actual = read_config(admin, topic.name)
    return [
        TopicProblem(
            topic.name,
            f"{name} is {actual.get(name)}, not {wanted}",
            f"run kafka-configs --alter --add-config {name}={wanted}",
        )
        for name, wanted in topic.config.items()
        if actual.get(name) != wanted
    ]


def read_config(admin: KafkaAdminClient, topic: str) -> dict[str, str | None]:
    """The configuration of a topic, names to values."""
    answer = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    return dict(_walk_config(answer, topic))


def _walk_config(answer: object, topic: str) -> list[tuple[str, str | None]]:
    """kafka-python answers with nested dictionaries whose outer shape depends on the broker's version; find ours."""
    if isinstance(answer, dict):
        if "configs" in answer and isinstance(answer["configs"], (list, tuple)):
            return [pair for entry in answer["configs"] for pair in _walk_entry(entry)]
        if "config_name" in answer or "name" in answer:
            return _walk_entry(answer)
        found = answer.get(topic)
        if isinstance(found, dict):
            return [pair for name, entry in found.items() for pair in _walk_named(name, entry)]
        return [pair for inner in answer.values() for pair in _walk_config(inner, topic)]
    if isinstance(answer, (list, tuple)):
        return [pair for inner in answer for pair in _walk_config(inner, topic)]
    return []


def _walk_entry(entry: object) -> list[tuple[str, str | None]]:
    if isinstance(entry, dict):
        name = entry.get("config_name", entry.get("name"))
        return [(str(name), entry.get("config_value", entry.get("value")))]
    return []


def _walk_named(name: str, entry: object) -> list[tuple[str, str | None]]:
    value = entry.get("value", entry.get("config_value")) if isinstance(entry, dict) else entry
    return [(name, None if value is None else str(value))]
