"""Planted records of the effects study, and calibrations of vectors, for tests."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tests.steering.vectors import vector_of
from tonearm.model import Model
from tonearm.steering import (
    Calibration,
    Configuration,
    Evidence,
    SignCalibration,
    SteeringVector,
)
from tonearm.studies.effects_conditions import (
    ATTRIBUTES,
    PLAIN,
    RANDOM_SEEDS,
    SIGNS,
    Condition,
    conditions,
    processing_name,
    random_conditions,
    references,
)

PROMPTS, RANDOM_PROMPTS = 6, 3
PROCESSING = {
    "shelving+": {"gain": 12.5},
    "shelving-": {"gain": -8.0},
    "stretch+": {"rate": 1.25},
    "stretch-": {"rate": 0.8},
}
VALUES = {
    "tempo": 100.0,
    "bundled_tempo": 90.0,
    "onset_rate": 3.0,
    "onset_rate_superflux": 3.5,
    "spectral_centroid": 1500.0,
    "loudness": -20.0,
    "pulse_clarity": 0.6,
}


def calibrated(
    vector: SteeringVector,
    measure: str = "onset_rate",
    failure: str = "",
    configuration: Configuration = Configuration(strategy="all-to-all"),
) -> SteeringVector:
    """The vector with amounts of strength 0.2 and 0.3; the negative sign fails where given."""
    evidence = Evidence(
        measure=measure,
        plain=1,
        steered=2,
        effect=1,
        low=0.5,
        high=1.5,
        faulty_plain=0,
        faulty_steered=0,
        pulse_ratio=1,
        text_loss=0,
        prompts=30,
    )
    negative = (
        SignCalibration(failure=failure)
        if failure
        else SignCalibration(strength=0.3, configuration=configuration, evidence=evidence)
    )
    positive = SignCalibration(strength=0.2, configuration=configuration, evidence=evidence)
    calibration = Calibration(positive=positive, negative=negative)
    info = vector.info.model_copy(update={"calibration": calibration})
    return SteeringVector(vector.directions, info)


def vectors_of(model: Model) -> dict[str, SteeringVector]:
    """Calibrated tempo, brightness and density; the negative sign of density fails."""
    return {
        "tempo": calibrated(vector_of(model, "tempo", seed=0)),
        "brightness": calibrated(vector_of(model, "brightness", seed=1), "spectral_centroid"),
        "density": calibrated(
            vector_of(model, "density", seed=2), failure="faults in 40% of takes"
        ),
    }


Gains = Callable[[str], Mapping[str, float]]  # name of a condition -> factor by measure


def planted_records(vectors: Mapping[str, SteeringVector], gains: Gains) -> list[dict[str, Any]]:
    """Records of every condition: planted values times the condition's factors, and a spread.

    Prompt 0 has no confirmed beat by librosa. The random direction of seed s adds 3 (s mod 10) % to
    the onset rate.
    """
    rng = np.random.default_rng(0)
    processed = [
        Condition(processing_name(attribute, sign), "", attribute)
        for attribute in ATTRIBUTES
        for sign in SIGNS
    ]
    found = [
        _record(condition, prompt, gains(condition.name), rng)
        for condition in (*conditions(vectors), *processed, *references())
        for prompt in range(PROMPTS)
    ]
    found += [
        _record(condition, prompt, {"onset_rate": 1 + 0.03 * (_seed(condition) % 10)}, rng)
        for condition in random_conditions(vectors)
        for prompt in range(RANDOM_PROMPTS)
    ]
    for record in found:
        if record["setting"] in PROCESSING:
            record["processing"] = PROCESSING[record["setting"]]
    return found


def _seed(condition: Condition) -> int:
    seed = int(condition.name.split("-")[1])
    assert any(seed in seeds for seeds in RANDOM_SEEDS.values())
    return seed


def _record(
    condition: Condition, prompt: int, gains: Mapping[str, float], rng: np.random.Generator
) -> dict[str, Any]:
    wobble = 1 + prompt / 100 + 0.001 * rng.normal()
    values: dict[str, float | None] = {
        name: value * gains.get(name, 1) * wobble for name, value in VALUES.items()
    }
    if prompt == 0:
        values["tempo"] = None
    is_faulty = condition.name != PLAIN.name and prompt == 1
    faults = ["no pulse: clarity 0.15 (limit 0.2)", "a tone held for 6.0 s (limit 5.5 s)"]
    return {
        **{name: {"value": value} for name, value in values.items()},
        "clap_score": {"value": 0.3 + gains.get("clap_score", 0) + 0.01 * rng.normal()},
        "fingerprints": "planted",
        "faulty": is_faulty,
        "faults": faults if is_faulty else [],
        "tags": {"fast": 0.1 * gains.get("fast", 1) * wobble, "slow": 0.3 * wobble},
        "embedder": "planted",
        "embedding": list(rng.normal(size=3)),
        "setting": condition.name,
        "prompt": prompt,
        "vectors": "planted",
    }


def names_of(found: Iterable[Condition]) -> list[str]:
    """Names of conditions."""
    return [condition.name for condition in found]
