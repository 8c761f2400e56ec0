"""Learn pocket's bundled vectors, scan their layers, and save them into the package.

    python -m recipes.pocket.vectors

The method is DiffMean at the text's EOS, from the prompt pairs in `tonearm.datasets.prompts`. For
attributes with a measure, every layer's direction is applied one-to-all at +STRENGTH and -STRENGTH
on the neutral prompts. Tempo is measured by onset rate, since most variation of a tracker's BPM
over so many takes is octave errors. The score of a layer is min(up, down) + (up + down) / 4, so
that both signs count. Of the layers within 15 % of the best score, the one with the shortest
direction is selected. Other attributes keep the layer of largest separation.
"""

import argparse
import time
from collections.abc import Callable, Mapping

import numpy as np
import torch

import tonearm
from tonearm import assets
from tonearm.audio import Clip
from tonearm.datasets import prompts
from tonearm.generation.request import TakeRequest
from tonearm.measures import measure_onset_rate, measure_spectral_centroid
from tonearm.model import Model
from tonearm.steering import Steer, Steering, SteeringVector, load_vector, save_vector

PACKAGE = assets.POCKET_VECTORS
STRENGTH = 0.1  # the effect of the word; at 0.3 less tempo is no longer slower (LOG.md)
SLACK = 0.15  # relative loss of score accepted for a shorter direction


MEASURES: dict[str, Callable[[Clip], float | None]] = {
    "tempo": lambda clip: measure_onset_rate(clip).value,
    "brightness": lambda clip: measure_spectral_centroid(clip).value,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--prompts", type=int, default=50, help="neutral prompts of the layer scan")
    parser.add_argument(
        "--only", nargs="+", choices=sorted(prompts.PAIRS), default=sorted(prompts.PAIRS)
    )
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--rescan", action="store_true", help="scan layers even if the directions are unchanged"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = tonearm.load(device="cpu")
    PACKAGE.mkdir(exist_ok=True)
    for name in arguments.only:
        pair = prompts.load_pair(name)
        began = time.perf_counter()
        vector = tonearm.learn(
            model,
            pair.positive,
            pair.negative,
            name,
            positive_label=pair.positive_label,
            negative_label=pair.negative_label,
        )
        print(
            f"{name}: learned from {len(pair.positive) + len(pair.negative)} prompts "
            f"in {time.perf_counter() - began:.1f} s",
            flush=True,
        )
        if name in MEASURES:
            done = None if arguments.rescan else scanned(vector)
            neutral = prompts.neutral()[: arguments.prompts]
            vector = done or scan(model, vector, neutral, arguments.seconds)
        save_vector(vector, PACKAGE / name)


def scanned(vector: SteeringVector) -> SteeringVector | None:
    """Return the vector with the scan of the bundled file, if that has the same directions."""
    file = (PACKAGE / vector.name).with_suffix(".safetensors")
    if not file.is_file():
        return None
    bundled = load_vector(file)
    names = [score for score in bundled.info.scores if score.endswith(f"_at_{STRENGTH:g}")]
    if not names or bundled.content_hash() != vector.content_hash():
        return None
    print(
        f"  directions unchanged: layer {bundled.info.best_layer} of the earlier scan", flush=True
    )
    scores = vector.info.scores | {name: bundled.info.scores[name] for name in names}
    update = {"best_layer": bundled.info.best_layer, "scores": scores}
    return SteeringVector(vector.directions, vector.info.model_copy(update=update))


def scan(
    model: Model, vector: SteeringVector, neutral: tuple[str, ...], seconds: float
) -> SteeringVector:
    """Select the best layer.

    Args:
        model: pocket.
        vector: learned vector.
        neutral: prompts of the scan.
        seconds: length of a take.

    Returns:
        The vector with its best layer, and with the relative effects of both signs by layer as
        scores.
    """
    measure = MEASURES[vector.name]
    vectors = {vector.name: vector}
    plain = mean_of(model, neutral, Steering(), seconds, measure, vectors)
    ups, downs = {}, {}
    for layer in vector.layers:
        for sign, effects in ((1, ups), (-1, downs)):
            steer = Steer(vector=vector.name, strength=sign * STRENGTH, source_layer=layer)
            steering = Steering(steers=(steer,))
            steered = mean_of(model, neutral, steering, seconds, measure, vectors)
            effects[layer] = steered / plain - 1
        print(
            f"  layer {layer}: up {ups[layer]:+.1%}, down {downs[layer]:+.1%} (plain {plain:.1f})",
            flush=True,
        )
    best = best_layer(vector, ups, downs)
    rounded = {
        f"{key}_effect_at_{STRENGTH:g}": {
            layer: round(float(value), 4) for layer, value in effects.items()
        }
        for key, effects in (("up", ups), ("down", downs))
    }
    info = vector.info.model_copy(
        update={"best_layer": best, "scores": vector.info.scores | rounded}
    )
    return SteeringVector(vector.directions, info)


def best_layer(vector: SteeringVector, ups: dict[int, float], downs: dict[int, float]) -> int:
    """Return the layer of the shortest direction among those of nearly the largest effect.

    A short direction has fewer side effects.
    """
    scores = {
        layer: min(ups[layer], -downs[layer]) + (ups[layer] - downs[layer]) / 4
        for layer in vector.layers
    }
    enough = max(scores.values()) - abs(max(scores.values())) * SLACK
    return min(
        (layer for layer in vector.layers if scores[layer] >= enough),
        key=vector.norms().__getitem__,
    )


def mean_of(
    model: Model,
    texts: tuple[str, ...],
    steering: Steering,
    seconds: float,
    measure: Callable[[Clip], float | None],
    vectors: Mapping[str, SteeringVector],
) -> float:
    """Return the mean of a measure over one take per prompt.

    Seeds are 1000, 1001, ... in every call.

    Args:
        model: pocket.
        texts: prompts.
        steering: applied to every take.
        seconds: length of a take.
        measure: returns None for takes that cannot be measured; these are left out.
        vectors: by the names in `steering`.

    Returns:
        The mean.
    """
    requests = [
        TakeRequest(text, 1000 + i, steering, seconds=seconds) for i, text in enumerate(texts)
    ]
    takes = model.generate_batch(requests, vectors=vectors, batch_size=25)
    values = [measure(take.clip) for take in takes]
    return float(np.mean([value for value in values if value is not None]))


if __name__ == "__main__":
    main()
