"""A client of the studio without a browser: it plays in real time, and counts as the page's worklet.

Conventions: positions are samples of the session's output; times are seconds of `time.monotonic`.
"""

import asyncio
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tonearm.studio.messages import HEADER, MAGIC

PRIME_SECONDS = 0.2  # as static/audio.js
HEAD_PERIOD = 0.02  # between two play heads, as static/worklet.js
STALL = (
    0.1  # seconds without a look at the clock, after which an underrun may be this process's own
)
ANSWER_SECONDS = 120.0  # a loop or a phrase holds controls for some bars
Message = dict[str, Any]


@dataclass(frozen=True)
class Block:
    """A block of audio: run, first position, and samples [2 C, m] of A and then of B."""

    run: int
    first: int
    samples: np.ndarray

    @property
    def stop(self) -> int:
        return self.first + self.samples.shape[1]


@dataclass(frozen=True)
class Underrun:
    """A moment at which nothing was left to play.

    at       seconds
    sample   that was missing
    stalled  whether this process itself was late, so that the block may have been there
    """

    at: float
    sample: int
    stalled: bool


class PlayHead:
    """Plays the samples that have come, as the clock passes.

    It waits for `prime` samples at the start, after an underrun and in a new run; `stop` discards
    the rest of the buffer.

    Args:
        rate: samples per second.
        clock: seconds.
    """

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic):
        self.run = self.position = self.end = 0
        self.underruns: list[Underrun] = []
        self.dropped = 0  # samples of a run that never came
        self.played = 0
        self.prime = round(PRIME_SECONDS * rate)
        self._rate, self._clock = rate, clock
        self._priming, self._stopping = True, False
        self._looked = clock()
        self._remainder = 0.0

    @property
    def playing(self) -> bool:
        return not self._priming

    @property
    def buffered(self) -> int:
        return self.end - self.position

    def set_lead(self, seconds: float) -> None:
        """Wait for two thirds of the lead at most, as the page does."""
        self.prime = round(min(PRIME_SECONDS, seconds * 2 / 3) * self._rate)

    def stop(self) -> None:
        """Play nothing that is left, until the next block."""
        self.advance()
        self._stopping, self._priming, self.position = True, True, self.end

    def receive(self, run: int, first: int, stop: int) -> None:
        """Count a block that has come."""
        self.advance()
        if run < self.run or (run == self.run and stop <= self.end):
            return
        if run != self.run or first != self.end:
            if run == self.run:
                self.dropped += max(0, first - self.end)
            self.run, self.position, self._priming = run, first, True
        self._stopping, self.end = False, stop
        self.advance()

    def advance(self) -> int:
        """Play until now, and return the position."""
        now = self._clock()
        passed, self._looked = now - self._looked, now
        if self._priming:
            if not self._stopping and self.buffered >= self.prime:
                self._priming, self._remainder = False, 0.0
            return self.position
        exact = passed * self._rate + self._remainder
        count, self._remainder = int(exact), exact % 1
        self.played += min(count, self.buffered)
        self.position += count
        if self.position >= self.end:
            self.position = self.end
            self.underruns.append(Underrun(now, self.end, passed > STALL))
            self._priming = True
        return self.position


class StudioClient:
    """One WebSocket, with a play head that is reported 50 times a second.

    Args:
        url: of the page, with a final slash.
        rate: samples per second.
        channels: of each stream.
        on_block: called with every block.
        on_message: called with every text message.
    """

    def __init__(
        self,
        url: str,
        rate: int,
        channels: int,
        on_block: Callable[[Block], None] = lambda block: None,
        on_message: Callable[[Message], None] = lambda message: None,
    ):
        self.state: Message = {}
        self.session, self.name = "", ""
        self.head = PlayHead(rate)
        self.close_code: int | None = None
        self._address = url.replace("http", "ws", 1) + "socket"
        self._rows, self._rate = 2 * channels, rate
        self._on_block, self._on_message = on_block, on_message
        self._socket: ClientConnection | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._answers: dict[int | None, asyncio.Future[Message]] = {}
        self._greeted = asyncio.Event()
        self._seq = 0

    @property
    def connected(self) -> bool:
        return self._socket is not None and self.close_code is None

    async def open(self, resume: bool = False, query: str = "") -> None:
        """Connect, and wait for the state.

        Args:
            resume: after the audio that it has.
            query: of the address, in place of that.

        Raises:
            ConnectionError: the server has closed it.
        """
        if resume:
            query = f"session={self.session}&run={self.head.run}&after={self.head.end}"
        self._greeted.clear()
        self.close_code = None
        self._socket = await connect(
            f"{self._address}?{query}", compression=None, max_size=None, proxy=None
        )
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._play())]
        async with asyncio.timeout(ANSWER_SECONDS):
            await self._greeted.wait()
        if not self.connected:
            raise ConnectionError(f"the server has closed the connection ({self.close_code})")

    async def send(self, message: Message | str | bytes) -> None:
        """Send a message; text and bytes as they are.

        Raises:
            ConnectionError: the connection is closed.
        """
        assert self._socket is not None
        content = json.dumps(message) if isinstance(message, dict) else message
        try:
            await self._socket.send(content)
        except ConnectionClosed as closed:
            raise ConnectionError("the connection is closed") from closed

    async def request(self, message: Message) -> Message:
        """Send a message with the next number, and return its answer: applied, done or error.

        Raises:
            ConnectionError: the connection is closed before.
            TimeoutError: no answer came within ANSWER_SECONDS.
        """
        self._seq += 1
        return await self.exchange({**message, "seq": self._seq}, self._seq)

    async def exchange(self, message: Message | str | bytes, seq: int | None) -> Message:
        """Send a message as it is, and return its answer.

        Args:
            message: to be sent.
            seq: number of the answer; None for an error without a number.

        Raises:
            ConnectionError: the connection is closed before.
            TimeoutError: no answer came within ANSWER_SECONDS.
        """
        answer = asyncio.get_running_loop().create_future()
        self._answers[seq] = answer
        try:
            await self.send(message)
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        finally:
            self._answers.pop(seq, None)

    async def command(self, name: str, **fields: Any) -> Message:
        """Carry out a command."""
        return await self.request({"type": "command", "name": name, **fields})

    async def control(self, target: str, value: float) -> Message:
        """Set a target."""
        return await self.request({"type": "control", "target": target, "value": value})

    async def close(self) -> None:
        """Close the connection, as a page that is left."""
        if self._socket is not None:
            await self._socket.close()
        await self._ended()

    async def abort(self) -> None:
        """Break the connection without a word, as a lost network."""
        if self._socket is not None:
            self._socket.transport.abort()
        await self._ended()

    def pause_reading(self) -> None:
        """Read nothing more from the network, as a page that hangs."""
        assert self._socket is not None
        for task in self._tasks:
            task.cancel()

    async def _ended(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._closed()

    def _closed(self) -> None:
        if self.close_code is None:
            self.close_code = (self._socket and self._socket.close_code) or 1006
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(ConnectionError("the connection was lost"))
        self._greeted.set()

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for message in self._socket:
                if isinstance(message, bytes):
                    self._receive_block(message)
                else:
                    self._receive_text(json.loads(message))
        except ConnectionClosed:
            pass
        self._closed()

    def _receive_block(self, message: bytes) -> None:
        magic, run, first = HEADER.unpack_from(message)
        assert magic == MAGIC, "an unknown binary message"
        samples = np.frombuffer(message, "<f4", offset=HEADER.size).reshape(self._rows, -1)
        block = Block(run, first, samples)
        self.head.receive(run, first, block.stop)
        self._on_block(block)

    def _receive_text(self, message: Message) -> None:
        if message["type"] in ("hello", "state"):
            self._show(message["state"])
        if message["type"] == "hello":
            self.session, self.name = message["session"], message["client"]
            self._greeted.set()
        seq = message.get("seq")
        if seq is not None or message["type"] == "error":
            answer = self._answers.get(seq)
            if answer is not None and not answer.done():
                answer.set_result(message)
        self._on_message(message)

    def _show(self, state: Message) -> None:
        before, self.state = self.state, state
        self.head.set_lead(state["lead"])
        has_stopped = before.get("status") == "playing" and state["status"] != "playing"
        if has_stopped or (before and before["run"] != state["run"]):
            self.head.stop()

    async def _play(self) -> None:
        while True:
            await asyncio.sleep(HEAD_PERIOD)
            with suppress(ConnectionError):
                if self.head.run:
                    await self.send({"type": "playhead", "sample": self.head.advance()})
                if self.head.playing:
                    await self.send(
                        {
                            "type": "report",
                            "buffer_ms": round(1000 * self.head.buffered / self._rate),
                            "underruns": len(self.head.underruns),
                        }
                    )
