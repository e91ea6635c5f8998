"""What a worker does about the rules in its folder: it brings them to all workers, through ``lookup.rules.v1``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from monitor.metrics import Metrics
from monitor.reference import Reference
from monitor.rules import load_texts
from monitor.rules.load import version_of
from monitor.rules.signature import BadSignature, signed_by
from monitor.settings import Settings
from monitor.signing import PublicKeys
from monitor.stream.batches import Out
from monitor.stream.folder import RuleFolder
from monitor.stream.packs import PackFeed
from monitor.stream.versions import Files, pack_records, switch_records

log = structlog.get_logger(__name__)


class Deployment:
    """The folder of rules of one worker."""

    def __init__(
        self,
        settings: Settings,
        metrics: Metrics,
        packs: PackFeed,
        reference: Reference,
        write: Callable[[list[Out]], Awaitable[Any]],
        keys: PublicKeys | None = None,
    ) -> None:
        """``write`` returns when Kafka has the records. With ``keys``, one of them must have signed what is in the folder."""
        self._partitions = settings.partitions
        self._folder = RuleFolder(settings.rules)
        self._metrics = metrics
        self._packs = packs
        self._reference = reference
        self._write = write
        self._keys = keys

    async def at_start(self) -> str:
        """The first worker of all brings the rules of its folder; a later one only those that were never deployed.

        A worker that comes back after `monitor rules deploy` still has the folder of before: it must not undo what was decided.
        Returns the version at work. Raises :class:`BadSignature` when there is none, and the folder's is not signed as it must be.
        """
        files = self._folder.read()
        version = version_of(files)
        if self._packs.current is None:
            self._check(files)
            await self._deploy(files, is_first=True)
        elif not self._packs.has(version):
            await self._offer(files)
        elif version != self._packs.current:
            log.warning(
                "the folder has an earlier version of the rules; `monitor rules deploy` returns to it",
                folder=version,
                version=self._packs.current,
            )
        return self._packs.current or version

    async def look(self) -> None:
        """Rules that were changed in the folder are deployed; a pack with a flaw is refused, and what runs goes on."""
        if self._folder.has_changed():
            files = self._folder.read()
            if version_of(files) != self._packs.current:
                await self._offer(files)

    async def _offer(self, files: Files) -> None:
        try:
            self._check(files)
        except BadSignature as error:
            self._metrics.rules_refused.inc()
            log.error("rules refused; those that run stay", why=str(error))
            return
        problems = load_texts(files, self._reference.lists).problems
        self._metrics.rule_problems.set(len(problems))
        if problems:
            self._metrics.rules_refused.inc()
            log.error("rules refused; those that run stay", problems=len(problems), first=str(problems[0]))
            return
        await self._deploy(files, is_first=False)

    def _check(self, files: Files) -> None:
        if self._keys is not None:
            signed_by(files, self._folder.signatures(), self._keys)

    async def _deploy(self, files: Files, is_first: bool) -> None:
        version, pack = pack_records(files, self._folder.signatures())
        await self._write(pack)
        switch = switch_records(version, self._partitions)
        # Nothing has been read before the first version, so it needs no place in the log from which it counts.
        await self._write(switch[:1] if is_first else switch)
        await self._packs.ensure(version)
