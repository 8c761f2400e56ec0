"""Sweep the strength of a vector, and plot the spectral centroid of the takes beside a control.

    python examples/sweep_strength.py --out build/examples

The control is a random vector of the same norm, swept over the same strengths, prompts and seeds.
Writes sweep_strength.png and prints the means.
"""

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

import tonearm
from tonearm.measures import measure_spectral_centroid

PROMPTS = ("a folk tune with flute", "a rock track with guitar", "a jazz piece with piano")
STRENGTHS = (-0.1, -0.05, 0.0, 0.05, 0.1)


def centroids(model: tonearm.Model, vector: tonearm.SteeringVector, seconds: float) -> np.ndarray:
    """Spectral centroid in Hz, [strengths, prompts]; the seed depends on the prompt alone."""
    requests = [
        tonearm.TakeRequest(
            prompt,
            seed=seed,
            steering=tonearm.Steering(
                steers=(tonearm.Steer(vector=vector.name, strength=strength),)
            ),
            seconds=seconds,
        )
        for strength in STRENGTHS
        for seed, prompt in enumerate(PROMPTS)
    ]
    takes = model.generate_batch(requests, vectors={vector.name: vector})
    values = [measure_spectral_centroid(take.clip).number for take in takes]
    return np.array(values, dtype=float).reshape(len(STRENGTHS), len(PROMPTS))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, default=Path("build/examples"), help="folder for the figure"
    )
    parser.add_argument(
        "--vector", default="brightness", help="a bundled vector, or a .safetensors file"
    )
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each take")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    model = tonearm.load()
    vector = model.vectors[arguments.vector]
    figure, axes = plt.subplots(figsize=(6, 4))
    for swept, colour in ((vector, "tab:orange"), (vector.random_like(seed=11), "tab:gray")):
        values = centroids(model, swept, arguments.seconds)
        axes.plot(STRENGTHS, values, color=colour, alpha=0.3)
        axes.plot(STRENGTHS, values.mean(axis=1), "o-", color=colour, label=swept.name)
        for strength, mean in zip(STRENGTHS, values.mean(axis=1), strict=True):
            print(f"{swept.name} {strength:+g}: {mean:.0f} Hz")
    axes.set(
        xlabel="strength",
        ylabel="spectral centroid, Hz",
        title=f"pocket, {len(PROMPTS)} prompts of {arguments.seconds:g} s",
    )
    axes.legend()
    figure.tight_layout()
    figure.savefig(arguments.out / "sweep_strength.png", dpi=150)
    print(f"wrote {arguments.out / 'sweep_strength.png'}")


if __name__ == "__main__":
    main()
