"""Train sparse autoencoders on pocket's residual stream, name their features, and write the tables
of docs/features.md.

    python -m recipes.pocket.features --store build/features

Prompts are those of twelve pairs. Every twelfth line gives a take that names features, and
every third of the other lines one that trains, so that no prompt is in both. The layers are the
middle one, and those from whose mean activations the tempo and the spectral centroid of a take are
predicted best (ridge regression, correlation on held-out takes). All stages are kept in the store
and resume.
"""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

import tonearm
from recipes.pocket.feature_effects import effect_table
from tonearm.activations.clip_sources import clips_of_prompts
from tonearm.activations.clips import Clips
from tonearm.activations.frames import read_frames
from tonearm.datasets.prompts import load_pair
from tonearm.evaluators.load import load_clap, load_tagger
from tonearm.features.labels import Labeller, Labels, label_clips
from tonearm.features.naming import Naming, name_features, save_naming
from tonearm.features.settings import TrainingSettings
from tonearm.features.tracks import track_activity
from tonearm.features.train import train_autoencoders
from tonearm.features.trained import TrainedAutoencoder, load_autoencoder, save_autoencoder
from tonearm.features.training_state import remove_state
from tonearm.methods import fit_regression
from tonearm.model import Model
from tonearm.report.marks import write_between_marks

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
PAIRS = (
    "tempo", "brightness", "mode", "loudness", "energy", "density", "acoustic", "jazz",
    "classical", "electronic", "flute", "cello",
)  # fmt: skip
NAMING_LINES, TRAINING_LINES = 12, 3  # every n-th line
TRAINING_SEED = 10_000  # the takes that name have the seeds from 0
SETTINGS = TrainingSettings(
    expansion=8, k=32, rows=1_500_000, batch_rows=1024, base_rate=4e-4, validation_share=0.05
)
READ = {"tempo": np.log2, "spectral_centroid": np.log2}  # labels that choose layers
SHOWN = 8  # features of a layer in the table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, default=Path("build/features"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    model = tonearm.load(device=arguments.device, dtype="float32")
    store: Path = arguments.store
    naming_prompts, training_prompts = divided_prompts()
    training = clips_of_prompts(
        model.engine, training_prompts, store / "training-clips", seed=TRAINING_SEED
    )
    naming = clips_of_prompts(model.engine, naming_prompts, store / "naming-clips")
    print(f"{len(training)} takes to train on, {len(naming)} to name", flush=True)
    labels = label_clips(model, naming, Labeller(load_tagger(), load_clap()).check(), store)
    layers, correlations = chosen_layers(model, naming, labels)
    print(f"layers {layers}: {correlations}", flush=True)
    trained = autoencoders(model, training, layers, store)
    namings = {}
    for layer, one in trained.items():
        namings[layer] = name_features(one, track_activity(model, one, naming), labels)
        save_naming(namings[layer], store / f"names-{layer}.json")
        print(f"layer {layer}: {one.info.fidelity!r}", flush=True)
    write_between_marks(
        PAGE,
        {
            "layers": layer_table(correlations, layers),
            "fidelity": fidelity_table(trained, namings),
            "names": name_table(namings),
            "effects": effect_table(model, trained, namings, store),
        },
    )


def divided_prompts() -> tuple[list[str], list[str]]:
    """Distinct prompts that name features, and those that train."""
    sides = [
        side for name in PAIRS for side in (load_pair(name).positive, load_pair(name).negative)
    ]
    naming = dict.fromkeys(line for side in sides for line in side[::NAMING_LINES])
    others = [
        line
        for side in sides
        for number, line in enumerate(side)
        if number % NAMING_LINES and number % TRAINING_LINES == 1
    ]
    training = dict.fromkeys(line for line in others if line not in naming)
    return list(naming), list(training)


def chosen_layers(
    model: Model, clips: Clips, labels: Labels
) -> tuple[list[int], dict[str, list[float]]]:
    """The middle layer and those that each label of READ is predicted from best.

    Returns:
        The layers, and the held-out correlations of each label by layer.
    """
    count = model.shape.layer_count
    means = torch.stack([_mean_activations(model, clips, index) for index in range(len(clips))])
    found, correlations = {count // 2}, {}
    for name, transform in READ.items():
        values = labels.values[:, labels.names.index(name)]
        known = np.flatnonzero(np.isfinite(values))
        fit = fit_regression(means[known], transform(values[known]), known.tolist())
        assert fit.best_layer is not None
        found.add(fit.best_layer)
        correlations[name] = [round(float(one), 3) for one in fit.scores["correlation"]]
    return sorted(found), correlations


def _mean_activations(model: Model, clips: Clips, index: int) -> torch.Tensor:
    """Mean activation of a take at every layer, [L, D]."""
    layers = range(model.shape.layer_count)
    rows = read_frames(model.engine, clips.chosen([index]), "residual", layers).rows
    return torch.stack([rows[layer].mean(0) for layer in layers])


def autoencoders(
    model: Model, clips: Clips, layers: Sequence[int], store: Path
) -> dict[int, TrainedAutoencoder]:
    """Autoencoders of the store, which are trained first where they are missing."""
    paths = {layer: store / f"residual-{layer}.safetensors" for layer in layers}
    if not all(path.is_file() for path in paths.values()):
        state = store / "training"

        shown = set[int]()

        def report(done: int, total: int) -> None:
            if done % 100 == 0 and done not in shown:
                shown.add(done)
                print(f"step {done} of {total}", flush=True)

        found = train_autoencoders(model, clips, layers, state, settings=SETTINGS, progress=report)
        for layer, one in found.items():
            save_autoencoder(one, paths[layer], "float16")
        remove_state(state)
    return {layer: load_autoencoder(path) for layer, path in paths.items()}


def layer_table(correlations: dict[str, list[float]], layers: Sequence[int]) -> list[str]:
    """Held-out correlations by layer, as lines of Markdown; chosen layers are bold."""
    count = len(next(iter(correlations.values())))
    numbers = [f"**{layer}**" if layer in layers else str(layer) for layer in range(count)]
    return [
        f"| layer | {' | '.join(numbers)} |",
        f"|---|{'---|' * count}",
        *(
            f"| {name.replace('_', ' ')} | {' | '.join(f'{one:.2f}' for one in values)} |"
            for name, values in correlations.items()
        ),
    ]


def fidelity_table(trained: dict[int, TrainedAutoencoder], namings: dict[int, Naming]) -> list[str]:
    """Fidelity and number of names, as lines of Markdown: one column per layer."""
    fidelity = {layer: one.info.fidelity for layer, one in trained.items()}
    rows = {
        "FVU": [f"{one.fvu:.3f}" for one in fidelity.values()],
        "L0": [f"{one.l0:.1f}" for one in fidelity.values()],
        "dead": [f"{100 * one.dead_share:.1f} %" for one in fidelity.values()],
        "cross-entropy, nats per frame": [f"{one.cross_entropy:.2f}" for one in fidelity.values()],
        "with reconstructions": [f"{one.reconstructed:.2f}" for one in fidelity.values()],
        "with the mean activation": [f"{one.ablated:.2f}" for one in fidelity.values()],
        "cross-entropy recovered": [
            "–" if one.recovered is None else f"{100 * one.recovered:.1f} %"
            for one in fidelity.values()
        ],
        "pass-through control, nats per frame": [
            f"{one.pass_through:.2f}" for one in fidelity.values()
        ],
        "features on 1 to 25 % of the takes": [str(len(one.names)) for one in namings.values()],
        "of these, named": [str(len(one.named)) for one in namings.values()],
        "of these, confirmed on other takes": [
            str(sum(name.is_confirmed for name in one.named)) for one in namings.values()
        ],
        "median \\|ρ\\| of names, and on other takes": [_medians(one) for one in namings.values()],
    }
    return [
        f"| | {' | '.join(f'layer {layer}' for layer in trained)} |",
        f"|---|{'---|' * len(trained)}",
        *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()),
    ]


def _medians(naming: Naming) -> str:
    if not naming.named:
        return "–"
    chosen = np.median([abs(one.rho) for one in naming.named])
    signed = [np.sign(one.rho) * (one.held_out or 0.0) for one in naming.named]
    return f"{chosen:.2f}, {np.median(signed):.2f}"


def name_table(namings: dict[int, Naming]) -> list[str]:
    """The strongest names of each layer, as lines of Markdown."""
    rows = ["| layer | feature | name | ρ | on other takes | takes |", "|---|---|---|---|---|---|"]
    for layer, naming in namings.items():
        for one in naming.named[:SHOWN]:
            held_out = "–" if one.held_out is None else f"{one.held_out:+.2f}"
            rows.append(
                f"| {layer} | {one.feature} | {one.label} | {one.rho:+.2f} | {held_out} "
                f"| {100 * one.tracks:.0f} % |"
            )
    return rows


if __name__ == "__main__":
    main()
