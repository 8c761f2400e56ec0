"""Frontier of effect against damage: how a direction should be injected.

    python -m tonearm.studies.frontier --out build/frontier --docs docs/studies

Each candidate is a way to inject the vectors tempo and brightness: layers, strategy, operator,
branch, ramp, site, or a cleaned direction. It runs with both signs at pushes of a few sizes on
neutral prompts. A push is what a candidate adds in all: the norm of the added vector, summed over
the layers where it is added, so that candidates are compared at equal force.

Damage is the share of takes with a fault, the loss of pulse clarity and of the CLAP score, and the
divergence of the predictions from those without steering, teacher-forced on the plain codes.
"""

import argparse
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from tonearm.activations import CaptureSpec, capture_rows
from tonearm.backend import ModelShape
from tonearm.datasets import prompts
from tonearm.generation.request import TakeRequest
from tonearm.methods.cleaning import without_mean, without_variation
from tonearm.methods.learn import learn
from tonearm.model import Model, load
from tonearm.steering import Configuration, Steer, Steering, SteeringVector
from tonearm.steering.vector import NO_PROJECTIONS
from tonearm.studies.frontier_report import write_report
from tonearm.studies.injection import layers_of, steer_of
from tonearm.studies.records import mean_of
from tonearm.studies.steered_takes import Prompts, Setting, run_settings

ATTRIBUTES = {"tempo": "onset_rate", "brightness": "spectral_centroid"}  # measure of the effect
PUSHES = (6.0, 12.0, 24.0)
FIRST_SEED = 5000
DIVERGENCE_PROMPTS, DIVERGENCE_SECONDS = 4, 4.0


Key = tuple[str, str, int, float]  # attribute, candidate, sign, push


@dataclass(frozen=True)
class Candidate:
    """One way to inject a vector.

    name           in tables
    configuration  of the injection
    direction      variant of the direction: raw, cleaned-K, orthogonal, mean, attention
    """

    name: str
    configuration: Configuration
    direction: str = "raw"


def candidates(layers: int, best: int) -> list[Candidate]:
    """List the candidates for a checkpoint with `layers` layers and a vector's best layer."""
    third = layers // 3
    early, middle, late = (tuple(range(i * third, (i + 1) * third)) for i in range(3))
    source = Configuration(source_layer=best)

    def changed(**fields: object) -> Configuration:
        return source.model_copy(update=fields)

    return [
        Candidate("one-to-all", source),
        Candidate("all-to-all", Configuration(strategy="all-to-all")),
        *(
            Candidate(
                f"layer {layer} alone", Configuration(strategy="one-to-one", source_layer=layer)
            )
            for layer in sorted({0, third, 2 * third - 1, layers - 1, best})
        ),
        Candidate("early layers, own", Configuration(strategy="all-to-all", layers=early)),
        Candidate("middle layers, own", Configuration(strategy="all-to-all", layers=middle)),
        Candidate("late layers, own", Configuration(strategy="all-to-all", layers=late)),
        Candidate(
            "every second layer, own",
            Configuration(strategy="all-to-all", layers=tuple(range(0, layers, 2))),
        ),
        Candidate("rotate, one-to-all", changed(operator="rotate")),
        Candidate("conditional branch", changed(branch="conditional")),
        Candidate("ramp of 1 s", changed(ramp=1.0)),
        Candidate("without 2 neutral components", source, "cleaned-2"),
        Candidate("without 8 neutral components", source, "cleaned-8"),
        Candidate("orthogonal to the mean", source, "orthogonal"),
        Candidate("mean over frames", source, "mean"),
        Candidate("attention outputs, own", Configuration(strategy="all-to-all"), "attention"),
    ]


def variants(model: Model, name: str) -> dict[str, SteeringVector]:
    """Learn the variants of a bundled vector's direction, by name."""
    pair = prompts.load_pair(name)
    spec = CaptureSpec()
    neutral = torch.cat([c.rows for c in capture_rows(model.engine, prompts.neutral(), spec)])
    raw = model.vectors[name]
    directions = torch.stack([raw[layer] for layer in raw.layers])

    def with_directions(found: torch.Tensor) -> SteeringVector:
        info = raw.info.model_copy(update=NO_PROJECTIONS)
        return SteeringVector(dict(zip(raw.layers, found, strict=True)), info)

    def learned(**fields: str) -> SteeringVector:
        return learn(model, pair.positive, pair.negative, name, **fields)  # type: ignore[arg-type]

    return {
        "raw": raw,
        "cleaned-2": with_directions(without_variation(directions, neutral, 2)),
        "cleaned-8": with_directions(without_variation(directions, neutral, 8)),
        "orthogonal": with_directions(without_mean(directions, neutral)),
        "mean": learned(pooling="mean"),
        "attention": learned(site="attention"),
    }


def strength_of(
    push: float, configuration: Configuration, vector: SteeringVector, shape: ModelShape
) -> float:
    """Strength at which a configuration adds a given push.

    Args:
        push: norm of what is added, summed over layers.
        configuration: of the injection; `rotate` adds strength times the norm of the activation.
        vector: its directions and activation norms.
        shape: of the checkpoint.
    """
    targets = layers_of(configuration, vector, shape)
    if configuration.operator in ("rotate", "blend"):
        return push / sum(vector.info.activation_norms[layer] for layer in targets)
    return push / sum(float(vector[source].norm()) for source in targets.values())


@dataclass(frozen=True)
class Point:
    """One candidate at one push and sign.

    effect      change of the attribute's measure, relative
    faulty      share of takes with a fault
    pulse       mean pulse clarity over that of the plain takes
    text_loss   loss of the CLAP score of take and prompt
    divergence  nats per frame, NaN where it was not computed
    """

    attribute: str
    candidate: str
    sign: int
    push: float
    strength: float
    effect: float
    faulty: float
    pulse: float
    text_loss: float
    divergence: float


def run(
    model: Model,
    out: Path,
    texts: Sequence[str],
    pushes: Sequence[float],
    only: Sequence[str] = (),
    attributes: Sequence[str] = tuple(ATTRIBUTES),
    seconds: float = 10.0,
    workers: int = 1,
) -> tuple[list[Point], dict[str, float]]:
    """Generate and measure what `out` lacks; return the points, and means of the plain takes."""
    vectors: dict[str, SteeringVector] = {}
    steers: dict[Key, Steer] = {}
    for attribute in attributes:
        found = variants(model, attribute)
        vectors |= {f"{attribute}/{variant}": vector for variant, vector in found.items()}
        best = found["raw"].info.best_layer or 0
        for candidate in candidates(model.shape.layer_count, best):
            if only and candidate.name not in only:
                continue
            name = f"{attribute}/{candidate.direction}"
            for push in pushes:
                strength = strength_of(push, candidate.configuration, vectors[name], model.shape)
                for sign in (1, -1):
                    steer = steer_of(name, candidate.configuration, sign * strength)
                    steers[attribute, candidate.name, sign, push] = steer
    plain = Setting("plain", Steering())
    settings = [plain] + [
        Setting("|".join(map(str, key)), Steering(steers=(steer,))) for key, steer in steers.items()
    ]
    chosen = Prompts(tuple(texts), FIRST_SEED, seconds)
    records = run_settings(model, "frontier", settings, chosen, vectors, out, workers=workers)
    divergences = _divergences(model, chosen, steers, vectors)
    before = records["plain"]
    means = {
        measure: mean_of(before, measure)
        for measure in ("onset_rate", "spectral_centroid", "pulse_clarity", "clap_score")
    }
    means["faulty"] = float(np.mean([record["faulty"] for record in before]))
    points = []
    for key, steer in steers.items():
        attribute, name, sign, push = key
        takes = records["|".join(map(str, key))]
        measure = ATTRIBUTES[attribute]
        points.append(
            Point(
                attribute,
                name,
                sign,
                push,
                abs(steer.raw_strength),
                mean_of(takes, measure) / means[measure] - 1,
                float(np.mean([record["faulty"] for record in takes])),
                mean_of(takes, "pulse_clarity") / means["pulse_clarity"],
                means["clap_score"] - mean_of(takes, "clap_score"),
                divergences[key],
            )
        )
    return points, means


def _divergences(
    model: Model,
    given: Prompts,
    steers: Mapping[Key, Steer],
    vectors: Mapping[str, SteeringVector],
) -> dict[Key, float]:
    """Mean divergence of each steer over the first prompts."""
    texts = given.texts[:DIVERGENCE_PROMPTS]
    requests = [
        TakeRequest(text, given.first_seed + i, seconds=DIVERGENCE_SECONDS)
        for i, text in enumerate(texts)
    ]
    takes = list(model.generate_batch(requests))
    found = {}
    for key, steer in steers.items():
        steered = [
            TakeRequest(one.prompt, one.seed, Steering(steers=(steer,)), seconds=one.seconds)
            for one in requests
        ]
        found[key] = float(np.mean(model.divergence(steered, takes, vectors=vectors)))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--out", type=Path, default=Path("build/frontier"))
    parser.add_argument("--docs", type=Path, help="folder of the page and its figure; else --out")
    parser.add_argument("--prompts", type=int, default=16, help="of the neutral prompts")
    parser.add_argument("--pushes", type=float, nargs="+", default=list(PUSHES))
    parser.add_argument("--only", nargs="+", default=[], help="candidates, by name")
    parser.add_argument("--attributes", nargs="+", default=list(ATTRIBUTES), choices=ATTRIBUTES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model, device="cpu", dtype="float32")
    points, means = run(
        model,
        arguments.out,
        prompts.neutral()[: arguments.prompts],
        arguments.pushes,
        arguments.only,
        arguments.attributes,
        workers=arguments.workers,
    )
    protocol = (
        f"Protocol: checkpoint {model.shape.public_name} ({model.shape.fingerprint}), "
        f"{arguments.prompts} neutral prompts, one take of 10 s each, seeds from {FIRST_SEED}, equal "
        f"in every condition; divergence over {DIVERGENCE_PROMPTS} takes of "
        f"{DIVERGENCE_SECONDS:g} s; bundled CLAP."
    )
    print(f"wrote {write_report(points, means, protocol, arguments.docs or arguments.out)}")


if __name__ == "__main__":
    main()
