"""A wire to a PostgreSQL server of the tests that breaks in the middle of what is said, and is gone for a while."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

# A connection carries so many bytes before all are cut; a transaction of ours takes about 3,000.
_BYTES = (500, 30_000)
_GONE_S = 0.1


class FlakyWire:
    """The way to the Unix socket at path, by a port of this machine.

    ``url`` leads over it; ``cuts`` counts how often it broke.
    """

    def __init__(self, server: str, seed: int) -> None:
        url = sa.make_url(server)
        self.cuts = 0
        self.port = 0
        self._path = f"{url.query['host']}/.s.PGSQL.5432"
        self._database = url.database
        self._random = random.Random(seed)
        self._open: set[asyncio.StreamWriter] = set()
        self._broken = asyncio.Event()
        self._over = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://ansim@127.0.0.1:{self.port}/{self._database}"

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._loop.call_soon_threadsafe(self._broken.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        while not self._over.is_set():
            listener = await asyncio.start_server(self._carry, "127.0.0.1", self.port)
            self.port = listener.sockets[0].getsockname()[1]
            self._ready.set()
            await self._broken.wait()
            listener.close()
            for writer in self._open:
                writer.transport.abort()
            await asyncio.sleep(_GONE_S)
            self._broken.clear()
        pending = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*pending, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._path)
        both = {writer, far_writer}
        self._open |= both
        left = [self._random.randint(*_BYTES)]
        try:
            await asyncio.gather(self._pump(reader, far_writer, left), self._pump(far_reader, writer, left))
        except OSError:
            pass
        finally:
            self._open -= both
            for each in both:
                each.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, left: list[int]) -> None:
        while data := await source.read(65_536):
            left[0] -= len(data)
            if left[0] < 0:
                self.cuts += not self._broken.is_set()
                self._broken.set()
                raise ConnectionResetError
            sink.write(data)
            await sink.drain()
        sink.write_eof()


@contextmanager
def flaky_wire(server: str, seed: int) -> Iterator[FlakyWire]:
    """A FlakyWire to the server at a URL of database_kit."""
    wire = FlakyWire(server, seed)
    wire.start()
    try:
        yield wire
    finally:
        wire.stop()
