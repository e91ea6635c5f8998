"""A broker that speaks TLS, knows its users by SCRAM or certificate, and lets nobody do what he is not allowed to."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from monitor import local_kafka_config as config
from monitor.connection import Connection
from monitor.local_kafka_dist import distribution
from monitor.local_kafka_folder import free_port

PASSWORD = "correct horse battery staple"
_ADMIN = "admin"
_STARTS_WITHIN = 60.0
_LOG = """<?xml version="1.0" encoding="UTF-8"?>
<Configuration status="WARN" shutdownHook="disable">
  <Appenders>
    <File name="file" fileName="kafka.log"><PatternLayout pattern="%d{ISO8601} %-5p %c{1} %m%n"/></File>
    <File name="rights" fileName="rights.log"><PatternLayout pattern="%m%n"/></File>
  </Appenders>
  <Loggers>
    <Root level="WARN"><AppenderRef ref="file"/></Root>
    <Logger name="kafka.authorizer.logger" level="DEBUG" additivity="false"><AppenderRef ref="rights"/></Logger>
  </Loggers>
</Configuration>
"""


class Asked(NamedTuple):
    """A user asked to do something to a topic, a group or the cluster; ``allowed``: was he."""

    user: str
    allowed: bool
    operation: str
    kind: str
    name: str


class Authority:
    """Who signs certificates, in a folder."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self._folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._build(self._name, self._key).add_extension(x509.BasicConstraints(True, None), True)
        self.file = folder / "ca.pem"
        self.file.write_bytes(made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def _build(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key.public_key(),
            serial_number=x509.random_serial_number(),
            not_valid_before=now - timedelta(minutes=5),
            not_valid_after=now + timedelta(days=1),
        )

    def issue(self, name: str, address: str = "127.0.0.1") -> tuple[Path, Path]:
        """A certificate for a server at an address, or a client; the files of the certificate and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        made = (
            self._build(subject, key)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))]), False)
            .add_extension(x509.ExtendedKeyUsage(uses), False)
            .sign(self._key, hashes.SHA256())
        )
        certificate, secret = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return certificate, secret


class SecureKafka:
    """The running broker."""

    def __init__(self, folder: Path, authority: Authority, ports: tuple[int, int]) -> None:
        self.folder = folder
        self.authority = authority
        self._scram, self._certificates = ports
        self.password_file = folder / "password"
        self.password_file.write_text(PASSWORD + "\n")

    def as_user(self, user: str = _ADMIN) -> Connection:
        """The connection of a user by his password."""
        return Connection(
            f"127.0.0.1:{self._scram}",
            "SASL_SSL",
            self.authority.file,
            user=user,
            password_file=self.password_file,
        )

    def by_certificate(self, name: str) -> Connection:
        """The connection of who shows a certificate."""
        certificate, key = self.authority.issue(name)
        return Connection(f"127.0.0.1:{self._certificates}", "SSL", self.authority.file, certificate, key)

    def asked(self) -> list[Asked]:
        """What users asked to do so far, in the authorizer's own log."""
        pattern = re.compile(
            r"Principal = User:(.+?) is (Allowed|Denied) operation = (\w+) from host = \S+ on resource = (\w+):LITERAL:(\S+) for"
        )
        found = pattern.findall((self.folder / "rights.log").read_text())
        return [Asked(user, word == "Allowed", what, kind, name) for user, word, what, kind, name in found]


@contextmanager
def secure_kafka(folder: Path, users: list[str]) -> Iterator[SecureKafka]:
    """Start the broker, which knows these users and an admin by :data:`PASSWORD`."""
    folder.mkdir()
    authority = Authority(folder / "authority")
    certificate, key = authority.issue("broker")
    (folder / "broker.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    scram, certificates, inside, controller = (free_port() for _ in range(4))
    settings = dict(
        line.split("=", 1) for line in config.server_properties(inside, controller).splitlines() if "=" in line
    )
    settings |= {
        "listeners": f"{settings['listeners']},USERS://127.0.0.1:{scram},CERTIFICATES://127.0.0.1:{certificates}",
        "advertised.listeners": f"{settings['advertised.listeners']},"
        f"USERS://127.0.0.1:{scram},CERTIFICATES://127.0.0.1:{certificates}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,USERS:SASL_SSL,CERTIFICATES:SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": "broker.pem",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(authority.file),
        "listener.name.certificates.ssl.client.auth": "required",
        "ssl.principal.mapping.rules": r"RULE:^CN=(.*?)$/$1/",
        "listener.name.users.scram-sha-512.sasl.jaas.config": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": f"User:{_ADMIN};User:ANONYMOUS",
    }
    (folder / "server.properties").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    (folder / "log4j2.xml").write_text(_LOG)
    kafka = distribution(lambda _: None)
    small = ["-XX:+UseSerialGC", f"-Dlog4j2.configurationFile={(folder / 'log4j2.xml').as_uri()}"]
    known = [f"SCRAM-SHA-512=[name={user},password={PASSWORD}]" for user in [_ADMIN, *users]]
    scrams = [word for each in known for word in ("--add-scram", each)]
    format_it = ["format", "--cluster-id", "Lookup-monitor-secure0", "--config", "server.properties", *scrams]
    subprocess.run(
        [*kafka.command("kafka.tools.StorageTool", "-Xmx128m", *small), *format_it], cwd=folder, check=True, timeout=60
    )
    broker = subprocess.Popen([*kafka.command("kafka.Kafka", "-Xmx384m", *small), "server.properties"], cwd=folder)
    try:
        running = SecureKafka(folder, authority, (scram, certificates))
        _until_up(running)
        yield running
    finally:
        broker.kill()
        broker.wait()


def _until_up(kafka: SecureKafka) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN
    while True:
        try:
            KafkaAdminClient(**kafka.as_user().options(), bootstrap_timeout_ms=2000).close()
            return
        except KafkaError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
