"""Rows of the screen: the knobs of the desk, then the settings, each moved by keys.

Positions run from -1 to 1 over the range of a row.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tonearm.live.manifest import Knob, Manifest, Setting, SignView
from tonearm.live.slider_positions import position_of, value_at

COARSE, FINE, PAGE = 0.05, 0.01, 0.5  # of a position
COARSE_STEPS, PAGE_STEPS = 5, 20  # of a setting's own step
DIGITS = 6  # of a value, against steps that do not add up


@dataclass(frozen=True)
class KnobRow:
    """A knob."""

    knob: Knob

    @property
    def name(self) -> str:
        return self.knob.name

    @property
    def target(self) -> str:
        return self.knob.target

    @property
    def default(self) -> float:
        return 0.0

    @property
    def words(self) -> tuple[str, str]:
        """Anchors of the lowest and of the highest value."""
        return self.knob.negative.word, self.knob.positive.word

    @property
    def ends(self) -> tuple[float, float]:
        """Lowest and highest value."""
        return value_at(self.knob, -1), value_at(self.knob, 1)

    @property
    def ticks(self) -> tuple[tuple[float, bool], ...]:
        """Positions of the quality ticks, and whether each is hollow."""
        signs: Sequence[SignView] = (self.knob.negative, self.knob.positive)
        return tuple(
            (position_of(self.knob, one.tick), one.hollow)
            for one in signs
            if one.passes and one.tick is not None
        )

    def text(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:+.{self.knob.decimals}f} {self.knob.unit}".strip()

    def position_of(self, value: float) -> float:
        return position_of(self.knob, value)

    def value_at(self, position: float) -> float:
        return round(value_at(self.knob, position), DIGITS)

    def moved(self, value: float, step: float) -> float:
        """The value after a step of COARSE, FINE or PAGE, or its negative."""
        position = round(self.position_of(value) + step, DIGITS)
        return self.value_at(max(-1.0, min(1.0, position)))


@dataclass(frozen=True)
class SettingRow:
    """A setting that is no knob."""

    setting: Setting

    @property
    def name(self) -> str:
        return self.setting.target

    @property
    def target(self) -> str:
        return self.setting.target

    @property
    def default(self) -> float:
        return self.setting.default

    @property
    def words(self) -> tuple[str, str]:
        return f"{self.setting.low:g}", f"{self.setting.high:g}"

    @property
    def ends(self) -> tuple[float, float]:
        return self.setting.low, self.setting.high

    @property
    def ticks(self) -> tuple[tuple[float, bool], ...]:
        return ()

    def text(self, value: float) -> str:
        return f"{value:.2f}"

    def position_of(self, value: float) -> float:
        low, high = self.ends
        return max(-1.0, min(1.0, 2 * (value - low) / (high - low) - 1))

    def value_at(self, position: float) -> float:
        low, high = self.ends
        return round(low + (position + 1) / 2 * (high - low), DIGITS)

    def moved(self, value: float, step: float) -> float:
        low, high = self.ends
        steps = {COARSE: COARSE_STEPS, FINE: 1, PAGE: PAGE_STEPS}[abs(step)]
        change = steps * self.setting.step * (1 if step > 0 else -1)
        return round(max(low, min(high, value + change)), DIGITS)


Row = KnobRow | SettingRow


def rows_of(manifest: Manifest, desk: Sequence[str]) -> tuple[Row, ...]:
    """Rows of a desk and of all settings."""
    knobs = [KnobRow(manifest.knob(name)) for name in desk]
    return (*knobs, *map(SettingRow, manifest.settings))
