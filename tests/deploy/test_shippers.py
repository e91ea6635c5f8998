"""The shippers' configurations, which cannot be run here: they write where the monitor reads, keyed as it must be, and wait for Kafka."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from kafka.partitioner.default import murmur2
from ruamel.yaml import YAML

from monitor.stream.topics import EVENTS, partition_of

ROOT = Path(__file__).resolve().parents[2]
SHIPPERS = ROOT / "deploy/shippers"


def yaml(name: str) -> Any:
    return YAML(typ="safe").load((SHIPPERS / name).read_text())


def test_vector_keys_by_the_actor_and_loses_nothing() -> None:
    config = yaml("vector.yaml")
    sink, transform = config["sinks"]["kafka"], config["transforms"]["lookups"]
    assert sink["topic"] == EVENTS
    assert sink["inputs"] == ["lookups"]
    assert transform["inputs"] == [*config["sources"]]
    assert f".{sink['key_field']} = event.actor.id" in transform["source"]
    assert sink["librdkafka_options"] == {"partitioner": "murmur2_random", "acks": "all", "enable.idempotence": "true"}
    assert sink["acknowledgements"] == {"enabled": True}
    assert (sink["buffer"]["type"], sink["buffer"]["when_full"]) == ("disk", "block")
    assert transform["drop_on_error"] is False


def test_fluent_bit_keys_by_the_actor_and_loses_nothing() -> None:
    config = yaml("fluent-bit.yaml")
    (source,), (lua,), (sink,) = (config["pipeline"][each] for each in ("inputs", "filters", "outputs"))
    assert sink["topics"] == EVENTS
    assert f'record["{sink["message_key_field"]}"] = record["actor"]["id"]' in lua["code"]
    assert lua["call"] in lua["code"]
    assert source["tag"] == lua["match"] == sink["match"]
    assert source["parser"] in {each["name"] for each in config["parsers"]}
    assert sink["rdkafka.partitioner"] == "murmur2_random"
    assert sink["rdkafka.request.required.acks"] == "-1"
    assert sink["retry_limit"] == "no_limits"
    assert source["storage.type"] == "filesystem"
    assert config["service"]["storage.path"]
    assert source["db"]


def test_connect_keys_by_the_actor_and_waits_for_kafka() -> None:
    config = json.loads((SHIPPERS / "connect-jdbc.json").read_text())["config"]
    # With a query the prefix is the topic.
    assert config["topic.prefix"] == EVENTS
    key = config["transforms.key.fields"]
    assert config["transforms.plainKey.field"] == key
    assert f"'actor', json_build_object('id', {key})" in config["query"]
    assert all(f"transforms.{each}.type" in config for each in config["transforms"].split(","))
    for column in (config["timestamp.column.name"], config["incrementing.column.name"], key):
        assert re.search(rf"SELECT [^(]*\b{column}\b", config["query"][10:])
    assert config["producer.override.acks"] == "all"
    assert "partitioner.class" not in str(config), "the Java producer's own is the right one"


def test_our_partitions_are_those_of_kafkas_own_producers() -> None:
    """Of murmur2_random the example in librdkafka's own tests, and of Kafka's (UtilsTest.testMurmur2)."""
    for text, expected in (("21", -973932308), ("foobar", -790332482), ("a-little-bit-long-string", -985981536)):
        assert murmur2(text.encode()) == expected & 0xFFFFFFFF
        assert partition_of(text, 4) == (expected & 0x7FFFFFFF) % 4


def test_the_document_names_every_file_there_is() -> None:
    text = (ROOT / "docs/shipping.md").read_text()
    for path in SHIPPERS.rglob("*.*"):
        if "examples" not in path.parts:
            assert path.name in text, path.name
