"""Connection: one WebSocket client of the session."""

import asyncio
import json
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from fastapi import WebSocket, WebSocketDisconnect

from tonearm.errors import TonearmError
from tonearm.live import Applied, AudioBlock, Event, Session
from tonearm.live.commands import command_of
from tonearm.live.state import SessionState
from tonearm.steering.controls import Control
from tonearm.studio import messages
from tonearm.studio.messages import BadMessage
from tonearm.studio.pacing import PlayheadLimit

MAX_QUEUED = 1000  # messages that wait for a slow client
MAX_AUDIO_QUEUED = 200  # of those, blocks of audio; the oldest are dropped
RATE = 1000.0  # messages per second that a client may send; eight knobs of a page send 400
BURST = 4000.0
MAX_FAULTS = 50  # bad messages before the connection is closed
OVERFLOW, POLICY = 1013, 1008  # codes of a close


class Connection:
    """Answers one client, and sends it all events.

    Args:
        session: that it plays.
        socket: accepted.
        name: of the client, in echoes of its controls.
        report: called with a client's ReportMessage.
    """

    def __init__(
        self,
        session: Session,
        socket: WebSocket,
        name: str,
        report: Callable[[messages.ReportMessage], None],
    ):
        self.name = name
        self._session, self._socket, self._report = session, socket, report
        self._loop = asyncio.get_running_loop()
        self._queue: deque[str | bytes] = deque()
        self._audio_queued = self._sent_until = self._run = 0
        self._playheads = PlayheadLimit(session.sample_rate)
        self._waiting = asyncio.Event()
        self._overflowed = False
        self._tokens, self._refilled = BURST, time.monotonic()

    async def serve(self, session: str, run: int, after: int) -> None:
        """Serve the client until it leaves.

        Args:
            session: that the client had, when it connects again; empty for a new client.
            run: of the audio that it has.
            after: position up to which it has audio of that run.
        """
        end = self._session.subscribe(self._receive_event)
        sender = None
        try:
            state = await self._state()
            resumes = session == self._session.id and run == state.run
            head = self._session.head
            if resumes:  # it may play what it was sent before
                self._playheads.sent(run, head, after)
            self._greet(state, after if resumes else head)
            sender = asyncio.create_task(self._send_all())
            await self._read_all()
        except (WebSocketDisconnect, TonearmError):
            pass
        finally:
            end()
            if sender is not None:
                sender.cancel()

    async def _state(self) -> SessionState:
        """The state now; the last one of a session that starts or has ended, and answers nothing."""
        if self._session.status == "starting":
            return self._session.state
        try:
            return await asyncio.wrap_future(self._session.snapshot())
        except TonearmError:
            return self._session.state

    def _greet(self, state: SessionState, after: int) -> None:
        """Queue the state, then the events since the snapshot, then the audio after a position.

        The rest of a run that has ended is left out.
        """
        texts = [item for item in self._queue if isinstance(item, str)]
        self._queue.clear()
        self._audio_queued = self._sent_until = self._run = 0
        self._put(messages.hello_message(self.name, self._session.id, state))
        self._queue.extend(texts)
        for block in self._session.recent_after(after):  # it holds those that were queued
            if state.status == "playing" or block.run != state.run:
                self._put_audio(block)

    async def _read_all(self) -> None:
        faults = 0
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            try:
                if text is None or len(text) > messages.MAX_TEXT:
                    raise BadMessage("send text messages of at most 64 KiB", None)
                content = messages.read_message(text)
                self._spend(getattr(content, "seq", None))
                self._handle(content)
            except BadMessage as error:
                faults += 1
                self._put(messages.error_message(str(error), error.seq))
                if faults > MAX_FAULTS:
                    await self._socket.close(POLICY, "too many bad messages")
                    return

    def _spend(self, seq: int | None) -> None:
        """Count a message. Raises BadMessage where there were too many within a short time."""
        now = time.monotonic()
        self._tokens = min(BURST, self._tokens + RATE * (now - self._refilled))
        self._refilled = now
        if self._tokens < 1:
            raise BadMessage(f"more than {RATE:g} messages a second; send fewer", seq)
        self._tokens -= 1

    def _handle(self, message: Any) -> None:
        match message:
            case messages.PlayheadMessage(sample=sample):
                self._session.playhead(self._playheads.limited(sample))
            case messages.ReportMessage():
                self._report(message)
            case messages.ControlMessage(seq=seq, target=target, value=value):
                try:
                    control = Control(target=target, value=value)
                except TonearmError as error:
                    raise BadMessage(str(error), seq) from None
                self._answer(self._session.apply(control, self.name), seq)
            case messages.CommandMessage(seq=seq):
                try:
                    command = command_of(message.content)
                except TonearmError as error:
                    raise BadMessage(str(error), seq) from None
                self._answer(self._session.command(command), seq)

    def _answer(self, answer: "Future[Any]", seq: int) -> None:
        """Send the result of a call, whenever it comes."""

        def put(done: "Future[Any]") -> None:
            error = done.exception()
            if error is not None:
                message = messages.error_message(str(error), seq)
            elif isinstance(done.result(), Applied):
                message = messages.applied_message(done.result(), seq)
            else:
                message = messages.done_message(seq)
            self._soon(self._put, message)

        answer.add_done_callback(put)

    def _receive_event(self, event: Event) -> None:
        """Queue an event of the session; called in its threads."""
        if isinstance(event, AudioBlock):
            self._soon(self._put_audio, event)
        elif not (isinstance(event, Applied) and event.origin == self.name):  # has its own answer
            self._soon(self._put, messages.event_message(event))

    def _soon(self, call: Callable[[Any], None], argument: object) -> None:
        with suppress(RuntimeError):  # the server ended, and its loop with it
            self._loop.call_soon_threadsafe(call, argument)

    def _put_audio(self, block: AudioBlock) -> None:
        if block.run == self._run and block.stop <= self._sent_until:
            return  # was queued when the client came
        self._run, self._sent_until = block.run, block.stop
        self._playheads.sent(block.run, block.first, block.stop)
        if self._audio_queued >= MAX_AUDIO_QUEUED:
            self._drop_audio()
        self._audio_queued += 1
        self._append(messages.audio_message(block))

    def _drop_audio(self) -> None:
        oldest = next(item for item in self._queue if isinstance(item, bytes))
        self._queue.remove(oldest)
        self._audio_queued -= 1

    def _put(self, message: dict[str, Any]) -> None:
        self._append(json.dumps(message, allow_nan=False))

    def _append(self, item: str | bytes) -> None:
        if len(self._queue) >= MAX_QUEUED:
            self._overflowed = True
        else:
            self._queue.append(item)
        self._waiting.set()

    async def _send_all(self) -> None:
        while not self._overflowed:
            await self._waiting.wait()
            self._waiting.clear()
            while self._queue and not self._overflowed:
                item = self._queue.popleft()
                try:
                    if isinstance(item, bytes):
                        self._audio_queued -= 1
                        await self._socket.send_bytes(item)
                    else:
                        await self._socket.send_text(item)
                    await asyncio.sleep(0)  # the end of the connection is noticed between two items
                except (RuntimeError, WebSocketDisconnect):  # it has left
                    return
        with suppress(RuntimeError):  # it has left
            await self._socket.close(OVERFLOW, "the client reads too slowly; connect again")
