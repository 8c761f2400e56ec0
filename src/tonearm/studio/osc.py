"""Open Sound Control over UDP, on the same session and by the same controls as the page.

| address                                  | argument                                            |
|------------------------------------------|-----------------------------------------------------|
| /tonearm/knob/<name>                     | value in the unit of the knob                       |
| /tonearm/strength/<name>                 | raw strength of a vector of the research pane       |
| /tonearm/guidance, /tonearm/temperature  | value                                               |
| /tonearm/ab                              | 0 steered, 1 plain                                  |
| /tonearm/transport/play, stop, fork      | none, or 1; 0 (a button is released) is ignored     |
| /tonearm/transport/record                | 1 begins, 0 ends a recorded section                 |
| /tonearm/loop                            | bars, 0 to end                                      |
| /tonearm/prompt                          | the music in words                                  |
| /tonearm/sync                            | none; answered with all values                      |

Numbers may be integers or floats. Answers and echoes go to the sender and to the port after this
one at the sender's address: the same addresses, /tonearm/status/{rtf,buffer_ms,underruns,applied}
and /tonearm/error. Echoes end where a sender is silent (osc_listeners.py).

Two servers must not answer each other without end, so messages at /tonearm/error and /tonearm/status
are ignored, and so are all from the port before this one: a server there sends its echoes to this one.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import suppress
from ctypes import c_float
from typing import Any, Literal

from pythonosc.osc_message_builder import ArgValue, build_msg

from tonearm.errors import TonearmError
from tonearm.live import Applied, Event, Manifest, Session, StateChanged, commands
from tonearm.live.commands import command_of
from tonearm.live.manifest import Knob
from tonearm.live.state import SessionState
from tonearm.steering.controls import GUIDANCE, TEMPERATURE, Control
from tonearm.studio.messages import ReportMessage
from tonearm.studio.osc_listeners import Address, OscListeners
from tonearm.studio.osc_packets import is_not_of_the_parser, messages_of
from tonearm.text import quoted

ROOT = "/tonearm"
ORIGIN = "osc"
STATUS_SECONDS = 1.0
MAX_MESSAGES = 64  # of a bundle
LAST_PORT = 65_535
BUTTONS = ("play", "stop", "fork")
# prefixes of the addresses whose values are compared between two states
STATE_ADDRESSES = tuple(
    f"{ROOT}/{name}" for name in ("ab", "loop", "prompt", "transport/", "strength/", "knob/")
)


class OscServer(asyncio.DatagramProtocol):
    """Receives datagrams, and sends echoes.

    Args:
        session: started.
        port: at which it listens; answers also go to the next one, if there is one.
        report: the newest counters of a page.
    """

    def __init__(self, session: Session, port: int, report: Callable[[], ReportMessage]):
        self._session, self._port, self._report = session, port, report
        self._listeners = OscListeners()
        self._transport: asyncio.DatagramTransport | None = None
        self._loop = asyncio.get_running_loop()
        self._end: Callable[[], None] | None = None
        self._values: dict[str, Any] | None = None  # that listeners have, by address
        self._status: asyncio.Task[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        logging.getLogger().addFilter(is_not_of_the_parser)
        self._end = self._session.subscribe(self._receive_event)
        self._status = self._loop.create_task(self._send_status())
        self._session.snapshot().add_done_callback(self._remember)

    def connection_lost(self, exc: Exception | None) -> None:
        logging.getLogger().removeFilter(is_not_of_the_parser)
        if self._end is not None:
            self._end()
        if self._status is not None:
            self._status.cancel()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        """Carry out the messages of a datagram, and never wait for them."""
        sender: Address = (addr[0], addr[1])
        if sender[1] == self._port - 1:
            return
        try:
            messages = messages_of(data)
        except TonearmError as error:
            self._send(sender, f"{ROOT}/error", str(error))
            return
        if any(_is_of_a_server(message.address) for message in messages):
            return
        self._listeners.add(sender)
        for message in messages[:MAX_MESSAGES]:
            try:
                self._handle(message.address, list(message.params), sender)
            except TonearmError as error:
                self._send(sender, f"{ROOT}/error", str(error))

    def _handle(self, address: str, arguments: list[Any], sender: Address) -> None:
        call = call_of(address, arguments, self._session.manifest)
        if call == "sync":
            self._answer(self._session.snapshot(), sender, self._send_all)
        elif isinstance(call, Control):
            self._answer(self._session.apply(call, ORIGIN), sender, None)
        elif call is not None:
            self._answer(self._session.command(call), sender, None)

    def _answer(
        self,
        answer: "Future[Any]",
        sender: Address,
        use: Callable[[Any, Address], None] | None,
    ) -> None:
        """Send the error of a call to its sender, or use its result, in the loop."""

        def done(future: "Future[Any]") -> None:
            error = future.exception()
            if error is not None:
                self._soon(self._send, sender, f"{ROOT}/error", str(error))
            elif use is not None:
                self._soon(use, future.result(), sender)

        answer.add_done_callback(done)

    def _send_all(self, state: SessionState, sender: Address) -> None:
        for address, value in values_of(self._session.manifest, state):
            self._send(sender, address, value)

    def _receive_event(self, event: Event) -> None:
        if isinstance(event, Applied):
            self._soon(self._echo, event)
        elif isinstance(event, StateChanged):
            self._soon(self._compare, event.state)

    def _remember(self, snapshot: "Future[SessionState]") -> None:
        """Compare later states with a first one, if there is one."""
        if snapshot.exception() is None:
            self._soon(self._compare, snapshot.result())

    def _compare(self, state: SessionState) -> None:
        """Send the values that have changed, whoever changed them, and those of knobs that are new
        on the desk; other changes of knobs have echoes.
        """
        values = {
            address: value
            for address, value in values_of(self._session.manifest, state)
            if address.startswith(STATE_ADDRESSES)
        }
        before, self._values = self._values, values
        if before is None:
            return
        for address, value in values.items():
            is_echoed = address.startswith(f"{ROOT}/knob/") and address in before
            if before.get(address) != value and not is_echoed:
                for listener in self._listeners.addresses:
                    self._send(listener, address, value)

    def _echo(self, applied: Applied) -> None:
        address = address_of(applied.target)
        for listener in self._listeners.addresses:
            if address is not None:
                self._send(listener, address, float(applied.value))
            if applied.sample is not None:
                status = [applied.target, applied.frame, applied.sample]
                self._send(listener, f"{ROOT}/status/applied", status)

    async def _send_status(self) -> None:
        while True:
            await asyncio.sleep(STATUS_SECONDS)
            if not self._listeners.addresses:
                continue
            try:
                state = await asyncio.wrap_future(self._session.snapshot())
            except TonearmError:  # the session has ended, or too many calls wait
                continue
            report = self._report()
            status = {
                "rtf": float(state.speed or 0.0),
                "buffer_ms": float(report.buffer_ms) if state.status == "playing" else 0.0,
                "underruns": report.underruns,
            }
            for listener in self._listeners.addresses:
                for name, value in status.items():
                    self._send(listener, f"{ROOT}/status/{name}", value)

    def _send(self, listener: Address, address: str, value: ArgValue | list[Any]) -> None:
        """Send to a listener, and to the answering port at its address."""
        if self._transport is None or self._transport.is_closing():
            return
        content, receivers = build_msg(address, value).dgram, [listener]
        if self._port < LAST_PORT:
            receivers.append((listener[0], self._port + 1))
        for receiver in dict.fromkeys(receivers):
            self._transport.sendto(content, receiver)

    def _soon(self, call: Callable[..., None], *arguments: Any) -> None:
        with suppress(RuntimeError):  # the server ended, and its loop with it
            self._loop.call_soon_threadsafe(call, *arguments)


def call_of(
    address: str, arguments: Sequence[Any], manifest: Manifest
) -> Control | Any | Literal["sync"] | None:
    """Control, command, or "sync" of a message; None for a button that is released.

    Raises:
        TonearmError: an unknown address, or an argument of a wrong type.
    """
    parts = address.removeprefix(f"{ROOT}/").split("/")
    match parts if address.startswith(f"{ROOT}/") else []:
        case ["knob", name]:
            knob = manifest.knob(name)
            value = _value_of(knob, _number(address, arguments))
            return Control(target=knob.target, value=value)
        case ["strength", name]:
            return Control.strength(name, _number(address, arguments))
        case ["guidance" | "temperature" as target]:
            return Control(target=target, value=_number(address, arguments))
        case ["ab"]:
            to = "plain" if _number(address, arguments) else "steered"
            return command_of({"name": "ab", "to": to})
        case ["transport", "record"]:
            return commands.Record(on=bool(_number(address, arguments)))
        case ["transport", name] if name in BUTTONS:
            is_pressed = not arguments or _number(address, arguments)
            return command_of({"name": name}) if is_pressed else None
        case ["loop"]:
            return command_of({"name": "loop", "bars": round(_number(address, arguments))})
        case ["prompt"]:
            text = arguments[0] if arguments else None
            return command_of({"name": "prompt", "text": text})
        case ["sync"]:
            return "sync"
    raise TonearmError(f"address {quoted(address)} is unknown; {ROOT}/sync returns all addresses")


def _is_of_a_server(address: str) -> bool:
    return address == f"{ROOT}/error" or address.startswith(f"{ROOT}/status/")


def _number(address: str, arguments: Sequence[Any]) -> float:
    value = arguments[0] if arguments else None
    if not isinstance(value, bool | int | float) or not math.isfinite(value):
        raise TonearmError(f"{address} needs a number (given: {quoted(value)})")
    return float(value)


def _value_of(knob: Knob, value: float) -> float:
    """The value, or the limit of the knob that equals it in the 32 bits of OSC's floats, which may be
    beyond the limit.
    """
    limits = (knob.negative.limit, knob.positive.limit)
    same = (limit for limit in limits if c_float(limit).value == c_float(value).value)
    return next(same, value)


def address_of(target: str) -> str | None:
    """Address of a control's target; None where it has none."""
    setting, _, name = target.partition("/")
    if setting in ("target", "amount") and name:
        return f"{ROOT}/knob/{name}"
    if setting == "strength" and name:
        return f"{ROOT}/strength/{name}"
    return f"{ROOT}/{target}" if target in (GUIDANCE, TEMPERATURE) else None


def values_of(manifest: Manifest, state: SessionState) -> Iterator[tuple[str, Any]]:
    """All addresses with their values."""
    for name in state.knobs:
        yield f"{ROOT}/knob/{name}", float(state.controls.get(manifest.knob(name).target, 0.0))
    for steer in state.research:
        if steer.strength is not None:
            yield f"{ROOT}/strength/{steer.vector}", float(steer.strength)
    for setting in manifest.settings:
        yield f"{ROOT}/{setting.target}", float(state.controls[setting.target])
    yield f"{ROOT}/ab", int(state.listening == "plain")
    yield f"{ROOT}/transport/play", int(state.status == "playing")
    yield f"{ROOT}/transport/record", int(state.recording)
    yield f"{ROOT}/loop", state.loop_bars
    yield f"{ROOT}/prompt", state.prompt
    yield f"{ROOT}/status/rtf", float(state.speed or 0.0)
