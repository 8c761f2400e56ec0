"""Building of a model's manifest: a calibrated vector becomes a knob, with the quality ticks of its
signs.

The quality tick of a sign is the largest effect before any cost passes its limit (COST_LIMITS).
"""

from collections.abc import Iterable
from typing import Any

from tonearm import __version__
from tonearm.defaults import LIVE_CHUNK, LIVE_LEAD, LIVE_PROMPT
from tonearm.live import commands
from tonearm.live.export import MAX_PAGE_SECONDS
from tonearm.live.manifest import (
    CommandView,
    Knob,
    Manifest,
    ModelView,
    ResponseView,
    Setting,
    SignView,
    Vector,
)
from tonearm.model import Model
from tonearm.steering.calibration import SignCalibration
from tonearm.steering.controls import GUIDANCE, MAX_TEMPERATURE, TEMPERATURE
from tonearm.steering.operators import Operator
from tonearm.steering.response import Response
from tonearm.steering.units import unit_named
from tonearm.steering.vector import SteeringVector

PREFERRED = ("tempo", "brightness", "loudness", "drums")  # on the desk at first
FIRST_KNOBS = 4
MAX_LIVE_GUIDANCE = 10.0  # end of the slider; the setting itself goes further
# limits at a quality tick: increase of the share of faulty takes, relative loss of pulse clarity,
# loss of the CLAP score
COST_LIMITS = {"fault_gain": 0.05, "pulse_loss": 0.1, "text_loss": 0.03}
TICK_PROTOCOL = (
    "largest effect with at most 5 points more faulty takes, 10 % less pulse clarity and 0.03 less "
    "CLAP score than plain takes; hollow where the 95 % interval of the effect includes 0"
)


def manifest_of(
    model: Model, *, lead: float = LIVE_LEAD, chunk_seconds: float = LIVE_CHUNK
) -> Manifest:
    """The manifest of a model; vectors of its library with a sign that passed become knobs.

    Args:
        model: of the session.
        lead: first value, in seconds.
        chunk_seconds: length of a chunk.

    Raises:
        TonearmError: a model that cannot stream, or a length of chunks that is not possible.
    """
    shape, vectors = model.shape, model.vectors
    found = {name: vectors[name] for name in vectors}
    knobs = {name: knob for name, vector in found.items() if (knob := knob_of(name, vector))}
    return Manifest(
        version=__version__,
        model=ModelView(
            name=shape.public_name,
            fingerprint=shape.fingerprint,
            licence=shape.licence,
            sample_rate=shape.sample_rate,
            channels=shape.channels,
            frame_rate=shape.frame_rate,
            layer_count=shape.layer_count,
            sites=shape.sites,
            window_seconds=shape.window_seconds,
            takes_melody=shape.melody_trained,
        ),
        lookahead=_lookahead(model, chunk_seconds),
        lead=(commands.MIN_LEAD, commands.MAX_LEAD, lead),
        knobs=tuple(knobs[name] for name in _preferred_first(knobs)),
        settings=(
            Setting(
                target=GUIDANCE,
                label="Guidance",
                low=1.0,
                high=MAX_LIVE_GUIDANCE,
                step=0.1,
                default=shape.guidance,
                guided=True,
            ),
            Setting(
                target=TEMPERATURE,
                label="Temperature",
                low=0.0,
                high=min(2.0, MAX_TEMPERATURE),
                step=0.01,
                default=shape.temperature,
            ),
        ),
        commands=tuple(map(_command_view, commands.COMMANDS)),
        vectors=tuple(_vector_view(name, vector) for name, vector in found.items()),
        operators=Operator.__args__,  # type: ignore[attr-defined]
        tick_protocol=TICK_PROTOCOL,
        page_seconds=MAX_PAGE_SECONDS,
    )


def _lookahead(model: Model, chunk_seconds: float) -> float:
    """Seconds from a decoded frame to its last sample, in a stream of the model."""
    stream = model.stream(LIVE_PROMPT, seconds=None, seed=0, chunk_seconds=chunk_seconds, twin=True)
    lookahead = stream.lookahead
    stream.cancel()
    return lookahead


def first_desk(knobs: Iterable[Knob]) -> tuple[str, ...]:
    """Names of the knobs that are on the desk at first."""
    return tuple(knob.name for knob in knobs)[:FIRST_KNOBS]


def knob_of(name: str, vector: SteeringVector) -> Knob | None:
    """The knob of a vector; None unless a sign passed its calibration."""
    calibration = vector.info.calibration
    if calibration is None:
        return None
    signs = {1: calibration.positive, -1: calibration.negative}
    passed = [found for found in signs.values() if found.strength is not None]
    if not passed:
        return None
    responses = [found.response for found in passed if found.response is not None]
    unit = unit_named(responses[0].unit) if responses else None
    words = {1: vector.info.positive_label, -1: vector.info.negative_label}
    views = {sign: _sign_view(words[sign], found, sign) for sign, found in signs.items()}
    rises = not responses or _rises(signs)
    return Knob(
        name=name,
        target=f"{'target' if responses else 'amount'}/{name}",
        unit=unit.name if unit else "",
        decimals=unit.decimals if unit else 2,
        measure=responses[0].measure if responses else "",
        positive=views[1 if rises else -1],
        negative=views[-1 if rises else 1],
    )


def _rises(signs: dict[int, SignCalibration]) -> bool:
    """Whether positive amounts have positive effects."""
    limits = [
        sign * found.response.limit
        for sign, found in signs.items()
        if found.response is not None and found.strength is not None
    ]
    return sum(limits) >= 0


def _sign_view(word: str, found: SignCalibration, sign: int) -> SignView:
    if found.strength is None:
        return SignView(word=word, passes=False, reason=found.failure)
    if found.response is None:
        return SignView(word=word, passes=True, limit=float(sign))
    response, last = found.response, found.response.points[-1]
    tick = quality_tick(response)
    return SignView(
        word=word,
        passes=True,
        limit=response.limit,
        tick=None if tick is None else response.points[tick].effect,
        hollow=tick is not None and response.points[tick].low <= 0 <= response.points[tick].high,
        costs=f"faults {100 * last.fault_gain:+.0f} points, pulse {-last.pulse_loss:+.0%}, "
        f"CLAP {-last.text_loss:+.3f}",
        response=tuple(
            ResponseView(amount=one.amount, effect=one.effect, low=one.low, high=one.high)
            for one in response.points
        ),
    )


def quality_tick(response: Response) -> int | None:
    """Index of the last point before any cost passes its limit; None where it has no effect."""
    last = 0
    for index, point in enumerate(response.points[1:], start=1):
        if any(getattr(point, cost) > limit for cost, limit in COST_LIMITS.items()):
            break
        last = index
    return last if response.points[last].effect else None


def _preferred_first(names: Iterable[str]) -> list[str]:
    """Names in the order of PREFERRED, then as they are."""
    return sorted(
        names, key=lambda name: PREFERRED.index(name) if name in PREFERRED else len(PREFERRED)
    )


def _command_view(command: Any) -> CommandView:
    schema = command.model_json_schema()
    name = command.model_fields["name"].default
    return CommandView(name=name, summary=" ".join(command.__doc__.split()), fields=schema)


def _vector_view(name: str, vector: SteeringVector) -> Vector:
    info = vector.info
    return Vector(
        name=name,
        site=info.site,
        layers=tuple(sorted(vector.directions)),
        best_layer=info.best_layer,
        words=(info.positive_label, info.negative_label),
    )
