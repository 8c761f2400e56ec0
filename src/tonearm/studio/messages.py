"""Messages of the WebSocket, version PROTOCOL; docs/studio.md describes them.

Text messages are JSON objects with a `type`. Binary ones, from the server alone, are blocks of
audio: a header of 16 bytes, little endian (b"TNA1", uint32 run, uint64 first sample), then float32
samples [2 C, m]: the C channels of the steered stream, then those of the plain one.
"""

import json
import struct
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from tonearm.errors import TonearmError
from tonearm.live import (
    Applied,
    AudioBlock,
    Event,
    Meters,
    Notice,
    PromptApplied,
    StateChanged,
)
from tonearm.live.state import SessionState
from tonearm.schema import FrozenModel, first_fault

PROTOCOL = 1
MAGIC = b"TNA1"
HEADER = struct.Struct("<4sIQ")
MAX_TEXT = 64 * 1024  # bytes of a message from a client
Number = Annotated[int, Field(ge=0, lt=2**53)]  # those that JavaScript holds exactly
Finite = Annotated[float, Field(allow_inf_nan=False)]


class ControlMessage(FrozenModel):
    """Set a target; `seq` comes back in the answer."""

    type: Literal["control"]
    seq: Number
    target: Annotated[str, Field(max_length=300)]
    value: Finite


class CommandMessage(BaseModel):
    """Carry out a command; its fields stand beside `seq` and `name`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: Literal["command"]
    seq: Number
    name: str

    @property
    def content(self) -> dict[str, Any]:
        """The command as plain data."""
        return {"name": self.name, **(self.model_extra or {})}


class PlayheadMessage(FrozenModel):
    """Position that the client plays, which grants further samples."""

    type: Literal["playhead"]
    sample: Number


class ReportMessage(FrozenModel):
    """Counters of the client's audio, for controllers that show them."""

    type: Literal["report"]
    buffer_ms: Annotated[float, Field(ge=0, le=1e6)]
    underruns: Number


ClientMessage = Annotated[
    ControlMessage | CommandMessage | PlayheadMessage | ReportMessage, Field(discriminator="type")
]
_ADAPTER: TypeAdapter[Any] = TypeAdapter(ClientMessage)


class BadMessage(TonearmError):
    """A message that cannot be read; `seq` is its number, where it has one."""

    def __init__(self, text: str, seq: int | None):
        super().__init__(text)
        self.seq = seq


def read_message(text: str) -> Any:
    """Validate a text message of a client.

    Raises:
        BadMessage: not JSON, an unknown type, or the first fault of a field.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        raise BadMessage("the message is not JSON; send an object with a type", None) from None
    seq = content.get("seq") if isinstance(content, dict) else None
    known = seq if isinstance(seq, int) and not isinstance(seq, bool) else None
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        place, reason = first_fault(error)
        raise BadMessage(f"message: {place + ': ' if place else ''}{reason}", known) from None


def audio_message(block: AudioBlock) -> bytes:
    """The binary message of a block."""
    samples = np.concatenate([block.steered, block.plain]).astype("<f4")
    return HEADER.pack(MAGIC, block.run, block.first) + samples.tobytes()


def hello_message(client: str, session: str, state: SessionState) -> dict[str, Any]:
    """The first message to a client."""
    return {
        "type": "hello",
        "protocol": PROTOCOL,
        "session": session,
        "client": client,
        "state": state.model_dump(mode="json"),
    }


def applied_message(applied: Applied, seq: int | None = None) -> dict[str, Any]:
    """A control that took effect; `seq` is that of the client's own message."""
    return {"type": "applied", "seq": seq, **vars(applied)}


def error_message(text: str, seq: int | None) -> dict[str, Any]:
    """A message that was refused, with its reason."""
    return {"type": "error", "seq": seq, "message": text}


def done_message(seq: int) -> dict[str, Any]:
    """A command that was carried out."""
    return {"type": "done", "seq": seq}


def event_message(event: Event) -> dict[str, Any]:
    """The text message of an event other than audio."""
    match event:
        case Applied():
            return applied_message(event)
        case PromptApplied():
            return {"type": "prompt", **vars(event)}
        case StateChanged(state=state):
            return {"type": "state", "state": state.model_dump(mode="json")}
        case Notice(text=text, level=level):
            return {"type": "notice", "level": level, "message": text}
        case Meters(sample=sample, seconds=seconds, steered=steered, plain=plain):
            return {
                "type": "meters",
                "sample": sample,
                "seconds": seconds,
                "steered": vars(steered),
                "plain": vars(plain),
            }
    raise AssertionError(f"{type(event).__name__} is no text message")
