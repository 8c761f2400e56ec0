"""Effects of named features on the measures that they are named after.

A name is a correlation. Here a feature is added once (v, its peak) and subtracted once at every
generated frame, and silenced, at its own layer; the measure of the takes is compared with that of
plain takes of the same prompts and seeds.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tonearm.datasets.prompts import neutral
from tonearm.features.naming import Name, Naming
from tonearm.features.trained import TrainedAutoencoder
from tonearm.features.vectors import feature_vector
from tonearm.files.atomic import atomic_write
from tonearm.generation.request import TakeRequest
from tonearm.measures import describe
from tonearm.model import Model
from tonearm.stats.effect import Scale, effect
from tonearm.steering import Steer, Steering

PROMPTS = 24  # of the neutral ones
SECONDS = 10.0
# measures that are compared, with the scale of their change
SCALES: Mapping[str, Scale] = {
    "loudness": "difference",
    "onset_rate": "ratio",
    "spectral_centroid": "log",
    "high_frequency_ratio": "ratio",
}
CONDITIONS = {
    "add": {"strength": 1.0},
    "subtract": {"strength": -1.0},
    "silence": {"strength": -1.0, "operator": "feature"},
}
UNITS = {"loudness": " dB"}


def effect_table(
    model: Model,
    trained: Mapping[int, TrainedAutoencoder],
    namings: Mapping[int, Naming],
    store: Path,
) -> list[str]:
    """Changes under every condition with 95 % intervals over prompts, as lines of Markdown.

    Args:
        model: pocket.
        trained: autoencoders by layer.
        namings: names of their features.
        store: folder that keeps the measurements.
    """
    plain = _measured(model, Steering(), {}, store / "effects-plain.json")
    lines = [
        f"| layer | feature | name | ρ on other takes | {' | '.join(CONDITIONS)} |",
        f"|---|---|---|---|{'---|' * len(CONDITIONS)}",
    ]
    for layer, naming in namings.items():
        for name in _chosen(naming):
            vector = feature_vector(trained[layer], name.feature)
            cells = []
            for condition, settings in CONDITIONS.items():
                steer = Steer(vector="feature", strategy="one-to-one", **settings)
                path = store / f"effects-{layer}-{name.feature}-{condition}.json"
                steered = _measured(model, Steering(steers=(steer,)), {"feature": vector}, path)
                cells.append(_change(name.label, plain, steered))
            lines.append(
                f"| {layer} | {name.feature} | {name.label} | {name.held_out:+.2f} "
                f"| {' | '.join(cells)} |"
            )
    return lines


def _chosen(naming: Naming) -> list[Name]:
    """The confirmed feature of each measure whose name holds best on other takes."""
    found = []
    for label in SCALES:
        names = [one for one in naming.named if one.label == label and one.is_confirmed]
        if names:
            found.append(max(names, key=lambda one: abs(one.held_out or 0.0)))
    return found


def _measured(
    model: Model, steering: Steering, vectors: Mapping, path: Path
) -> list[dict[str, float | None]]:
    """Measures of the takes of all prompts, from the file where it is there."""
    if not path.is_file():
        requests = [
            TakeRequest(prompt, seed, steering=steering, seconds=SECONDS)
            for seed, prompt in enumerate(neutral()[:PROMPTS])
        ]
        takes = model.generate_batch(requests, vectors=vectors)
        descriptions = [describe(take.clip) for take in takes]
        values = [{name: one[name].number for name in SCALES} for one in descriptions]
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(values), encoding="utf-8")
        print(f"{path.stem}: {len(values)} takes", flush=True)
    found: list[dict[str, float | None]] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _change(
    label: str,
    plain: Sequence[Mapping[str, float | None]],
    steered: Sequence[Mapping[str, float | None]],
) -> str:
    """`+12 % [5, 20]`, or in the unit of a difference."""
    scale = SCALES[label]
    found = effect([one[label] for one in plain], [one[label] for one in steered], scale)
    if scale == "difference":
        return f"{found.change:+.1f}{UNITS[label]} [{found.low:.1f}, {found.high:.1f}]"
    change, low, high = (100 * one for one in (found.change, found.low, found.high))
    return f"{change:+.0f} % [{low:.0f}, {high:.0f}]"
