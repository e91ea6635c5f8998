"""A slow or cut line between clients and the broker: a relay on loopback that holds back what goes through it."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

#: The most that is taken in at once, in bytes; what waits beyond it waits with its sender.
_TAKEN_AT_ONCE = 64 * 1024


class Link:
    """Relays connections from ``port`` to ``to`` on 127.0.0.1, in a thread, until :meth:`stop`.

    ``delay`` is for how many seconds what is sent is on its way, in each direction; ``rate`` how many bytes a second go through a
    connection, in each direction; ``None``: as many as there are. Both may be changed at any time. Delayed answers are not
    out of order, and nothing is lost but when :meth:`cut` ends the connections.
    """

    def __init__(self, port: int, to: int) -> None:
        """Raises ``OSError`` when the port is taken."""
        self.port = port
        self.delay = 0.0
        self.rate: float | None = None
        self._to = to
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True, name="link")
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", port)).result()

    def _do(self, what: object) -> Future:  # type: ignore[type-arg]
        return asyncio.run_coroutine_threadsafe(what, self._loop)  # type: ignore[arg-type]

    def cut(self) -> int:
        """End all connections, as a firewall does that forgets them; how many there were. New ones may come at once."""
        return int(self._do(self._cut()).result())

    def stop(self) -> None:
        """Take no more connections and end those there are."""
        self._do(self._close()).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _cut(self) -> int:
        ends = list(self._open)
        for end in ends:
            end.transport.abort()
        # Each connection has two ends here: the client's and the broker's.
        return len(ends) // 2

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        here = None
        try:
            there, here = await asyncio.open_connection("127.0.0.1", self._to)
            self._open |= {writer, here}
            async with asyncio.TaskGroup() as both:
                both.create_task(self._relay(reader, here))
                both.create_task(self._relay(there, writer))
        except* OSError:
            pass  # the broker is away, or one side has gone: so does the other
        finally:
            for end in (writer, here):
                if end is not None:
                    self._open.discard(end)
                    end.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._send(sent, writer))
            while data := await reader.read(_TAKEN_AT_ONCE):
                await sent.put((self._loop.time() + self.delay, data))
            await sent.put((0.0, b""))

    async def _send(self, sent: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            due, data = await sent.get()
            if not data:
                break
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if self.rate is not None:
                await asyncio.sleep(len(data) / self.rate)
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
