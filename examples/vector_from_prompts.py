"""Learn a steering vector from your own prompts, and use it at once.

    python examples/vector_from_prompts.py --out build/examples

Writes the vector (my-density.safetensors) and three takes of one prompt and seed, at three strengths. Twelve prompts per side
keep the example short; the bundled vectors were learned from 100 per side.
"""

import argparse
from pathlib import Path

import tonearm
from tonearm.measures import describe

SCENES = [
    f"{genre} piece with {lead}"
    for genre in ("jazz", "rock", "folk", "latin")
    for lead in ("piano", "guitar", "flute")
]
STRENGTHS = (-0.1, 0.0, 0.1)


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
    dense = tonearm.learn(
        model,
        positive=[f"a dense {scene}" for scene in SCENES],
        negative=[f"a sparse {scene}" for scene in SCENES],
        name="my-density",
        positive_label="dense",
        negative_label="sparse",
    )
    tonearm.save_vector(dense, arguments.out / "my-density.safetensors")
    print(f"learned {dense.name!r}: best layer {dense.info.best_layer} of {dense.info.layer_count}")

    for strength in STRENGTHS:
        take = model.generate(
            "a folk tune with flute", steer={dense: strength}, seconds=arguments.seconds, seed=7
        )
        path = arguments.out / f"my-density{strength:+g}.wav"
        take.save(path)
        print(f"{path}: {describe(take.clip).onset_rate.value:.1f} onsets per second")


if __name__ == "__main__":
    main()
