"""Several knobs at once: rules of combination on pairs and triples of pocket's knobs.

    python -m benchmarks.stacking --store build/stacking                       # resumable
    python -m benchmarks.stacking --store build/stacking --page docs/knobs.md

Every knob of a pair or triple is asked for its amount of 1. A combination holds where every member moves
its own measure its own way, beyond the 95 % interval over prompts, and no damage exceeds its limit: 10
points more faulty takes, a quarter of the pulse clarity, 0.06 of the CLAP score. Knobs of one measure are
not combined.
"""

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

import tonearm
from tonearm.datasets import prompts
from tonearm.report.marks import write_between_marks
from tonearm.stats.share import Share
from tonearm.steering import Steer, Steering, SteeringVector, load_vector
from tonearm.steering.library import bundled_vectors
from tonearm.steering.response import Response
from tonearm.steering.units import unit_of
from tonearm.studies.knob_tables import by_prompt, change_of, damage_of, reader_of
from tonearm.studies.records import Record
from tonearm.studies.steered_takes import Prompts, Setting, run_settings

Member = tuple[str, int]  # name of a knob, sign
KNOBS = ("tempo", "brightness", "loudness", "density", "drums")
RULES = ("none", "sqrt", "mean", "orthogonal")
GROUPS = ("signal", "beats", "clap", "percussion")
PROMPTS, COMBINATIONS, FIRST_SEED = 25, 12, 70_000
MAX_FAULTS, MAX_PULSE, MAX_TEXT = 0.1, 0.25, 0.06


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, default=Path("build/stacking"))
    parser.add_argument("--vectors", type=Path, help="folder of vectors; default: the bundled ones")
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--page", type=Path, help="write the table into this page")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    files = bundled_vectors()
    if arguments.vectors:
        files |= {path.stem: path for path in arguments.vectors.glob("*.safetensors")}
    vectors = {name: load_vector(files[name]) for name in KNOBS}
    chosen = [*drawn(members(vectors), 2, vectors), *drawn(members(vectors), 3, vectors)]
    settings = [
        Setting(setting_name(rule, combination), steering_of(rule, combination))
        for rule in RULES
        for combination in chosen
    ]
    model = tonearm.load(dtype="float32")
    texts = prompts.held_out()[:PROMPTS]
    records = run_settings(
        model,
        "stacking",
        [Setting("plain", Steering()), *settings],
        Prompts(texts, FIRST_SEED, 10.0, GROUPS),
        vectors,
        arguments.store,
        workers=arguments.workers,
    )
    lines = table(records, chosen, vectors, len(texts))
    print("\n".join(lines))
    if arguments.page:
        write_between_marks(arguments.page, {"stacking": lines})


def members(vectors: dict[str, SteeringVector]) -> list[Member]:
    """The signs of the knobs that passed."""
    return [
        (name, sign)
        for name, vector in vectors.items()
        for sign in (1, -1)
        if vector.info.calibration and vector.info.calibration.of(sign).response
    ]


def response_of(member: Member, vectors: dict[str, SteeringVector]) -> Response:
    calibration = vectors[member[0]].info.calibration
    assert calibration is not None
    response = calibration.of(member[1]).response
    assert response is not None
    return response


def measure_of(member: Member, vectors: dict[str, SteeringVector]) -> str:
    return response_of(member, vectors).measure


def drawn(
    found: Sequence[Member], size: int, vectors: dict[str, SteeringVector]
) -> list[tuple[Member, ...]]:
    """Combinations of different measures, drawn with a seed."""
    possible = [
        one
        for one in combinations(found, size)
        if len({measure_of(member, vectors) for member in one}) == size
    ]
    order = np.random.default_rng(size).permutation(len(possible))
    return [possible[index] for index in order[:COMBINATIONS]]


def setting_name(rule: str, combination: Sequence[Member]) -> str:
    return f"{rule}|" + "|".join(f"{name}{sign:+d}" for name, sign in combination)


def steering_of(rule: str, combination: Sequence[Member]) -> Steering:
    steers = tuple(Steer(vector=name, amount=float(sign)) for name, sign in combination)
    return Steering.model_validate({"steers": steers, "combine": rule})


def table(
    records: dict[str, list[Record]],
    chosen: Sequence[tuple[Member, ...]],
    vectors: dict[str, SteeringVector],
    count: int,
) -> list[str]:
    """Share of combinations that hold, by rule and size, and the parts of which that consists."""
    lines = [
        "| rule | knobs | hold | every member certain | damage within the limits "
        "| effect kept, mean | CLAP score | faulty |",
        "|---|---|---|---|---|---|---|---|",
    ]
    plain = by_prompt(records["plain"], count)
    for size in (2, 3):
        for rule in RULES:
            of_size = [one for one in chosen if len(one) == size]
            held, certain, whole, kept, text, faults = 0, 0, 0, [], [], []
            for combination in of_size:
                steered = by_prompt(records[setting_name(rule, combination)], count)
                moved = True
                for member in combination:
                    measure, sense = measure_of(member, vectors), direction_of(member, vectors)
                    unit = unit_of(measure)
                    change = change_of(plain, steered, reader_of(measure), unit)
                    moved &= change.is_beyond(sense)
                    kept.append(unit.of_effect(change.change) / limit_of(member, vectors))
                damage = damage_of(plain, steered)
                is_whole = (
                    damage[0] <= MAX_FAULTS and damage[1] <= MAX_PULSE and damage[2] <= MAX_TEXT
                )
                certain, whole, held = (
                    certain + moved,
                    whole + is_whole,
                    held + (moved and is_whole),
                )
                text.append(-damage[2])
                faults.append(damage[0])
            lines.append(
                f"| {rule} | {size} | {Share.of(held, len(of_size))} | {certain} | {whole} "
                f"| {fmean(kept):.0%} | {fmean(text):+.3f} | {100 * fmean(faults):+.0f} points |"
            )
    return lines


def limit_of(member: Member, vectors: dict[str, SteeringVector]) -> float:
    return response_of(member, vectors).limit


def direction_of(member: Member, vectors: dict[str, SteeringVector]) -> int:
    """The way in which a member moves its measure: 1 or -1."""
    return 1 if limit_of(member, vectors) > 0 else -1


if __name__ == "__main__":
    main()
