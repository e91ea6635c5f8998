"""Which sinks there are: a TOML file, in which secrets are named by a file or an environment variable and never written."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from monitor.secret_files import BadSecretFile, check_mode

Kind = Literal["question", "desk", "page", "escalation", "acknowledged", "closed"]
_CALLS: tuple[Kind, ...] = ("page", "escalation", "acknowledged", "closed")


class BadSinks(ValueError):
    """The file of sinks cannot be used; the text says which sink and what is wrong."""


class SinkConfig(BaseModel):
    """One ``[[sink]]``. ``rate`` is deliveries a minute; ``secret_file`` or ``secret_env`` is where its secret is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]
    kind: Literal["alertmanager", "pagerduty", "webhook", "apprise", "ocsf"]
    url: Annotated[str, Field(pattern="^https?://")] | None = None
    path: Path | None = None
    notices: tuple[Kind, ...] = _CALLS
    secret_file: Path | None = None
    secret_env: str | None = None
    rate: Annotated[float, Field(gt=0)] = 60.0
    timeout: Annotated[float, Field(gt=0)] = 10.0

    @model_validator(mode="after")
    def _has_what_its_kind_needs(self) -> SinkConfig:
        if self.secret_file is not None and self.secret_env is not None:
            raise ValueError("give secret_file or secret_env, not both")
        if self.kind in ("alertmanager", "pagerduty", "webhook") and self.url is None:
            raise ValueError(f"a sink of kind {self.kind} needs a url")
        if self.kind == "ocsf" and (self.url is None) == (self.path is None):
            raise ValueError("a sink of kind ocsf needs a url or a path, one of the two")
        if self.kind == "apprise" and (self.url is not None or not self.has_secret):
            raise ValueError("a sink of kind apprise has its URLs, which hold passwords, in secret_file or secret_env")
        if self.kind in ("pagerduty", "webhook") and not self.has_secret:
            raise ValueError(f"a sink of kind {self.kind} needs secret_file or secret_env")
        if self.url is None and "timeout" in self.model_fields_set:
            raise ValueError("only a sink with a url has a timeout")
        if self.path is not None and self.kind != "ocsf":
            raise ValueError("only a sink of kind ocsf has a path")
        return self

    @property
    def has_secret(self) -> bool:
        """Whether a secret is named."""
        return self.secret_file is not None or self.secret_env is not None

    def secret(self, env: Mapping[str, str] = os.environ) -> str | None:
        """The secret, or ``None`` when none is named. Raises :class:`BadSinks`."""
        if self.secret_env is not None:
            found = env.get(self.secret_env, "")
        elif self.secret_file is not None:
            try:
                check_mode(self.secret_file)
                found = self.secret_file.read_text()
            except BadSecretFile as error:
                raise BadSinks(f"sink {self.name}: {error}") from None
            except (OSError, UnicodeDecodeError) as error:
                raise BadSinks(f"sink {self.name}: {self.secret_file}: {type(error).__name__}") from None
        else:
            return None
        if not found.strip():
            raise BadSinks(f"sink {self.name}: its secret is empty ({self.secret_env or self.secret_file})")
        return found.strip()


def load(path: Path | None) -> list[SinkConfig]:
    """The sinks of a file; none without one. Raises :class:`BadSinks`."""
    if path is None:
        return []
    try:
        document = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadSinks(f"{path}: {error}") from None
    tables = document.pop("sink", [])
    if document or not isinstance(tables, list):
        raise BadSinks(f"{path}: it must hold [[sink]] tables and nothing else")
    found = []
    for number, table in enumerate(tables, 1):
        try:
            found.append(SinkConfig.model_validate(table))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise BadSinks(f"{path}: sink {number}{': ' + where if where else ''}: {first['msg']}") from None
    names = [each.name for each in found]
    if len(set(names)) < len(names):
        raise BadSinks(f"{path}: two sinks have one name")
    return found
