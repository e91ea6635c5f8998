"""The settings, from environment variables ``LOOKUP_MONITOR_*`` or the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from monitor.connection import Connection, Mechanism, Protocol

ENV_PREFIX: Final = "LOOKUP_MONITOR_"
PACK: Final = Path(__file__).resolve().parent / "pack"


def pack_dir() -> Path:
    """The rule pack: beside the package in a checkout, inside it when installed."""
    return PACK if PACK.is_dir() else PACK.parent.parent / "rules"


class Settings(BaseSettings):
    """What can be set. Each field is the environment variable ``LOOKUP_MONITOR_<NAME>``."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid")

    bootstrap: str = Field("127.0.0.1:9092", description="Kafka's bootstrap servers, host:port[,host:port…]")
    kafka_protocol: Protocol = Field(
        "PLAINTEXT", description="`PLAINTEXT`, `SSL`, `SASL_PLAINTEXT` or `SASL_SSL`, as Kafka's listener speaks it"
    )
    kafka_ca_file: Path | None = Field(
        None, description="file of the certificates (PEM) that brokers are checked by; without it the system's"
    )
    kafka_certificate_file: Path | None = Field(None, description="file of our own certificate (PEM), if Kafka asks")
    kafka_key_file: Path | None = Field(None, description="file of that certificate's key (PEM)")
    kafka_mechanism: Mechanism = Field("SCRAM-SHA-512", description="`SCRAM-SHA-512`, `SCRAM-SHA-256` or `PLAIN`")
    kafka_user: str | None = Field(None, description="who we are to Kafka, with a protocol of SASL")
    kafka_password_file: Path | None = Field(None, description="file of that user's password")
    group: str = Field("lookup-monitor", description="consumer group of the workers")
    partitions: int = Field(4, ge=1, le=256, description="partitions of the topics that carry lookups")
    replication: int = Field(1, ge=1, le=7, description="replicas of every topic (3 in production)")
    retention_days: int = Field(30, ge=1, description="days lookups are kept in Kafka")
    dlq_retention_days: int = Field(90, ge=1, description="days refused messages are kept")
    alert_retention_days: int = Field(365, ge=1, description="days alerts are kept")
    reference_history_days: int = Field(
        7, ge=1, description="days every version of reference data is kept, for replays"
    )
    rules: Path = Field(default_factory=pack_dir, description="folder of Sigma rules")
    rules_interval: float = Field(5.0, gt=0, description="seconds between looks for changed rules in the folder")
    rules_keys: Path | None = Field(
        None, description="file or folder of public keys; with it, rules count only if one of them has signed them"
    )
    quantile: float = Field(0.999, gt=0.5, lt=1, description="a lookup alerts when its score is above this quantile")
    metrics_host: str = Field("127.0.0.1", description="address of /metrics, /healthz and /readyz")
    metrics_port: int = Field(9464, ge=0, le=65535, description="port of /metrics; 0 picks a free one")
    session_timeout: float = Field(6.0, ge=1, description="seconds until a silent worker's partitions move on")
    commit_interval: float = Field(1.0, gt=0, description="seconds between commits of offsets")
    idle_after: float = Field(2.0, gt=0, description="seconds without lookups until a partition holds nobody back")
    snapshot_interval: float = Field(1.0, gt=0, description="seconds between snapshots of the models")
    stall_after: float = Field(60.0, gt=0, description="seconds without progress, though there is lag, until not ready")
    restart_after: float = Field(300.0, gt=0, description="the same, until the worker starts itself anew")
    forget_after_days: int = Field(
        1830, ge=1, description="days without lookups after which an actor or subject is forgotten"
    )
    store: Literal["memory", "rocksdb"] = Field(
        "memory", description="where the state of keys is: `memory` or `rocksdb` (on disk)"
    )
    state_dir: Path | None = Field(
        None, description="folder for RocksDB; by default where temporary files lie (`TMPDIR`)"
    )
    state_key_file: Path | None = Field(
        None, description="file of keys that sign state in Kafka, one a line: the first signs, all are accepted"
    )
    state_unsigned: Literal["refuse", "accept"] = Field(
        "refuse", description="with a key: `accept` state without signature too, until all has one"
    )
    pseudonyms: Literal["on", "off"] = Field(
        "on", description="`off`: alerts and all that comes of them name people and subjects as they are"
    )
    pseudonym_key_file: Path | None = Field(
        None, description="file of keys that pseudonyms are made by, one a line: the first makes, all are recognised"
    )
    identity_key_file: Path | None = Field(
        None, description="file of keys that seal the identity behind each: the first seals, all open"
    )
    watch_key_file: Path | None = Field(None, description="file of the keys of sealed watch lists, `TEAM KEY` a line")
    unmask_hours: float = Field(
        8.0, gt=0, le=168, description="hours for which an identity is shown once a second person has approved"
    )
    standby_replicas: int = Field(
        0, ge=0, le=7, description="how many other workers keep a copy of each partition's state, to take over at once"
    )
    canary_every: float = Field(60.0, gt=0, description="seconds from one round of canaries to the next")
    canary_slo: float = Field(30.0, gt=0, description="seconds within which a canary must have gone the whole way")
    gap_after: float = Field(900.0, ge=1, description="seconds that a lookup's number may come late until it is lost")
    registers: str = Field(
        "", description="registers watched one by one, comma-separated; none: the first 64 that come"
    )
    rank_share: float = Field(
        0.02, ge=0, le=0.5, description="share of alerts, drawn at random, that go to the top of the queue"
    )
    review_rate: float = Field(
        0.0005, ge=0, le=1, description="share of all lookups, drawn at random, that go to review"
    )
    review_key_file: Path | None = Field(
        None, description="file of the secret that these and pages are drawn by; without it, who knows an id can tell"
    )
    risk_half_life_days: float = Field(
        14.0, gt=0, description="days of event time after which an alert weighs half in its incident's risk"
    )
    page_budget: int = Field(
        20, ge=0, description="pages a day; what is critical or about a watched subject goes out beyond it"
    )
    page_share: float = Field(
        0.2, ge=0, le=1, description="share of these pages that is kept for incidents drawn at random"
    )
    page_again_after: float = Field(
        1800.0, gt=0, description="seconds until a page that nobody acknowledged is sent again, twice at most"
    )
    answer_within_days: float = Field(7.0, gt=0, description="days a supervisor has to answer, before the desk is told")
    incident_retention_days: int = Field(730, ge=1, description="days an incident is kept after it was closed")
    cleared_retention_days: int = Field(
        90, ge=1, description="the same, for one that was closed as explained or benign"
    )
    sinks: Path | None = Field(None, description="TOML file that says how people are told of incidents")
    audit_retention_days: int = Field(1830, ge=1, description="days audit records are kept")
    audit_key_file: Path | None = Field(
        None, description="file of the private key (Ed25519, PEM) that signs audit records; readable by us alone"
    )
    audit_keys: Path | None = Field(
        None, description="file or folder of the public keys whose audit records `monitor audit verify` accepts"
    )
    audit_within: float = Field(
        10.0, gt=0, description="seconds within which the audit log must have an event, or what it is about is not done"
    )
    users_file: Path | None = Field(
        None, description="file of the local users (`monitor users`); or else LOOKUP_MONITOR_OIDC_ISSUER"
    )
    sessions_file: Path | None = Field(
        None, description="file of who is logged in; without it all log in again after a restart"
    )
    session_idle: float = Field(900.0, ge=60, description="seconds without a request after which a login ends")
    session_longest: float = Field(36_000.0, ge=60, description="seconds after which a login ends whatever happens")
    session_requests: float = Field(300.0, ge=10, description="requests a minute that one login may make")
    console_url: str | None = Field(
        None, description="how browsers reach the console, `https://…`; without it this machine alone does, by http"
    )
    console_certificate_file: Path | None = Field(None, description="file of the console's certificates (PEM)")
    console_key_file: Path | None = Field(None, description="file of the key (PEM) of that certificate")
    console_proxies: str = Field(
        "", description="addresses or networks of the proxies before the console that are believed, comma-separated"
    )
    oidc_issuer: str | None = Field(None, description="the identity provider (OpenID Connect) that says who people are")
    oidc_client_id: str | None = Field(None, description="what the monitor is called there")
    oidc_client_secret_file: Path | None = Field(None, description="file of the secret it shows there")
    oidc_name_claim: str = Field("sub", description="the claim that holds a person's name")
    oidc_unit_claim: str = Field("unit", description="the claim that holds their unit")
    oidc_roles_claim: str = Field("groups", description="the claim that holds what their roles are told by")
    oidc_roles: str = Field(
        "", description="what in that claim is which role, comma-separated: `grp-desk=desk,grp-audit=auditor`"
    )
    oidc_acr: str | None = Field(
        None, description="how they must have logged in there (`acr`), if that is to be checked"
    )
    archive: Path | None = Field(None, description="folder in which all lookups are kept, for hunts and traces")
    archive_every: float = Field(60.0, gt=0, description="seconds from one write to the archive to the next")
    archive_days: int = Field(1830, ge=1, description="days lookups are kept in the archive")
    outcome_days: float = Field(
        30.0, gt=0, description="days within which what went wrong is traced together, if it is of no one case"
    )
    console_store: str | None = Field(
        None, description="URL of the console's store, SQLite or PostgreSQL; by default SQLite in the data folder"
    )
    console_store_password_file: Path | None = Field(None, description="file of the password to that database")
    console_host: str = Field("127.0.0.1", description="address of the console")
    console_port: int = Field(8480, ge=0, le=65535, description="port of the console; 0 picks a free one")
    console_metrics: str = Field(
        "http://127.0.0.1:9464/metrics",
        description="metrics endpoints that the console's live page asks, comma-separated",
    )
    console_dead_days: int = Field(90, ge=1, description="days after which a rule that never fired is called dead")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="least level that is logged")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if (problem := self.kafka.problem()) is not None:
            raise ValueError(problem)
        return self

    @property
    def kafka(self) -> Connection:
        """How Kafka is reached."""
        return Connection(
            self.bootstrap,
            self.kafka_protocol,
            self.kafka_ca_file,
            self.kafka_certificate_file,
            self.kafka_key_file,
            self.kafka_mechanism,
            self.kafka_user,
            self.kafka_password_file,
        )

    @property
    def forget_ms(self) -> int:
        """``forget_after_days`` in milliseconds."""
        return self.forget_after_days * 24 * 3600 * 1000

    @property
    def gap_after_ms(self) -> int:
        """``gap_after`` in milliseconds."""
        return int(self.gap_after * 1000)
