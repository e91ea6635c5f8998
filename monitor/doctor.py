"""What is wrong with an installation, and what to do about it."""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import Final

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from monitor.rules import load_texts, read_dir
from monitor.settings import Settings
from monitor.stream import topics

_PACKAGES: Final = ("faust-streaming", "aiokafka", "kafka-python", "river", "pysigma", "pydantic", "prometheus-client")
_ANSWERS_WITHIN_MS: Final = 5_000
_MAX_LAG: Final = 10_000
_MAX_CLOCK_SKEW_MS: Final = 5_000


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at. ``advice`` says what to do when it is not ``ok``."""

    what: str
    ok: bool
    found: str
    advice: str = ""


def examine(settings: Settings) -> list[Finding]:
    """Look at Kafka, topics, lag, clock, rules and versions."""
    findings = [_versions(), _rules(settings)]
    try:
        admin = KafkaAdminClient(
            **settings.kafka.options(), request_timeout_ms=10_000, bootstrap_timeout_ms=_ANSWERS_WITHIN_MS
        )
    except KafkaError as error:
        advice = "start it (`monitor kafka start`) or set LOOKUP_MONITOR_BOOTSTRAP"
        return [*findings, Finding("Kafka", False, f"{settings.bootstrap}: {type(error).__name__}", advice)]
    try:
        findings.append(Finding("Kafka", True, f"{settings.bootstrap} answers"))
        problems = topics.check(admin, settings)
        findings += [Finding("topic", False, f"{p.topic} {p.problem}", p.hint) for p in problems]
        if not problems:
            findings.append(Finding("topics", True, f"all {len(topics.topics_of(settings))} as they should be"))
            findings += [_lag(admin, settings), _clock(settings)]
    finally:
        admin.close()
    return findings


def _versions() -> Finding:
    return Finding("versions", True, ", ".join(f"{name} {version(name)}" for name in _PACKAGES))


def _rules(settings: Settings) -> Finding:
    if not settings.rules.is_dir():
        return Finding("rules", False, f"{settings.rules} is not a folder", "set LOOKUP_MONITOR_RULES")
    report = load_texts(read_dir(settings.rules))
    count = len(report.rules.detections) + len(report.rules.correlations)
    if report.problems:
        return Finding("rules", False, f"{count} load, but {report.problems[0]}", "correct the file; the others run")
    return Finding("rules", count > 0, f"{count} in {settings.rules}", "" if count else "add rules; none are loaded")


def _lag(admin: KafkaAdminClient, settings: Settings) -> Finding:
    consumer = KafkaConsumer(**settings.kafka.options(), group_id=settings.group, enable_auto_commit=False)
    try:
        lag, unread = 0, False
        for topic in (topics.EVENTS, topics.KEYED, topics.FEATURES):
            parts = [TopicPartition(topic, number) for number in range(settings.partitions)]
            ends = consumer.end_offsets(parts)
            for part in parts:
                committed = consumer.committed(part)
                unread = unread or (committed is None and ends[part] > 0)
                lag += ends[part] - (committed or 0)
    finally:
        consumer.close()
    if unread:
        return Finding("lag", False, f"{lag:,} messages; no worker has read some partitions", "start `monitor worker`")
    advice = "" if lag <= _MAX_LAG else "start more workers (at most one a partition), or see /readyz of those that run"
    return Finding("lag", lag <= _MAX_LAG, f"{lag:,} messages", advice)


def _clock(settings: Settings) -> Finding:
    """Kafka stamps a message itself only if a topic asks for it; the group coordinator's answer does not carry a time, so
    compare with the newest lookup's receipt: a receipt in the future means that clocks differ."""
    consumer = KafkaConsumer(**settings.kafka.options(), enable_auto_commit=False)
    try:
        parts = [TopicPartition(topics.EVENTS, number) for number in range(settings.partitions)]
        ahead = consumer.offsets_for_times(dict.fromkeys(parts, int(time.time() * 1000) + _MAX_CLOCK_SKEW_MS))
    finally:
        consumer.close()
    wrong = sum(1 for found in ahead.values() if found is not None and found.offset >= 0)
    if wrong:
        return Finding(
            "clock",
            False,
            "messages were received in this machine's future",
            "set the clocks of this machine and of the producers by NTP",
        )
    return Finding("clock", True, "no message was received in this machine's future")
