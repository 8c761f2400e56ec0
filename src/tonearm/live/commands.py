"""Commands of a session, one schema per command; clients find them in the manifest."""

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from tonearm.errors import TonearmError
from tonearm.live.state import Listening
from tonearm.schema import FrozenModel, first_fault
from tonearm.steering.spec import Steer
from tonearm.text import quoted

MAX_PROMPT = 1000  # characters
MAX_KNOBS = 8  # of the desk: as many as keys and controllers turn
MAX_RESEARCH_STEERS = 8
MIN_LEAD, MAX_LEAD = 0.1, 3.0  # seconds
MAX_LOOP_BARS = 8

Prompt = Annotated[str, Field(min_length=1, max_length=MAX_PROMPT)]
Seed = Annotated[int, Field(ge=0, lt=2**31)]


class Play(FrozenModel):
    """Start a new performance; one that plays ends and becomes a take.

    With `after`, the number of the last performance that the client knows, a performance with a
    higher number that is playing continues, and no new one starts.
    """

    name: Literal["play"] = "play"
    after: int | None = Field(default=None, ge=0)


class Stop(FrozenModel):
    """End the performance, which becomes a take."""

    name: Literal["stop"] = "stop"


class SetPrompt(FrozenModel):
    """Continue with another prompt, without a gap; while stopped, set it for the next start."""

    name: Literal["prompt"] = "prompt"
    text: Prompt


class SetSeed(FrozenModel):
    """Set the seed of the next performance: a number, or null for a random one; `locked` keeps it
    for all later ones.
    """

    name: Literal["seed"] = "seed"
    seed: Seed | None = None
    locked: bool = False


class Fork(FrozenModel):
    """Continue the music as a new performance, with the next seed and the knobs chosen for it."""

    name: Literal["fork"] = "fork"
    seed: Seed | None = None


class Loop(FrozenModel):
    """Repeat the last bars until `bars` is 0; controls wait until the loop ends."""

    name: Literal["loop"] = "loop"
    bars: int = Field(ge=0, le=MAX_LOOP_BARS)


class Record(FrozenModel):
    """Begin or end a recorded section, which the export holds as a file of its own."""

    name: Literal["record"] = "record"
    on: bool


class Listen(FrozenModel):
    """Play the steered or the plain stream."""

    name: Literal["ab"] = "ab"
    to: Listening


class SetLead(FrozenModel):
    """Set the lead, in seconds between the play head and the newest sample: a shorter lead lowers
    the latency, a longer lead reduces underruns.
    """

    name: Literal["lead"] = "lead"
    seconds: float = Field(ge=MIN_LEAD, le=MAX_LEAD)


class SetDesk(FrozenModel):
    """Choose the knobs of the next performance or fork."""

    name: Literal["desk"] = "desk"
    knobs: tuple[str, ...] = Field(max_length=MAX_KNOBS)


class Research(FrozenModel):
    """Set additional steers of the next performance or fork, with strengths and schedules."""

    name: Literal["research"] = "research"
    steers: tuple[Steer, ...] = Field(max_length=MAX_RESEARCH_STEERS)


Command = Annotated[
    Play
    | Stop
    | SetPrompt
    | SetSeed
    | Fork
    | Loop
    | Record
    | Listen
    | SetLead
    | SetDesk
    | Research,
    Field(discriminator="name"),
]
COMMANDS: tuple[type[FrozenModel], ...] = (
    Play,
    Stop,
    SetPrompt,
    SetSeed,
    Fork,
    Loop,
    Record,
    Listen,
    SetLead,
    SetDesk,
    Research,
)
_ADAPTER: TypeAdapter[Any] = TypeAdapter(Command)


def command_of(content: object) -> Any:
    """Validate a command from plain data.

    Raises:
        TonearmError: an unknown command, or a field with its first fault.
    """
    names = [command.model_fields["name"].default for command in COMMANDS]
    if not isinstance(content, dict) or content.get("name") not in names:
        given = content.get("name") if isinstance(content, dict) else content
        raise TonearmError(f"command {quoted(given)} is unknown; use one of {', '.join(names)}")
    try:
        return _ADAPTER.validate_python(content)
    except ValidationError as error:
        place, reason = first_fault(error, skip=1)
        raise TonearmError(f"command {content['name']}: {place}: {reason}") from None
