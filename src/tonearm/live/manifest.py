"""Manifest: the knobs, settings and commands of a session, from which every client builds itself.

The quality tick of a sign is the largest effect before any cost passes its limit; it is hollow where
the interval of the effect there includes 0 (build_manifest.py).
"""

from typing import Any, Literal

from tonearm.errors import TonearmError
from tonearm.schema import FrozenModel

SCHEMA_VERSION: Literal[1] = 1


class ResponseView(FrozenModel):
    """One point of the response of a sign: amount, effect in the knob's unit, its interval."""

    amount: float
    effect: float
    low: float
    high: float


class SignView(FrozenModel):
    """One direction of a knob.

    word      its anchor, such as "bright"
    passes    whether it has amounts
    reason    of a failure; empty where it passes
    limit     effect at the end of the range, in the knob's unit; an amount for a knob without one
    tick      effect of the quality tick; None where it has none
    hollow    whether the effect at the tick is uncertain
    costs     at the end of the range, in words
    response  effect over amounts; empty without a table
    """

    word: str
    passes: bool
    reason: str = ""
    limit: float = 0.0
    tick: float | None = None
    hollow: bool = False
    costs: str = ""
    response: tuple[ResponseView, ...] = ()


class Knob(FrozenModel):
    """A calibrated vector.

    name      of the vector
    target    of its control
    unit      of its values; empty for amounts
    decimals  that are shown
    measure   whose change the values are
    positive  towards higher values
    negative  towards lower values
    """

    name: str
    target: str
    unit: str
    decimals: int
    measure: str
    positive: SignView
    negative: SignView


class Setting(FrozenModel):
    """A setting that is no knob."""

    target: str
    label: str
    low: float
    high: float
    step: float
    default: float
    guided: bool = False  # needs a performance that started with guidance


class CommandView(FrozenModel):
    """A command: its name, a sentence, and the JSON schema of its fields."""

    name: str
    summary: str
    fields: dict[str, Any]


class ModelView(FrozenModel):
    """Numbers of the checkpoint that clients need."""

    name: str
    fingerprint: str
    licence: str
    sample_rate: int
    channels: int
    frame_rate: int
    layer_count: int
    sites: tuple[str, ...]
    window_seconds: float
    takes_melody: bool


class Vector(FrozenModel):
    """A vector of the library, for research: with or without a calibration."""

    name: str
    site: str
    layers: tuple[int, ...]
    best_layer: int | None
    words: tuple[str, str]


class Manifest(FrozenModel):
    """All that a client needs to build itself.

    lookahead      seconds between a change and the newest sample, at most, of a stream without
                   rewinds
    lead           lowest, highest and first value of the lead, in seconds
    tick_protocol  of the quality ticks, in words
    page_seconds   of a take that can be exported as a page, at most
    """

    schema_version: Literal[1] = SCHEMA_VERSION
    version: str
    model: ModelView
    lookahead: float
    lead: tuple[float, float, float]
    knobs: tuple[Knob, ...]
    settings: tuple[Setting, ...]
    commands: tuple[CommandView, ...]
    vectors: tuple[Vector, ...]
    operators: tuple[str, ...]
    tick_protocol: str
    page_seconds: float

    def knob(self, name: str) -> Knob:
        """The knob of this name.

        Raises:
            TonearmError: there is none.
        """
        for knob in self.knobs:
            if knob.name == name:
                return knob
        names = ", ".join(knob.name for knob in self.knobs) or "none"
        raise TonearmError(f"there is no knob {name!r}; the knobs are {names}")
