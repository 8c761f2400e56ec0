"""Requests of a soak beside the WebSocket: uploads, exports, files of the page, and OSC packets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from random import Random

import httpx

from benchmarks.soak_actions import bad_datagram, bad_upload, good_datagram, good_upload
from benchmarks.soak_audio import unpack
from benchmarks.soak_context import SoakContext
from benchmarks.soak_monitor import Monitor

FILES = ("wav", "flac")  # exports that can be replayed
# factors of the pace; few takes are exported, since each is replayed at the end
UPLOADS, EXPORTS, PAGES, PACKETS = 12, 60, 4, 1
HUGE = 33 * 2**20  # bytes, beyond the limit of uploads
NO_EXPORTS = (
    "export/0/wav.zip",
    "export/999999/flac.zip",
    "export/-1/page.zip",
    "export/x/wav.zip",
    f"export/{10**30}/wav.zip",
    "export/1/exe.zip",
)
PATHS = ("", "static/app.js", "manifest", "oscquery", "oscquery?HOST_INFO", "oscquery/tonearm")
NO_PATHS = (
    "static/../app.py",
    "static/%2e%2e/x",
    "nothing",
    "oscquery/nothing",
    "docs",
    "%00",
)


class Requests:
    """Loops of requests; each runs until it is cancelled.

    Args:
        context: of the soak.
        monitor: whose takes are exported.
    """

    def __init__(self, context: SoakContext, monitor: Monitor):
        self._context, self._rng, self._monitor = context, context.rng, monitor

    async def upload(self) -> None:
        """Good, bad and interrupted uploads."""
        while True:
            await self._context.pause(UPLOADS)
            role = self._rng.choice(["continue_from", "continue_from", "melody"])
            kind = self._rng.random()
            if kind < 0.4:
                await self._post("upload", role, await self._made(good_upload))
            elif kind < 0.5:
                await self._context.request("no melody", (200, 422), "DELETE", "uploads/melody")
            elif kind < 0.6:
                await self._break_off(role)
            elif kind < 0.62:
                await self._post("huge upload", role, bytes(HUGE), (422,))
            else:
                await self._post("bad upload", role, await self._made(bad_upload))

    async def _made(self, make: Callable[[Random], bytes]) -> bytes:
        """Make an upload in another thread, so that the clients that play are not late."""
        return await asyncio.to_thread(make, self._rng)

    async def _post(
        self, kind: str, role: str, content: bytes, expected: tuple[int, ...] = (200, 422)
    ) -> None:
        await self._context.request(kind, expected, "POST", f"uploads/{role}", content=content)

    async def _break_off(self, role: str) -> None:
        self._context.tally.act("upload that breaks off")
        content = await self._made(good_upload)

        async def chunks() -> AsyncIterator[bytes]:
            yield content[:1000]
            await asyncio.sleep(0.2)
            raise ConnectionAbortedError

        with suppress(ConnectionAbortedError, httpx.HTTPError):
            await self._context.http.post(f"uploads/{role}", content=chunks())

    async def export(self) -> None:
        """Exports of takes during playback, and of takes that do not exist."""
        while True:
            await self._context.pause(EXPORTS)
            if self._rng.random() < 0.15:
                await self._context.request(
                    "no export", (422,), "GET", self._rng.choice(NO_EXPORTS)
                )
            else:
                await self.export_one()

    async def export_one(self) -> None:
        """Export one of the takes that are ready, if there is any."""
        takes = self._monitor.client.state["takes"]
        ready = [take["number"] for take in takes if take["ready"]]
        if not ready:
            return
        number, kind = self._rng.choice(ready), self._rng.choice([*FILES, "page"])
        path = f"export/{number}/{kind}.zip"
        answer = await self._context.request(f"export {kind}", (200, 422), "GET", path)
        if answer is None:
            return
        if answer.status_code != 200:
            self._context.tally.refused(answer.json()["message"])
        elif kind in FILES:
            self._monitor.exported.add(number)
            folder = self._context.store / "takes" / str(number)
            await asyncio.to_thread(unpack, answer.content, folder)

    async def browse(self) -> None:
        """The files of the page, the manifest, OSCQuery, and paths that do not exist."""
        while True:
            await self._context.pause(PAGES)
            await self._context.request("page", (200,), "GET", self._rng.choice(PATHS))
            await self._context.request("no page", (404, 422), "GET", self._rng.choice(NO_PATHS))

    async def send_packets(self) -> None:
        """OSC packets, good and bad, whose replies are read and discarded."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.bind(("127.0.0.1", 0))
            one.setblocking(False)
            address = ("127.0.0.1", self._context.server.osc_port)
            while True:
                await self._context.pause(PACKETS)
                is_good = self._rng.random() < 0.5
                self._context.tally.act("OSC" if is_good else "bad OSC")
                if is_good:
                    content = good_datagram(self._rng, self._context.manifest)
                else:
                    content = bad_datagram(self._rng)
                with suppress(OSError):  # longer than a datagram
                    one.sendto(content, address)
                with suppress(BlockingIOError):
                    while True:
                        one.recv(65_536)
