"""Shared state of the clients of a soak: the server, random numbers, counts, and connections."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from benchmarks.soak_actions import bad_text
from benchmarks.soak_tally import Tally
from benchmarks.studio_client import Block, Message, StudioClient
from benchmarks.studio_server import StudioServer

HTTP_SECONDS = 300.0  # exports wait for one another


class SoakContext:
    """One server and its clients.

    Args:
        server: that runs.
        store: folder for the results.
        seed: of the actions.
        pace: seconds between two actions of a client, on average.
    """

    def __init__(self, server: StudioServer, store: Path, seed: int, pace: float):
        self.server, self.store, self.pace = server, store, pace
        self.rng, self.tally = random.Random(seed), Tally()
        self.url = server.url
        self.manifest: Message = httpx.get(f"{self.url}manifest").json()
        model = self.manifest["model"]
        self.rate, self.channels = model["sample_rate"], model["channels"]
        self.http: httpx.AsyncClient

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the connections for requests."""
        async with httpx.AsyncClient(base_url=self.url, timeout=HTTP_SECONDS) as self.http:
            yield

    async def pause(self, factor: float = 1.0) -> None:
        """Wait for `factor` times the pace, on average."""
        await asyncio.sleep(self.rng.expovariate(1 / (factor * self.pace)))

    def client(
        self,
        on_block: Callable[[Block], None] = lambda block: None,
        on_message: Callable[[Message], None] = lambda message: None,
    ) -> StudioClient:
        """A client that is not connected yet."""
        return StudioClient(self.url, self.rate, self.channels, on_block, on_message)

    @asynccontextmanager
    async def guest(self, query: str = "") -> AsyncIterator[StudioClient]:
        """A client that leaves at the end, or breaks off.

        Raises:
            ConnectionError: the server has closed it.
        """
        client = self.client()
        try:
            await client.open(query=query)
            yield client
        finally:
            await self.rng.choice([client.close, client.abort])()

    async def send_bad(self, client: StudioClient) -> None:
        """Send a bad message, which must be answered with an error.

        Raises:
            ConnectionError: the server has closed the client, after too many of them.
        """
        text, seq = bad_text(self.rng, self.manifest)
        self.tally.act("bad message")
        try:
            answer = await client.exchange(text, seq)
        except TimeoutError:
            self.tally.fault(f"no error for: {str(text)[:200]}")
        else:
            if answer["type"] != "error":
                self.tally.fault(f"accepted: {str(text)[:200]}")

    async def request(
        self, kind: str, expected: tuple[int, ...], method: str, path: str, **more: Any
    ) -> httpx.Response | None:
        """Make a request.

        Args:
            kind: for the counts.
            expected: status codes; another one is a fault.
            method, path, more: of the request.

        Returns:
            The answer; None where there was none, which is a fault.
        """
        self.tally.act(kind)
        try:
            answer = await self.http.request(method, path, **more)
        except httpx.HTTPError as error:
            self.tally.fault(f"{kind} {path}: {type(error).__name__} {error}")
            return None
        if answer.status_code not in expected:
            self.tally.fault(f"{kind} {path}: {answer.status_code} {answer.text[:200]}")
        return answer
