"""Evaluation of the beat's confirmation (`tonearm.measures.beat_confirmation`) on planted truths.

    python -m recipes.evaluators.confirmation --clips 13 --first 100

Music: pieces, performances and grooves of unseen seeds, as composed and with all times scaled by
0.75 and 1.3. Without a beat: their shuffled grains, noise, held chords and drones. Each as rendered
and, but for scaled music, decoded by pocket's codec. Ten seconds each. Music faster than 180 or
slower than 60 BPM is left out.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from recipes.evaluators.beatless import EXPONENTS, coloured_noise, drone, held_chord, shuffle_grains
from recipes.evaluators.corpus import FIRST_SEED, KINDS, compose, load_codec
from recipes.evaluators.render import SAMPLE_RATE, render, through_codec
from recipes.evaluators.scores import Score
from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import FRAME_RATE
from tonearm.datasets.rendering.synthesizer import Renderer
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.load import load_tracker
from tonearm.measures import is_right_tempo, measure_tempo
from tonearm.measures.tempo import fitted_bpm

FRAMES = 250
BPM = (60.0, 180.0)
SLOWEST, FASTEST = 0.75, 1.3  # factors on durations: 1.3 is the slower


@dataclass(frozen=True)
class PlantedClip:
    """A clip with its true tempo; None without a beat."""

    group: str
    name: str
    clip: Clip
    bpm: float | None


@dataclass(frozen=True)
class Reading:
    """A tracker's tempo of a planted clip: of its beats alone, and confirmed."""

    planted: PlantedClip
    read: float | None
    confirmed: float | None


def scale_times(score: Score, factor: float) -> Score:
    """Return a score whose durations are `factor` times as long; its tempo is divided by it."""
    return replace(
        score,
        notes=[
            replace(note, frame=note.frame * factor, length=note.length * factor)
            for note in score.notes
        ],
        beats=[beat * factor for beat in score.beats],
        downbeats=[beat * factor for beat in score.downbeats],
        labels=score.labels | {"bpm": float(score.labels["bpm"]) / factor},
    )


def plant(clips: int, first: int, decode: bool = True) -> Iterator[PlantedClip]:
    """Render clips with known tempo and without a beat.

    Args:
        clips: of each kind.
        first: first seed, counted from that of the test split.
        decode: also decode them by pocket's codec.

    Yields:
        Clips of ten seconds.
    """
    renderer, codec = Renderer(sample_rate=SAMPLE_RATE), load_codec() if decode else None
    longest = int(np.ceil(FRAMES / SLOWEST))
    for seed in range(first, first + clips):
        rng = np.random.default_rng((seed, 6))
        rendered = []
        for kind in KINDS:
            score = compose(kind, "test", FIRST_SEED["test"] + seed, longest)
            for factor in (1.0, SLOWEST, FASTEST):
                scaled = scale_times(score, factor)
                clip, bpm = render(renderer, scaled, FRAMES), float(scaled.labels["bpm"])
                if not BPM[0] <= bpm <= BPM[1]:
                    continue
                group = "music" if factor == 1 else f"music, durations x {factor}"
                rendered.append(PlantedClip(group, f"{kind} {seed}", clip, bpm))
                if factor == 1:
                    grains = shuffle_grains(clip, rng)
                    rendered.append(PlantedClip("shuffled grains", f"{kind} {seed}", grains, None))
        for colour in EXPONENTS:
            noise = coloured_noise(colour, FRAMES / FRAME_RATE, SAMPLE_RATE, rng)
            rendered.append(PlantedClip("noise", f"{colour} {seed}", noise, None))
        for name, score in (("chord", held_chord(seed, FRAMES)), ("drone", drone(seed, FRAMES))):
            held = render(renderer, score, FRAMES)
            rendered.append(PlantedClip("chords, drones", f"{name} {seed}", held, None))
        yield from rendered
        if codec is not None:
            rendered = [one for one in rendered if "x" not in one.group]
            decoded = through_codec(codec, [one.clip for one in rendered])
            for one, clip in zip(rendered, decoded, strict=True):
                yield replace(one, group=f"{one.group}, decoded", clip=clip)


def read(planted: PlantedClip, tracker: BeatTracker) -> Reading:
    """Read a clip's tempo from its beats alone, and confirmed."""
    estimate = measure_tempo(planted.clip, tracker)
    return Reading(planted, fitted_bpm(np.array(estimate.beats)), estimate.bpm)


def share_right(readings: list[Reading], confirmed: bool, any_octave: bool) -> float:
    """Return the share of all clips that have the right tempo."""
    found = [(one.confirmed if confirmed else one.read, one.planted.bpm) for one in readings]
    return float(
        np.mean([bpm is not None and is_right_tempo(bpm, true, any_octave) for bpm, true in found])
    )


def stretch_ratios(readings: list[Reading]) -> np.ndarray:
    """Return tempo at 0.75 over tempo at 1.3 of the pieces that have both; the truth is 1.733."""
    tempi = {(one.planted.group, one.planted.name): one.confirmed for one in readings}
    fast, slow = (f"music, durations x {factor}" for factor in (SLOWEST, FASTEST))
    names = sorted(name for group, name in tempi if group == fast and (slow, name) in tempi)
    pairs = [(tempi[fast, name], tempi[slow, name]) for name in names]
    return np.array([a / b for a, b in pairs if a is not None and b is not None])


def report(tracker: str, readings: list[Reading]) -> None:
    """Print a Markdown table: shares in per cent."""
    print(f"\n| {tracker} | n | a tempo before | confirmed | accuracy 1 | accuracy 2 |")
    print("|---|---|---|---|---|---|")
    for group in dict.fromkeys(one.planted.group for one in readings):
        rows = [one for one in readings if one.planted.group == group]
        had, has = ([one.read for one in rows], [one.confirmed for one in rows])
        kept = [one for one in rows if one.confirmed is not None]
        cells = [f"{np.mean([bpm is not None for bpm in found]):.1%}" for found in (had, has)]
        for any_octave in (False, True):
            if rows[0].planted.bpm is None:
                cells.append("")
                continue
            before, after = (share_right(rows, state, any_octave) for state in (False, True))
            of_kept = share_right(kept, True, any_octave)
            cells.append(f"{before:.0%}; {after:.0%}; of the confirmed {of_kept:.0%}")
        print(f"| {group} | {len(rows)} | {' | '.join(cells)} |")
    ratios = stretch_ratios(readings)
    near = np.mean(np.abs(ratios - FASTEST / SLOWEST) < 0.05)
    print(
        f"\ndurations x 0.75 against x 1.3: mean {np.mean(ratios) - 1:+.1%}, median "
        f"{np.median(ratios) - 1:+.1%}, {near:.0%} within 5 points of +73 % (n = {len(ratios)})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=40, help="of each kind")
    parser.add_argument("--first", type=int, default=0, help="first seed of the test split")
    arguments = parser.parse_args()
    trackers = [load_tracker("librosa"), load_tracker("bundled")]
    readings: list[list[Reading]] = [[], []]
    for planted in plant(arguments.clips, arguments.first):
        for tracker, found in zip(trackers, readings, strict=True):
            found.append(read(planted, tracker))
    for tracker, found in zip(trackers, readings, strict=True):
        report(tracker.name, found)


if __name__ == "__main__":
    main()
