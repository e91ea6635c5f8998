"""rules deploy and rules versions: which rules the workers run by, and from where in the log."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer
from kafka import KafkaConsumer, TopicPartition
from rich.table import Table

from monitor.commands.auditing import note
from monitor.commands.common import KAFKA_ANSWERS_WITHIN_MS, err, fail, kafka_errors, out
from monitor.commands.ingest import send_chunks
from monitor.rules import load_texts
from monitor.rules.signature import BadSignature, signed_by
from monitor.secret_files import BadSecretFile
from monitor.settings import Settings
from monitor.stream.folder import RuleFolder
from monitor.stream.key_files import public_keys_in
from monitor.stream.topics import RULES
from monitor.stream.versions import CURRENT, Files, decode, pack_records, switch_records


def deploy(folder: Annotated[Path, typer.Argument(metavar="DIR", help="folder of rules")]) -> None:
    """Deploy rules without a restart: every worker moves to them at the same point of the log. With a flaw they are refused.

    Who deploys what is in the audit log before.
    """
    settings = Settings()
    if not folder.is_dir():
        raise fail(f"{folder} is not a folder of rules")
    place = RuleFolder(folder)
    files, signatures = place.read(), place.signatures()
    _check(settings, files, signatures)
    problems = load_texts(files).problems
    for problem in problems:
        err.print(str(problem), markup=False, soft_wrap=True)
    if problems:
        raise fail(f"{len(problems)} problems; nothing was deployed", code=1)
    version, pack = pack_records(files, signatures)
    note(settings, "rules-deploy", reason=f"version {version}")
    # Whoever reads of a version must find it: the pack first, and what names it when Kafka has the pack.
    for records in (pack, switch_records(version, settings.partitions)):
        for _ in send_chunks(settings, records):
            pass
    out.print(f"rules {version} deployed: {len(files)} files")


def _check(settings: Settings, files: Files, signatures: bytes | None) -> None:
    """Exits when workers would refuse the pack."""
    try:
        keys = public_keys_in(settings.rules_keys)
        if keys is not None:
            out.print(f"signed by {signed_by(files, signatures, keys)}")
    except BadSecretFile as error:
        raise fail(str(error)) from None
    except BadSignature as error:
        raise fail(f"the pack is refused: {error}; nothing was deployed", code=1) from None


def versions() -> None:
    """List the versions of the rules that were deployed, and which one is."""
    settings = Settings()
    table = Table("version", "deployed", "files", "")
    with kafka_errors(settings.kafka):
        found, current = _read(settings)
    for version, (at, count) in found.items():
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at / 1000))
        table.add_row(version, f"{when} UTC", str(count), "current" if version == current else "")
    out.print(table)


def _read(settings: Settings) -> tuple[dict[str, tuple[int, int]], str | None]:
    consumer = KafkaConsumer(
        **settings.kafka.options(), bootstrap_timeout_ms=KAFKA_ANSWERS_WITHIN_MS, enable_auto_commit=False
    )
    found: dict[str, tuple[int, int]] = {}
    current: str | None = None
    try:
        tp = TopicPartition(RULES, 0)
        consumer.assign([tp])
        consumer.seek_to_beginning(tp)
        end = consumer.end_offsets([tp])[tp]
        while consumer.position(tp) < end:
            for record in (each for records in consumer.poll(timeout_ms=1000).values() for each in records):
                if record.key == CURRENT:
                    current = record.value.decode()
                elif record.value is not None:
                    found[record.key.decode()] = (record.timestamp, len(decode(record.value)))
    finally:
        consumer.close()
    return found, current
