"""How Kafka is reached: where it is, over which protocol, and as whom. The one place that knows, for every client."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from monitor.secret_files import BadSecretFile, check_mode

if TYPE_CHECKING:
    import ssl

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"]
#: Kafka's names (``security.protocol``) of the protocols with TLS, and of those with a user and a password.
_TLS: Final = ("SSL", "SASL_SSL")
_SASL: Final = ("SASL_PLAINTEXT", "SASL_SSL")


class BadConnection(ValueError):
    """The connection cannot be made as it is set: says which setting, and what is wrong with it. Never holds the secret."""


@dataclass(frozen=True)
class Connection:
    """``bootstrap`` servers, and how they are spoken to. Passwords are files, read when a client is made: they may be changed.

    With TLS the brokers' certificates and names are checked, against ``ca_file`` or what the system trusts. With
    ``certificate_file`` and ``key_file`` (PEM) this side shows a certificate too.
    """

    bootstrap: str
    protocol: Protocol = "PLAINTEXT"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    mechanism: Mechanism = "SCRAM-SHA-512"
    user: str | None = None
    password_file: Path | None = None

    @property
    def has_tls(self) -> bool:
        """Whether what is said is encrypted."""
        return self.protocol in _TLS

    @property
    def has_user(self) -> bool:
        """Whether Kafka is told who we are by user and password."""
        return self.protocol in _SASL

    def problem(self) -> str | None:
        """What does not go together, or ``None``."""
        if (self.certificate_file is None) != (self.key_file is None):
            return "KAFKA_CERTIFICATE_FILE and KAFKA_KEY_FILE go together"
        if not self.has_tls and (self.ca_file or self.certificate_file):
            return f"KAFKA_CA_FILE and KAFKA_CERTIFICATE_FILE need KAFKA_PROTOCOL SSL or SASL_SSL, not {self.protocol}"
        if self.has_user and (self.user is None or self.password_file is None):
            return f"KAFKA_PROTOCOL {self.protocol} needs KAFKA_USER and KAFKA_PASSWORD_FILE"
        if not self.has_user and (self.user or self.password_file):
            return f"KAFKA_USER and KAFKA_PASSWORD_FILE need KAFKA_PROTOCOL SASL_SSL, not {self.protocol}"
        if self.protocol == "SASL_PLAINTEXT" and self.mechanism == "PLAIN":
            return "KAFKA_MECHANISM PLAIN sends the password itself: it needs KAFKA_PROTOCOL SASL_SSL"
        return None

    def options(self) -> dict[str, Any]:
        """The arguments of a client of aiokafka or kafka-python, which have the same names. Raises :class:`BadConnection`."""
        made: dict[str, Any] = {"bootstrap_servers": self.bootstrap, "security_protocol": self.protocol}
        if self.has_tls:
            made["ssl_context"] = self.tls()
        if self.has_user:
            made["sasl_mechanism"] = self.mechanism
            made["sasl_plain_username"] = self.user
            made["sasl_plain_password"] = self.password()
        return made

    def tls(self) -> ssl.SSLContext:
        """The TLS context of a client: at least TLS 1.2, names are checked. Raises :class:`BadConnection`."""
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ValueError) as error:
            raise BadConnection(
                f"KAFKA_CA_FILE {self.ca_file}: {_why(error)}; it must be certificates in PEM"
            ) from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certificate_file is not None:
            assert self.key_file is not None
            _check("KAFKA_KEY_FILE", self.key_file)
            try:
                context.load_cert_chain(self.certificate_file, self.key_file)
            except (OSError, ValueError) as error:
                files = f"KAFKA_CERTIFICATE_FILE {self.certificate_file}, KAFKA_KEY_FILE {self.key_file}"
                raise BadConnection(
                    f"{files}: {_why(error)}; they must be one certificate and its key in PEM"
                ) from None
        return context

    def password(self) -> str:
        """The password in ``password_file``, without the line's end. Raises :class:`BadConnection`."""
        assert self.password_file is not None
        _check("KAFKA_PASSWORD_FILE", self.password_file)
        try:
            found = self.password_file.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise BadConnection(f"KAFKA_PASSWORD_FILE {self.password_file}: {_why(error)}") from None
        if not found:
            raise BadConnection(f"KAFKA_PASSWORD_FILE {self.password_file} is empty")
        return found


def _check(setting: str, path: Path) -> None:
    try:
        check_mode(path)
    except BadSecretFile as error:
        raise BadConnection(f"{setting} {error}") from None


def _why(error: Exception) -> str:
    """What went wrong, without anything that was read."""
    return (getattr(error, "strerror", None) or getattr(error, "reason", None) or type(error).__name__).strip()
