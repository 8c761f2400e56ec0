"""Learn a steering vector from your own prompts, and use it at once.

    python examples/vector_from_prompts.py --out build/examples

Writes the vector (my-energy.safetensors) and takes of one prompt and seed at three strengths.
Twelve prompts per side keep the example short; the bundled vectors were learned from 100 per side.
"""

import argparse
from pathlib import Path

import tonearm
from tonearm.measures import measure_onset_rate

SCENES = [
    f"{genre} piece with {lead}"
    for genre in ("jazz", "rock", "folk", "latin")
    for lead in ("piano", "guitar", "flute")
]
STRENGTHS = (-0.05, 0.0, 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/examples"), help="folder for the files"
    )
    parser.add_argument("--seconds", type=float, default=6.0, help="length of each take")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    model = tonearm.load()
    energy = tonearm.learn(
        model,
        positive=[f"an energetic {scene}" for scene in SCENES],
        negative=[f"a calm {scene}" for scene in SCENES],
        name="my-energy",
        positive_label="energetic",
        negative_label="calm",
    )
    tonearm.save_vector(energy, arguments.out / "my-energy.safetensors")
    print(
        f"learned {energy.name!r}: best layer {energy.info.best_layer} of {energy.info.layer_count}"
    )

    for strength in STRENGTHS:
        take = model.generate(
            "a folk tune with flute",
            steer={energy: f"raw:{strength}"},
            seconds=arguments.seconds,
            seed=7,
        )
        path = arguments.out / f"my-energy{strength:+g}.wav"
        take.save(path)
        onsets = measure_onset_rate(take.clip).number
        print(f"{path}: {onsets:.1f} onsets per second")


if __name__ == "__main__":
    main()
