"""Calibration of the faults and the onset rates: rendered pieces, and takes of pocket.

    python -m recipes.evaluators.fault_calibration pieces
    python -m recipes.evaluators.fault_calibration takes
    python -m recipes.evaluators.fault_calibration onsets

`pieces` measures 100 rendered pieces (34 performances, 33 pieces of pocket's corpus, 33 grooves),
`takes` pocket's takes of the first 40 neutral prompts, plain and steered, 10.24 s each. One line for
each condition: faulty takes, and the share with each reason. `onsets` fits the slope of each onset
rate over the true rate of the score, the distinct onset times of all notes per second.
"""

import argparse
from collections.abc import Iterable, Iterator

import numpy as np

from recipes.evaluators.corpus import FIRST_SEED, compose
from recipes.evaluators.render import SAMPLE_RATE, render
from recipes.evaluators.scores import Score
from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import FRAME_RATE
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.measures import ClipAnalysis, Measure
from tonearm.measures.comb_buzz import COMB_BUZZ
from tonearm.measures.faults import find_faults
from tonearm.measures.onset_rate import ONSET_RATE
from tonearm.measures.onset_rate_superflux import ONSET_RATE_SUPERFLUX
from tonearm.measures.pulse_clarity import PULSE_CLARITY

FRAMES = 256  # 10.24 s
FIRST = FIRST_SEED["test"] + 5000
COUNTS = {"performances": 34, "pieces": 33, "grooves": 33}
TAKES, BATCH, TAKE_SEED = 40, 20, 50_000
CONDITIONS = {
    "plain": {},
    "brightness +0.1": {"brightness": 0.1},
    "brightness -0.1": {"brightness": -0.1},
    "tempo +0.1, brightness -0.1": {"tempo": 0.1, "brightness": -0.1},
    "tempo +0.1": {"tempo": 0.1},
    "tempo -0.1": {"tempo": -0.1},
    "brightness +0.05": {"brightness": 0.05},
    "brightness -0.05": {"brightness": -0.05},
}
REASONS = ("a tone held", "of tonal energy", "static", "no pulse")
SAME_ONSET_SECONDS = 0.03
DRAWS = 4000


def pieces() -> Iterator[tuple[str, Score, Clip]]:
    """Yield kind, score and audio of the rendered pieces."""
    renderer = Renderer(sample_rate=SAMPLE_RATE)
    for kind, count in COUNTS.items():
        for seed in range(FIRST, FIRST + count):
            score = compose(kind, "test", seed, FRAMES)
            yield kind, score, render(renderer, score, FRAMES)


def takes(condition: str) -> Iterator[Clip]:
    """Yield pocket's takes of a condition."""
    import tonearm
    from tonearm.datasets import prompts
    from tonearm.generation.request import TakeRequest
    from tonearm.steering import Steer, Steering

    steers = tuple(Steer(vector=name, strength=s) for name, s in CONDITIONS[condition].items())
    requests = [
        TakeRequest(text, TAKE_SEED + i, steering=Steering(steers=steers), seconds=10.24)
        for i, text in enumerate(prompts.neutral()[:TAKES])
    ]
    model = tonearm.load(device="cpu")
    yield from (take.clip for take in model.generate_batch(requests, batch_size=BATCH))


def report(name: str, clips: Iterable[Clip]) -> None:
    """Print the faults of clips."""
    analyses = [ClipAnalysis(clip) for clip in clips]
    found = [find_faults(analysis) for analysis in analyses]
    shares = [
        f"{reason} {np.mean([any(reason in fault for fault in one) for one in found]):.0%}"
        for reason in REASONS
    ]
    medians = [
        f"median {measure.name} {np.median([value for one in analyses if (value := _value(one, measure)) is not None]):.2f}"
        for measure in (PULSE_CLARITY, COMB_BUZZ)
    ]
    count = sum(map(bool, found))
    print(f"{name}: faulty {count} of {len(found)};", "; ".join([*shares, *medians]), flush=True)
    for index, one in enumerate(found):
        if one and name == "rendered":
            print(f"    {index}: {'; '.join(one)}", flush=True)


def _value(analysis: ClipAnalysis, measure: Measure) -> float | None:
    return measure.measurements(analysis)[0].number


def true_onset_rate(score: Score) -> float:
    """Distinct onset times of the notes per second; notes within 30 ms are one onset."""
    times = np.unique([note.frame / FRAME_RATE for note in score.notes if note.frame < FRAMES])
    return float(1 + np.sum(np.diff(times) > SAME_ONSET_SECONDS)) * FRAME_RATE / FRAMES


def slope_text(true: np.ndarray, measured: np.ndarray) -> str:
    """Least-squares slope with a 95 % bootstrap interval over pieces, and the correlation."""
    rng = np.random.default_rng(0)
    draws = rng.integers(len(true), size=(DRAWS, len(true)))
    slopes = [np.polyfit(true[draw], measured[draw], 1)[0] for draw in draws]
    low, high = np.percentile(slopes, [2.5, 97.5])
    slope = np.polyfit(true, measured, 1)[0]
    return f"{slope:.2f} [{low:.2f}, {high:.2f}], r {np.corrcoef(true, measured)[0, 1]:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["pieces", "takes", "onsets"])
    part = parser.parse_args().part
    if part == "takes":
        for condition in CONDITIONS:
            report(condition, takes(condition))
        return
    rendered = list(pieces())
    if part == "pieces":
        report("rendered", (clip for _, _, clip in rendered))
        return
    true = np.array([true_onset_rate(score) for _, score, _ in rendered])
    print(f"true rates {true.min():.1f} to {true.max():.1f} per second, n = {len(true)}")
    for measure in (ONSET_RATE, ONSET_RATE_SUPERFLUX):
        rates = np.array([_value(ClipAnalysis(clip), measure) for _, _, clip in rendered], float)
        print(measure.name, slope_text(true, rates), f"mean ratio {rates.sum() / true.sum():.2f}")


if __name__ == "__main__":
    main()
