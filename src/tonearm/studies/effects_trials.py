"""Trials of the effects study: its conditions, the generation of its takes, and its records.

Conditions, all on the same held-out prompts with the same seeds: no steering; each vector at
+strength and -strength, one-to-all from its best layer; ten random directions with the norm of each
vector at both signs; the attribute's word in the prompt; "fast but dark", two vectors at once; and
no steering with other seeds, as the floor. Unsteered takes of further seeds are the reference of
FAD and KAD.

Each take is measured by librosa and by the bundled evaluators (`effects_measures.py`). One record
per take is appended to `takes.jsonl`; a study that was stopped resumes after the last whole record.
"""

import hashlib
import json
import logging
import lzma
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import t as student_t

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.generation.request import TakeRequest
from tonearm.model import Model
from tonearm.steering import Steer, Steering, SteeringVector
from tonearm.studies.effects_measures import (
    MeasureRequest,
    evaluators_fingerprint,
    load_evaluators,
    measure_batches,
    measures_fingerprint,
)

log = logging.getLogger(__name__)

STRENGTH = 1.25
GENTLE = (0.3, 0.1)
ATTRIBUTES = ("tempo", "brightness")
WORDS = ("fast", "slow", "bright", "dark")
FIRST_SEED = 2000
OTHER_SEED = 3000
REFERENCE_SEEDS = (4000, 5000, 6000)
RANDOM_PROMPTS = 10  # the first ones; the other conditions have all prompts
RANDOM_SEEDS = {"tempo": range(11, 21), "brightness": range(21, 31)}  # a direction each
RESAMPLES = 4000
BOOTSTRAP_FROM = 50  # prompts

RECORDS = "effects-takes.jsonl.xz"  # one record per take, beside the page
Record = Mapping[str, Any]  # one take: condition, prompt, seed, protocol, and its measures


@dataclass(frozen=True)
class Condition:
    """One setting of the study.

    Attributes:
        name: key in the records.
        label: in tables and figures.
        steering: of every take.
        word: put before the prompt's noun phrase.
        first_seed: of the first prompt; prompt i has first_seed + i.
    """

    name: str
    label: str
    steering: Steering = field(default_factory=Steering)
    word: str = ""
    first_seed: int = FIRST_SEED


@dataclass(frozen=True)
class Effect:
    """Mean of a measure under a condition, and its change against no steering.

    All but `n` are NaN under two pairs.

    Attributes:
        mean: under the condition.
        deviation: standard deviation over prompts.
        change: of the mean, relative or as a difference.
        low: bound of the 95 % interval of `change`, see `effect`.
        high: likewise.
        n: prompts measured under both.
    """

    mean: float
    deviation: float
    change: float
    low: float
    high: float
    n: int


def conditions(strength: float) -> list[Condition]:
    """List the conditions of the study but the random directions; the first is no steering."""

    def steered(size: float, suffix: str) -> list[Condition]:
        """Both vectors with both signs, and fast but dark."""
        found = [
            Condition(
                f"{name}{sign}{suffix}",
                f"{name} {sign}{size:g}",
                _steering(size, (name, float(f"{sign}1"))),
            )
            for name in ATTRIBUTES
            for sign in "+-"
        ]
        both = _steering(size, ("tempo", 1), ("brightness", -1))
        label = f"tempo +{size:g} and brightness -{size:g}"
        return [*found, Condition(f"fast-dark{suffix}", label, both)]

    return [
        Condition("plain", "no steering"),
        Condition("other", "no steering, other seeds", first_seed=OTHER_SEED),
        *steered(strength, ""),
        *(condition for size in GENTLE for condition in steered(size, f"{size:g}")),
        *(
            Condition(f"word-{word}", f'the word "{word}" in the prompt', word=word)
            for word in WORDS
        ),
    ]


def random_conditions(strength: float) -> list[Condition]:
    """List the conditions of the random directions, at the strength and at the gentlest one."""
    return [
        Condition(
            random_condition(attribute, sign, suffix, seed),
            f"random direction {seed}, norm of {attribute}, {sign}{size:g}",
            _steering(size, (random_name(attribute, seed), float(f"{sign}1"))),
        )
        for size, suffix in ((strength, ""), (GENTLE[-1], f"{GENTLE[-1]:g}"))
        for attribute in ATTRIBUTES
        for seed in RANDOM_SEEDS[attribute]
        for sign in "+-"
    ]


def _steering(size: float, *signs: tuple[str, float]) -> Steering:
    return Steering(steers=tuple(Steer(vector=name, strength=sign * size) for name, sign in signs))


def references() -> list[Condition]:
    """List the conditions whose unsteered takes are the reference of FAD and KAD."""
    return [
        Condition(f"reference-{seed}", f"reference, seeds {seed}", first_seed=seed)
        for seed in REFERENCE_SEEDS
    ]


def random_condition(attribute: str, sign: str, suffix: str, seed: int) -> str:
    """Name the condition of a random direction with an attribute's norm."""
    return f"{random_name(attribute, seed)}{sign}{suffix}"


def random_name(attribute: str, seed: int) -> str:
    """Name of a random control vector of an attribute."""
    return f"random-{seed}-{attribute}"


def random_control(vector: SteeringVector, seed: int) -> SteeringVector:
    """Draw a random direction with the norm of the vector's best layer, equal in every layer."""
    best = vector.info.best_layer or 0
    noise = vector.random_like(seed)
    control = SteeringVector(dict.fromkeys(vector.layers, noise[best]), noise.info)
    return control.renamed(random_name(vector.name, seed))


def with_word(prompt: str, word: str) -> str:
    """Put a word before the noun phrase: "A folk tune" -> "A fast folk tune"."""
    if not word:
        return prompt
    first, _, rest = prompt.partition(" ")
    if first.lower() in ("a", "an", "the"):
        return f"{first} {word} {rest}"
    return f"{word} {prompt[0].lower()}{prompt[1:]}"


@dataclass(frozen=True)
class Trial:
    """One take of the study: a condition and the index of a prompt."""

    condition: Condition
    prompt: int

    @property
    def key(self) -> tuple[str, int]:
        return self.condition.name, self.prompt

    @property
    def seed(self) -> int:
        return self.condition.first_seed + self.prompt

    def text(self, texts: Sequence[str]) -> str:
        """Prompt with the condition's word."""
        return with_word(texts[self.prompt], self.condition.word)

    def other_text(self, texts: Sequence[str]) -> str:
        """Next prompt with the condition's word, the control of the CLAP score."""
        return with_word(texts[(self.prompt + 1) % len(texts)], self.condition.word)


def all_trials(strength: float, prompts: int) -> list[Trial]:
    """List the trials of the study; the random directions have the first `RANDOM_PROMPTS` only."""
    groups = (
        ((*conditions(strength), *references()), prompts),
        (random_conditions(strength), min(prompts, RANDOM_PROMPTS)),
    )
    return [
        Trial(condition, prompt)
        for members, count in groups
        for condition in members
        for prompt in range(count)
    ]


def run(
    model: Model,
    texts: Sequence[str],
    strength: float,
    seconds: float,
    out: Path,
    only: Sequence[str] | None = None,
    batch_size: int = 25,
    workers: int = 0,
    keep: Path | None = None,
) -> list[Record]:
    """Generate and measure the takes that `out`/takes.jsonl lacks.

    Args:
        model: with the vectors "tempo" and "brightness".
        texts: prompts.
        strength: of the vectors.
        seconds: of each take.
        out: folder of the records.
        only: names of conditions; by default all.
        batch_size: takes per batch.
        workers: processes that measure; 0 for this one.
        keep: folder of the takes' audio; a take in it is measured again and not generated again.

    Returns:
        All records, including those that were present.

    Raises:
        TonearmError: the records present have another protocol.
    """
    out.mkdir(parents=True, exist_ok=True)
    store = out / "takes.jsonl"
    records = list(read_records(store))
    done = {(record["condition"], record["prompt"]) for record in records}
    generation = generation_protocol(model, strength, seconds)
    evaluators = evaluators_fingerprint(load_evaluators())
    protocol = f"{generation} {evaluators} {measures_fingerprint()}"
    for record in records:
        if record["protocol"] != protocol:
            raise TonearmError(
                f"{store} holds takes of another protocol ({record['protocol']}, now {protocol}); "
                "choose another --out"
            )
    trials = [
        trial
        for trial in all_trials(strength, len(texts))
        if trial.key not in done and (not only or trial.condition.name in only)
    ]
    batches = [trials[first : first + batch_size] for first in range(0, len(trials), batch_size)]
    folder = keep and keep / hashlib.sha256(generation.encode()).hexdigest()[:16]
    with store.open("a", encoding="utf-8") as file:
        if records and not store.read_text(encoding="utf-8").endswith("\n"):
            file.write("\n")  # ends a record that was cut short
        began, count = time.monotonic(), 0
        requests = (generate(model, texts, batch, seconds, folder) for batch in batches)
        for batch, results in zip(batches, measure_batches(requests, workers), strict=True):
            for trial, measured in zip(batch, results, strict=True):
                record = {
                    "condition": trial.condition.name,
                    "prompt": trial.prompt,
                    "seed": trial.seed,
                    "protocol": protocol,
                    **measured,
                }
                file.write(json.dumps(record, allow_nan=False) + "\n")
                records.append(record)
            file.flush()
            count += len(batch)
            left = (time.monotonic() - began) * (len(trials) - count) / count
            log.info(
                "%s: %d of %d takes, %.0f s left",
                batch[-1].condition.label,
                count,
                len(trials),
                left,
            )
    return records


def generate(
    model: Model,
    texts: Sequence[str],
    trials: Sequence[Trial],
    seconds: float,
    folder: Path | None = None,
) -> list[MeasureRequest]:
    """Generate one batch of takes, or read those that are in `folder`.

    Args:
        model: with the vectors of the study.
        texts: prompts.
        trials: of the batch.
        seconds: of each take.
        folder: of the takes' audio; new takes are written to it.

    Returns:
        One request per trial.
    """
    files = [folder and folder / trial.condition.name / f"{trial.prompt}.wav" for trial in trials]
    missing = [i for i, file in enumerate(files) if not (file and file.exists())]
    clips = {i: Clip.read(file) for i, file in enumerate(files) if file and i not in missing}
    requests = [
        TakeRequest(
            trials[i].text(texts), trials[i].seed, trials[i].condition.steering, seconds=seconds
        )
        for i in missing
    ]
    if requests:
        controls = {
            random_name(name, seed): random_control(model.vectors[name], seed)
            for name in ATTRIBUTES
            for seed in RANDOM_SEEDS[name]
        }
        takes = model.generate_batch(requests, vectors=controls, batch_size=len(requests))
        for i, take in zip(missing, takes, strict=True):
            clips[i] = take.clip
            if file := files[i]:
                take.clip.write(file)
    return [
        MeasureRequest(clips[i], trial.text(texts), trial.other_text(texts))
        for i, trial in enumerate(trials)
    ]


def generation_protocol(model: Model, strength: float, seconds: float) -> str:
    """Identify weights, device, precision, sampling, vectors, best layers, strength and length."""
    vectors = [model.vectors[name] for name in ATTRIBUTES]
    hashes = " ".join(f"{v.name}:{v.content_hash()[:8]}@{v.info.best_layer}" for v in vectors)
    own = model.sampling()
    sampling = f"guidance {own.guidance:g} temperature {own.temperature:g} top-k {own.top_k}"
    hardware = f"{model.checkpoint.device.type} {model.checkpoint.precision}"
    return (
        f"{model.shape.fingerprint} {hardware} {sampling} {hashes} "
        f"strength {strength:g} {seconds:g} s"
    )


def save_records(records: Sequence[Record], path: Path) -> None:
    """Write records as JSON Lines, compressed by xz."""
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records)
    with atomic_write(path) as temporary:
        temporary.write_bytes(lzma.compress(lines.encode("utf-8"), preset=9))


def read_records(store: Path) -> Iterator[Record]:
    """Read whole records of a .jsonl or .jsonl.xz file; one that was cut short is skipped."""
    if store.exists():
        content = store.read_bytes()
        content = lzma.decompress(content) if store.suffix == ".xz" else content
        for line in content.decode("utf-8").split("\n"):
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def of_condition(records: Sequence[Record], condition: str) -> list[Record]:
    """Select the records of a condition, by prompt."""
    found = [record for record in records if record["condition"] == condition]
    return sorted(found, key=lambda record: record["prompt"])


def values(records: Sequence[Record], condition: str, measure: str) -> list[float | None]:
    """Select the values of a measure under a condition, by prompt."""
    return [record[measure]["value"] for record in of_condition(records, condition)]


def effect(
    plain: Sequence[float | None],
    steered: Sequence[float | None],
    relative: bool = True,
    seed: int = 0,
) -> Effect:
    """Estimate the change of a mean over the prompts that were measured under both conditions.

    The interval is paired by prompt: a bootstrap from BOOTSTRAP_FROM prompts on. Below, where a
    bootstrap is too narrow, it is a t-interval; a ratio of means R = mean y / mean x is linearised
    to the residuals (y_i - R x_i) / mean x (Cochran 1977, "Sampling Techniques", 6.3).

    Args:
        plain: values without steering, by prompt.
        steered: values under the condition, by prompt.
        relative: change as a share of the plain mean; otherwise as a difference.
        seed: of the bootstrap.

    Returns:
        The effect.
    """
    pairs = np.array(
        [
            (before, after)
            for before, after in zip(plain, steered, strict=True)
            if before is not None and after is not None
        ],
        dtype=float,
    )
    if len(pairs) < 2:
        return Effect(nan, nan, nan, nan, nan, len(pairs))
    before, after = pairs.T

    def change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        return after / before - 1 if relative else after - before

    found = float(change(before.mean(), after.mean()))
    if len(pairs) >= BOOTSTRAP_FROM:
        draws = np.random.default_rng(seed).integers(len(pairs), size=(RESAMPLES, len(pairs)))
        low, high = np.percentile(change(before[draws].mean(1), after[draws].mean(1)), [2.5, 97.5])
    else:
        ratio = 1 + found if relative else 1.0
        residuals = (after - ratio * before) / (before.mean() if relative else 1.0)
        error = residuals.std(ddof=1) / len(pairs) ** 0.5
        reach = float(student_t.ppf(0.975, len(pairs) - 1)) * error
        low, high = found - reach, found + reach
    return Effect(after.mean(), after.std(ddof=1), found, low, high, len(pairs))
