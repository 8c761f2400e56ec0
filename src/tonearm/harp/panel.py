"""Panel: the controls of a model, from its manifest, and the request that their values specify."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tonearm.defaults import LIVE_PROMPT
from tonearm.errors import TonearmError
from tonearm.harp.controls import Control, Dropdown, LabelTrack, Slider, TextBox, Toggle, Track
from tonearm.live.commands import MAX_KNOBS, MAX_PROMPT
from tonearm.live.manifest import Knob, Manifest, SignView
from tonearm.text import quoted

MAX_SECONDS = 60.0  # of new music
DEFAULT_SECONDS = 10.0  # without a selection
MAX_SEED = 2**31 - 1
MAX_SEED_TEXT = 20  # characters
CONTINUE, MELODY = "continue it", "keep its melody"
USE, PROMPT, SECONDS, SEED, MEASURED = "use", "prompt", "seconds", "seed", "measured"
SELECTION = Track(
    "Selection",
    f"Audio that is continued, or whose melody is kept; without a selection, {DEFAULT_SECONDS:g} s of "
    "music are generated from the prompt alone.",
)
OUTPUTS = (
    Track("Take", "The generated take; its sidecar is in the folder that the server printed."),
    LabelTrack("Labels", "Where the new music begins, and the measurements."),
)


@dataclass(frozen=True)
class HarpRequest:
    """A request for a take.

    keeps_melody  the melody of the selection is kept, with a new sound; otherwise it is continued
    prompt        the music in words
    values        of knobs and settings, by target; a knob at 0 is off
    seconds       of new music; 0 for the length of the selection
    seed          None for a random one
    is_measured   a plain twin is generated too, and the change by each knob is measured
    """

    keeps_melody: bool
    prompt: str
    values: Mapping[str, float]
    seconds: float
    seed: int | None
    is_measured: bool


class Panel:
    """The controls of a model.

    Args:
        manifest: of the model.
        knobs: names of its knobs that become sliders; default: the first ones.

    Raises:
        TonearmError: a knob that the model does not have, or more than MAX_KNOBS.
    """

    def __init__(self, manifest: Manifest, knobs: Sequence[str] | None = None):
        self.manifest = manifest
        names = dict.fromkeys(knobs or [one.name for one in manifest.knobs][:MAX_KNOBS])
        if len(names) > MAX_KNOBS:
            raise TonearmError(f"{len(names)} knobs are too many; name at most {MAX_KNOBS}")
        self.knobs = tuple(manifest.knob(name) for name in names)
        self.controls: dict[str, Control] = {}
        if manifest.model.takes_melody:
            self.controls[USE] = Dropdown(
                "Use of the selection",
                "Continue it, or keep its melody with a new sound.",
                (CONTINUE, MELODY),
            )
        self.controls[PROMPT] = TextBox("Prompt", "The music in words.", LIVE_PROMPT, MAX_PROMPT)
        self.controls |= {knob.target: slider_of(knob) for knob in self.knobs}
        self.controls |= {
            one.target: Slider.of_range(
                one.label, f"{one.label} of sampling.", one.low, one.high, one.step, one.default
            )
            for one in manifest.settings
        }
        self.controls |= {
            SECONDS: Slider.of_range(
                "Seconds", "Of new music; 0 for the length of the selection.", 0, MAX_SECONDS, 0.5
            ),
            SEED: TextBox("Seed", f"0 to {MAX_SEED}; empty for a random one.", "", MAX_SEED_TEXT),
            MEASURED: Toggle(
                "Measure the knobs",
                "Also generate the take without the knobs, and show the change that each knob "
                "causes; this takes up to twice as long.",
            ),
        }

    def to_dict(self) -> dict[str, Any]:
        """The answer to HARP's request for the controls: model card, inputs and outputs."""
        model = self.manifest.model
        return {
            "card": {
                "name": f"Tonearm: {model.name}",
                "description": "Continues the selected audio, or gives its melody a new sound, "
                "with knobs in physical units; a knob at 0 is off. Weights of "
                f"{model.name}: {model.licence}.",
                "author": "Tonearm",
                "tags": ["music generation", "MusicGen", "activation steering"],
            },
            "inputs": [SELECTION.to_dict(), *(one.to_dict() for one in self.controls.values())],
            "outputs": [one.to_dict() for one in OUTPUTS],
        }

    def read(self, values: Sequence[object]) -> HarpRequest:
        """Check the values of all controls.

        Args:
            values: one of each control, in their order.

        Raises:
            TonearmError: the first value that is not possible.
        """
        given: dict[str, Any] = {
            name: control.read(value)
            for (name, control), value in zip(self.controls.items(), values, strict=True)
        }
        if not given[PROMPT]:
            raise TonearmError("Prompt is empty; describe the music in a few words")
        targets = [knob.target for knob in self.knobs]
        targets += [setting.target for setting in self.manifest.settings]
        return HarpRequest(
            keeps_melody=given.get(USE) == MELODY,
            prompt=given[PROMPT],
            values={target: given[target] for target in targets},
            seconds=given[SECONDS],
            seed=_seed_of(given[SEED]),
            is_measured=given[MEASURED],
        )


def slider_of(knob: Knob) -> Slider:
    """The slider of a knob: its range in its unit, closed on the side of a sign that failed."""
    unit = knob.unit or "amount"
    return Slider.of_range(
        f"{knob.name} ({unit})",
        f"0 = off. {_words(knob.negative, unit)}; {_words(knob.positive, unit)}.",
        min(0.0, knob.negative.limit),
        max(0.0, knob.positive.limit),
        10.0**-knob.decimals,
    )


def _words(sign: SignView, unit: str) -> str:
    """The anchor word of a sign with its largest effect at small cost, or why it has none."""
    if not sign.passes:
        return f"{sign.word}: not possible ({sign.reason})"
    if sign.tick is None:
        return f"{sign.word}: up to {sign.limit:+.3g} {unit}"
    doubt = " (uncertain)" if sign.hollow else ""
    return f"{sign.word}: up to {sign.limit:+.3g} {unit}, quality tick at {sign.tick:+.3g} {unit}{doubt}"


def _seed_of(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or int(text) > MAX_SEED:
        raise TonearmError(
            f"Seed: {quoted(text)} is not possible; use 0 to {MAX_SEED}, or leave it empty"
        )
    return int(text)
