"""What the local broker is told, and how its answers are read: text and bytes in, text and bytes out.

Nothing here does I/O. Paths in the broker's settings are relative, since the broker runs inside its data
folder: so any folder name works (commas and letters outside ASCII too), and the folder can be moved between
runs.
"""

from __future__ import annotations

import re
import struct
from typing import Final

LOG_DIR: Final = "data"
"""Folder of Kafka's topics, inside the data folder."""
SERVER_FILE: Final = "server.properties"
LOG_FILE: Final = "kafka.log"

_METADATA: Final = 3  # the API key of Kafka's Metadata request
_LAST_LINES: Final = 12
_CAUSE_LINES: Final = 12
#: A line that says what went wrong, rather than where in the program: a log line of level ERROR or FATAL, an exception
#: with its message, what caused it, or the JVM's own complaint.
_CAUSE: Final = re.compile(
    r"(?:^|[\s\]])(?:ERROR|FATAL)\b|^\s*Caused by:|^(?:Exception in thread .*?)?[\w.$]+(?:Exception|Error)\b|^Error[: ]"
)

LOG4J2: Final = f"""<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN" shutdownHook="disable">
  <Appenders>
    <RollingFile name="file" fileName="{LOG_FILE}" filePattern="{LOG_FILE}.%i">
      <PatternLayout pattern="%d{{ISO8601}} %-5p %c{{1}} %m%n"/>
      <SizeBasedTriggeringPolicy size="10 MB"/>
      <DefaultRolloverStrategy max="2"/>
    </RollingFile>
  </Appenders>
  <Loggers>
    <Root level="INFO"><AppenderRef ref="file"/></Root>
  </Loggers>
</Configuration>
"""


def server_properties(
    port: int, controller_port: int, log_dir: str = LOG_DIR, relay: tuple[int, int] | None = None
) -> str:
    """The broker's settings: one node, broker and controller, on 127.0.0.1 only, one replica of every topic.

    ``log_dir`` is relative to the data folder. ``relay`` are two more ports: on the second the broker listens too, and whoever
    comes there is told to come to the first, from which something relays.
    """
    before, behind = relay or (0, 0)
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": log_dir,
        "auto.create.topics.enable": "false",
        "default.replication.factor": 1,
        "min.insync.replicas": 1,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 4,
        "group.initial.rebalance.delay.ms": 0,
        # Kafka's own bound of 6 s is longer than a worker that was killed may be missing.
        "group.min.session.timeout.ms": 1000,
        # The default of 128 MB is a quarter of the default heap.
        "log.cleaner.dedupe.buffer.size": 32 * 1024 * 1024,
    }
    if relay is not None:
        settings["listeners"] = f"RELAY://127.0.0.1:{behind},{settings['listeners']}"
        settings["advertised.listeners"] = f"RELAY://127.0.0.1:{before},{settings['advertised.listeners']}"
        settings["listener.security.protocol.map"] = f"RELAY:PLAINTEXT,{settings['listener.security.protocol.map']}"
        settings["inter.broker.listener.name"] = "PLAINTEXT"
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def cluster_id_of(meta_properties: str) -> str | None:
    """The cluster id in the text of a ``meta.properties`` file, or None when it has none (broken)."""
    for line in meta_properties.splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "cluster.id" and value.strip():
            return value.strip()
    return None


def metadata_request() -> bytes:
    """A Metadata request (version 1) that asks for no topic: the smallest question for a working broker."""
    client = b"lookup-monitor"
    body = struct.pack(">hhih", _METADATA, 1, 1, len(client)) + client + struct.pack(">i", 0)
    return struct.pack(">i", len(body)) + body


def brokers_in(response: bytes) -> list[tuple[str, int]]:
    """Host and port of each broker in the answer to :func:`metadata_request` (without its length prefix).

    A KRaft broker lists itself only once the controller lets it serve clients. Raises ValueError when the
    bytes are not such an answer.
    """
    brokers = []
    try:
        correlation, count = struct.unpack_from(">ii", response)
        if correlation != 1 or count < 0:
            raise ValueError("not an answer to our Metadata request")
        at = 8
        for _ in range(count):
            _, length = struct.unpack_from(">ih", response, at)
            host = response[at + 6 : at + 6 + length].decode()
            at += 6 + length
            port, rack = struct.unpack_from(">ih", response, at)
            brokers.append((host, port))
            at += 6 + max(rack, 0)
    except struct.error as error:
        raise ValueError("the answer to our Metadata request is cut off") from error
    return brokers


def bind_failed(output: str) -> bool:
    """Whether the broker's output says that a port was taken between our check and its start."""
    return "BindException" in output or "Address already in use" in output


def explain_failure(output: str, folder: str, heap_mb: int) -> str:
    """Why the broker did not start, and what to do; ``output`` is what the JVM and Kafka wrote.

    Shown are the lines that name a cause. The last lines, which a stack trace fills with places in Kafka's code, are shown
    only when no line names one.
    """
    if "No space left on device" in output:
        reason = f"The disk of {folder} is full. Free some space, then start again."
    elif bind_failed(output):
        reason = "Another process took its port just now. Start again, or name another port."
    elif "OutOfMemoryError" in output or "Could not reserve enough space" in output or "too small" in output:
        reason = f"{heap_mb} MB of heap did not do. Start it with another heap size (512 is usual)."
    elif "Failed to acquire lock on file .lock" in output:
        reason = f"Another Kafka uses {folder}. Stop it, or choose another data folder."
    elif "Stored node id" in output:
        reason = (
            f"{folder}/{LOG_DIR} is another broker's: node.id in its meta.properties is not 1. Choose another folder."
        )
    else:
        reason = f"The whole story is in {folder}/{LOG_FILE} and {folder}/console.log."
    causes = cause_lines(output)
    shown = causes or output.splitlines()[-_LAST_LINES:]
    text = "\n".join(f"  {line}" for line in shown) or "  (it wrote nothing)"
    return f"{reason}\n{'It says' if causes else 'Its last lines'}:\n{text}"


def cause_lines(output: str) -> list[str]:
    """The lines of a log that say what went wrong, each once, the first ones when there are many."""
    found = dict.fromkeys(line.strip() for line in output.splitlines() if _CAUSE.search(line))
    return list(found)[:_CAUSE_LINES]
