"""Effects of levels of operator `set`, for the inner loop of a closed loop: a table per knob, on ten
neutral prompts.
"""

import numpy as np
from sklearn.isotonic import IsotonicRegression

from benchmarks.rows import Rows
from tonearm.datasets import prompts
from tonearm.evaluators.base import BeatTracker
from tonearm.generation.request import TakeRequest
from tonearm.knobs.goals import known_change
from tonearm.knobs.readers import TEMPOS, reader_of
from tonearm.model import Model
from tonearm.steering import Steering
from tonearm.steering.shorthand import as_steering
from tonearm.steering.targets import knob_range

LEVELS = (-2.0, -1.0, 0.0, 1.0, 2.0)  # in standard deviations over generated frames
PROMPTS = slice(20, 30)
FIRST_SEED = 64_000


def level_table(
    model: Model, name: str, rows: Rows, tracker: BeatTracker
) -> list[tuple[float, float]] | None:
    """The effects of levels of a knob's vector, isotonic over levels.

    Args:
        model: with the vector.
        name: of the vector.
        rows: that are kept.
        tracker: of tempos.

    Returns:
        (level, effect) in the unit of the knob; of a tempo, the relative change of the onset rate. None
        where the levels do not move the measure.
    """
    knob = knob_range(model.vectors[name])
    reader = reader_of("onset_rate" if knob.measure in TEMPOS else knob.measure, tracker)
    texts = prompts.neutral()[PROMPTS]
    arms = {"plain": Steering()} | {
        f"{level:g}": as_steering(f"{name}={level!r}@set")[0] for level in LEVELS
    }
    for arm, steering in arms.items():
        for index, text in enumerate(texts):
            request = TakeRequest(text, FIRST_SEED + index, steering)
            rows.complete(
                f"{name}|{arm}|{index}",
                {"knob": name, "arm": arm, "prompt": index},
                lambda request=request: {
                    "value": reader(next(model.generate_batch([request])).clip)
                },
            )

    def value(arm: str, index: int) -> float | None:
        return rows.by_key[f"{name}|{arm}|{index}"]["value"]

    levels, effects = [], []
    for level in LEVELS:
        for index in range(len(texts)):
            change = known_change(knob.unit, value("plain", index), value(f"{level:g}", index))
            if change is not None:
                levels.append(level)
                effects.append(change)
    fitted = IsotonicRegression(increasing="auto").fit(levels, effects).predict(np.array(LEVELS))
    found: list[tuple[float, float]] = []
    for level, effect in zip(LEVELS, fitted.tolist(), strict=True):
        if not found or effect != found[-1][1]:
            found.append((level, effect))
    return found if len(found) > 1 else None
