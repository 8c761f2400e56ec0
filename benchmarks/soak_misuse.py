"""Misuse of a studio: clients that send nonsense, too much, or read nothing."""

import asyncio
from contextlib import suppress

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from benchmarks.soak_context import SoakContext
from benchmarks.studio_client import StudioClient

LONGEST_SILENCE = 30.0  # seconds for which a client reads nothing


class Misuse:
    """One kind of misuse after the other.

    Args:
        context: of the soak.
        monitor: a client that plays, whose session and run strangers claim to have.
    """

    def __init__(self, context: SoakContext, monitor: StudioClient):
        self._context, self._rng, self._tally = context, context.rng, context.tally
        self._monitor = monitor
        self._kinds = {
            self.only_bad_messages: 6,
            self.flood: 1,
            self.false_play_heads: 2,
            self.reads_nothing: 1,
            self.too_long: 1,
            self.strange_queries: 2,
            self.too_many_clients: 1,
            self.other_sites: 2,
            self.no_http: 1,
        }

    async def run(self) -> None:
        """Misuse the server until this is cancelled."""
        while True:
            await self._context.pause(2)
            (misuse,) = self._rng.choices([*self._kinds], [*self._kinds.values()])
            self._tally.act(misuse.__name__.replace("_", " "))
            with suppress(ConnectionError, WebSocketException, OSError):
                await misuse()

    async def only_bad_messages(self) -> None:
        """More of them than a client may send, at times."""
        async with self._context.guest() as client:
            for _ in range(self._rng.choice([5, 20, 80])):
                await self._context.send_bad(client)

    async def flood(self) -> None:
        """More messages than a client may send at once."""
        async with self._context.guest() as client:
            for _ in range(10_000):
                await client.send({"type": "playhead", "sample": 0})
            await asyncio.sleep(1)

    async def false_play_heads(self) -> None:
        """Play heads at samples that are not there."""
        async with self._context.guest() as client:
            for _ in range(20):
                await client.send({"type": "playhead", "sample": self._rng.randrange(2**53)})
                await asyncio.sleep(0.1)

    async def reads_nothing(self) -> None:
        """A client that hangs."""
        async with self._context.guest() as client:
            client.pause_reading()
            await asyncio.sleep(min(LONGEST_SILENCE, 20 * self._context.pace))

    async def too_long(self) -> None:
        """Messages beyond the limit of the protocol, and beyond that of the server."""
        async with self._context.guest() as client:
            await client.send("x" * self._rng.choice([2**16 + 1, 2**17 + 1, 2**22]))
            await asyncio.sleep(1)

    async def strange_queries(self) -> None:
        """Clients that claim to connect again."""
        session, run = self._monitor.session, self._monitor.head.run
        queries = [
            "session=&run=&after=",
            f"session={session}&run=99999999&after=1",
            f"session={session}&run={run}&after=999999999999999",
            f"session={session}&run={run}&after=0",
            "session=%00&run=-1&after=x",
            "run=1&run=2&after=%F0%9F%8E%B5",
            "session=" + "x" * 3000,
        ]
        async with self._context.guest(self._rng.choice(queries)) as client:
            await asyncio.sleep(1)
            await client.send({"type": "playhead", "sample": client.head.advance()})

    async def too_many_clients(self) -> None:
        """More clients than can be connected."""
        clients = [self._context.client() for _ in range(9)]
        await asyncio.gather(*(one.open() for one in clients), return_exceptions=True)
        await asyncio.sleep(0.5)
        if all(one.connected for one in clients):
            self._tally.fault("nine clients and the monitor were accepted")
        await asyncio.gather(*(one.abort() for one in clients))

    async def other_sites(self) -> None:
        """Requests of another origin, and for another host."""
        headers = self._rng.choice(
            [
                {"origin": "http://evil.example"},
                {"host": "evil.example"},
                {"sec-fetch-site": "cross-site"},
            ]
        )
        await self._context.request("other site", (403, 421), "GET", "manifest", headers=headers)
        address = self._context.url.replace("http", "ws", 1) + "socket"
        async with connect(address, origin="http://evil.example", proxy=None):
            self._tally.fault("a WebSocket of another site was accepted")

    async def no_http(self) -> None:
        """Bytes that are no request."""
        host, port = self._context.url.split("/")[2].split(":")
        _, writer = await asyncio.open_connection(host, int(port))
        writer.write(self._rng.randbytes(200) + b"\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()
