"""Controls in HARP's form: a description as JSON, and the check of a value that HARP sends back.

HARP 3 shows sliders, text boxes, toggles and dropdowns; it has no number box, and a choice of a
dropdown is its own value.
"""

import math
from dataclasses import dataclass
from typing import Any

from tonearm.errors import TonearmError
from tonearm.text import quoted

FEWEST_STEPS = 10  # of the longer side of a slider


@dataclass(frozen=True)
class Track:
    """Audio that is given or returned, as a file.

    label     its name
    info      a sentence that HARP shows in a tooltip
    required  whether HARP refuses to process without it
    """

    label: str
    info: str
    required: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The description that HARP reads."""
        return {
            "type": "audio_track",
            "label": self.label,
            "info": self.info,
            "required": self.required,
        }


@dataclass(frozen=True)
class LabelTrack:
    """Labels that are returned beside the audio."""

    label: str
    info: str

    def to_dict(self) -> dict[str, Any]:
        """The description that HARP reads."""
        return {"type": "json", "label": self.label, "info": self.info}


@dataclass(frozen=True)
class Slider:
    """A number. Minimum, maximum and default are multiples of the step."""

    label: str
    info: str
    minimum: float
    maximum: float
    step: float
    value: float

    @classmethod
    def of_range(
        cls, label: str, info: str, low: float, high: float, step: float, value: float = 0.0
    ) -> "Slider":
        """A slider within a range.

        Args:
            label: its name.
            info: a sentence.
            low: lowest value; the minimum is the next multiple of the step.
            high: highest value, likewise.
            step: largest possible one; it is divided by tens until the longer side has ten steps.
            value: default.
        """
        slack = 1e-9  # a bound that is a multiple of the step stays
        longer = max(abs(low), abs(high))
        while 0 < longer < FEWEST_STEPS * step * (1 - slack):
            step /= 10
        digits = _digits(step)
        minimum = round(math.ceil(low / step - slack) * step, digits) + 0.0
        maximum = round(math.floor(high / step + slack) * step, digits) + 0.0
        return cls(label, info, minimum, maximum, round(step, digits), value)

    def to_dict(self) -> dict[str, Any]:
        """The description that HARP reads."""
        return {
            "type": "slider",
            "label": self.label,
            "info": self.info,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "step": self.step,
            "value": self.value,
        }

    def read(self, value: object) -> float:
        """The multiple of the step next to a value: HARP holds values with 32 bits, and counts
        its steps from the minimum, so that a slider at zero sends nearly zero.

        Raises:
            TonearmError: no number, or one outside the range.
        """
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TonearmError(f"{self.label}: {quoted(value)} is not a number")
        if not self.minimum - self.step / 2 < value < self.maximum + self.step / 2:
            raise TonearmError(
                f"{self.label}: {value:g} is not possible; use {self.minimum:g} to {self.maximum:g}"
            )
        return round(round(value / self.step) * self.step, _digits(self.step)) + 0.0


@dataclass(frozen=True)
class TextBox:
    """A line of text of limited length."""

    label: str
    info: str
    value: str
    longest: int

    def to_dict(self) -> dict[str, Any]:
        """The description that HARP reads."""
        return {"type": "text_box", "label": self.label, "info": self.info, "value": self.value}

    def read(self, value: object) -> str:
        """The text without spaces around it. Raises TonearmError for no text, or too long a one."""
        if not isinstance(value, str):
            raise TonearmError(f"{self.label}: {quoted(value)} is not a text")
        if len(value) > self.longest:
            raise TonearmError(
                f"{self.label}: {len(value)} characters are too many; use at most {self.longest}"
            )
        return value.strip()


@dataclass(frozen=True)
class Toggle:
    """On or off."""

    label: str
    info: str
    value: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The description that HARP reads."""
        return {"type": "toggle", "label": self.label, "info": self.info, "value": self.value}

    def read(self, value: object) -> bool:
        """The value. Raises TonearmError for anything but true or false."""
        if not isinstance(value, bool):
            raise TonearmError(f"{self.label}: {quoted(value)} is not possible; use true or false")
        return value


@dataclass(frozen=True)
class Dropdown:
    """One of several texts; the first one is the default."""

    label: str
    info: str
    choices: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The description that HARP reads: every choice with its value, which is the same."""
        return {
            "type": "dropdown",
            "label": self.label,
            "info": self.info,
            "choices": [[choice, choice] for choice in self.choices],
            "value": self.choices[0],
        }

    def read(self, value: object) -> str:
        """The choice. Raises TonearmError for another one."""
        if not isinstance(value, str) or value not in self.choices:
            raise TonearmError(
                f"{self.label}: {quoted(value)} is not possible; use {' or '.join(self.choices)}"
            )
        return value


Control = Slider | TextBox | Toggle | Dropdown


def _digits(step: float) -> int:
    """Decimals that a multiple of a step can have."""
    return max(0, 1 - math.floor(math.log10(step)))
