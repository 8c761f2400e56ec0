"""How far DiffMean steering moves tempo and brightness, beside its controls (Facchiano et al. 2025, Table 1).

    python -m tonearm.studies.effects --out build/effects

Conditions, all on the same held-out prompts with the same seeds: no steering; each vector at +strength and -strength, one-to-all from its
best layer; a random vector of the same norm at both signs; the attribute's word put into the prompt; "fast but dark", two vectors at
once; and no steering with other seeds, as the floor. Takes of yet other seeds are the reference of the Fréchet distance. Each take is
measured by librosa and by the embedded ears (`listening.py`) and written down, so a study that was stopped goes on where it was.
"""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import nan
from pathlib import Path

import numpy as np
import torch

from tonearm.audio import Clip
from tonearm.datasets import prompts
from tonearm.errors import TonearmError
from tonearm.generation.request import TakeRequest
from tonearm.model import Model, load
from tonearm.steering import Steer, Steering, SteeringVector
from tonearm.studies.effects_measures import Heard, fingerprint_of, listen_aside, open_ears

STRENGTH = 1.25
GENTLE = (0.3, 0.1)  # where pocket's music is still whole
ATTRIBUTES = ("tempo", "brightness")
WORDS = ("fast", "slow", "bright", "dark")
FIRST_SEED = 2000
OTHER_SEED = 3000
REFERENCE_SEEDS = (4000, 5000, 6000)
RANDOM_SEED = 11
RESAMPLES = 4000


@dataclass(frozen=True)
class Condition:
    name: str
    label: str
    steering: Steering = field(default_factory=Steering)
    prefix: str = ""  # words put before the prompt
    first_seed: int = FIRST_SEED


@dataclass(frozen=True)
class Effect:
    """The mean of a measure under a condition, and its change against no steering with a 95 % interval (paired bootstrap).

    All but `n` are NaN under two pairs.
    """

    mean: float
    deviation: float
    change: float
    low: float
    high: float
    n: int


def conditions(strength: float) -> list[Condition]:
    def steered(size: float, *pairs: tuple[str, float]) -> Steering:
        return Steering(steers=tuple(Steer(vector=name, strength=sign * size) for name, sign in pairs))

    def at(size: float, suffix: str) -> list[Condition]:
        """Both vectors, both ways, and fast but dark."""
        return [
            *(
                Condition(f"{name}{sign}{suffix}", f"{name} {sign}{size:g}", steered(size, (name, float(f"{sign}1"))))
                for name in ATTRIBUTES for sign in "+-"
            ),
            Condition(f"fast-dark{suffix}", f"tempo +{size:g} and brightness -{size:g}", steered(size, ("tempo", 1), ("brightness", -1))),
        ]  # fmt: skip

    def random(size: float, suffix: str) -> list[Condition]:
        return [
            Condition(
                f"random-{name}{sign}{suffix}", f"random vector, norm of {name}, {sign}{size:g}",
                steered(size, (f"random-{name}", float(f"{sign}1"))),
            )
            for name in ATTRIBUTES for sign in "+-"
        ]  # fmt: skip

    return [
        Condition("plain", "no steering"),
        Condition("other", "no steering, other seeds", first_seed=OTHER_SEED),
        *at(strength, ""),
        *(condition for size in GENTLE for condition in at(size, f"{size:g}")),
        *(Condition(f"word-{word}", f'the word "{word}" in the prompt', prefix=word) for word in WORDS),
        *random(strength, ""),
        *random(GENTLE[-1], f"{GENTLE[-1]:g}"),
    ]


def references() -> list[Condition]:
    """Unsteered takes that stand for pocket's own music."""
    return [Condition(f"reference-{seed}", f"reference, seeds {seed}", first_seed=seed) for seed in REFERENCE_SEEDS]


def control(vector: SteeringVector, name: str) -> SteeringVector:
    """A random direction with the norm of the vector's best layer, in every layer."""
    best = vector.info.best_layer or 0
    noise = vector.random_like(RANDOM_SEED)
    return SteeringVector(dict.fromkeys(vector.layers, noise[best]), noise.info).renamed(name)


def with_word(prompt: str, word: str) -> str:
    """The word before the noun phrase: "A folk tune" -> "A fast folk tune"."""
    if not word:
        return prompt
    first, _, rest = prompt.partition(" ")
    return (
        f"{first} {word} {rest}" if first.lower() in ("a", "an", "the") else f"{word} {prompt[0].lower()}{prompt[1:]}"
    )


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
) -> list[dict]:
    """Make and measure what `out/takes.jsonl` lacks; returns all its records. `only` names conditions.

    `keep` is a folder for the takes' audio: those that lie there are measured again, with other ears for instance, and not made again.
    """
    out.mkdir(parents=True, exist_ok=True)
    store = out / "takes.jsonl"
    records = list(read_records(store))
    done = {(record["condition"], record["prompt"]) for record in records}
    for name in ATTRIBUTES:
        model.vectors[f"random-{name}"] = control(model.vectors[name], f"random-{name}")
    making = making_of(model, strength, seconds)
    protocol = f"{making} {fingerprint_of(open_ears())}"
    for record in records:
        if record["protocol"] != protocol:
            raise TonearmError(
                f"{store} holds takes of another protocol ({record['protocol']}, now {protocol}); choose another --out"
            )
    wanted = [c for c in (*conditions(strength), *references()) if not only or c.name in only]
    todo = [Cell(c, i) for c in wanted for i in range(len(texts)) if (c.name, i) not in done]
    cells = [todo[first : first + batch_size] for first in range(0, len(todo), batch_size)]
    with store.open("a", encoding="utf-8") as file:
        if records and not store.read_text(encoding="utf-8").endswith("\n"):
            file.write("\n")  # ends a line that a kill cut short
        began, made = time.monotonic(), 0
        folder = keep and keep / hashlib.sha256(making.encode()).hexdigest()[:16]
        batches = (make(model, texts, batch, seconds, folder) for batch in cells)
        for batch, heard in zip(cells, listen_aside(batches, workers), strict=True):
            for cell, measured in zip(batch, heard, strict=True):
                record = {
                    "condition": cell.condition.name,
                    "prompt": cell.prompt,
                    "seed": cell.seed,
                    "protocol": protocol,
                    **measured,
                }
                file.write(json.dumps(record, allow_nan=False) + "\n")
                records.append(record)
            file.flush()
            made += len(batch)
            left = (time.monotonic() - began) * (len(todo) - made) / made
            print(f"{batch[-1].condition.label}: {made} of {len(todo)} takes, {left:.0f} s left", file=sys.stderr)
    return records


@dataclass(frozen=True)
class Cell:
    """One take to be made: a condition and the index of a prompt."""

    condition: Condition
    prompt: int

    @property
    def seed(self) -> int:
        return self.condition.first_seed + self.prompt

    def text(self, texts: Sequence[str], prompt: int | None = None) -> str:
        """What is asked for; or what its condition would ask of another prompt."""
        return with_word(texts[self.prompt if prompt is None else prompt], self.condition.prefix)


def make(
    model: Model, texts: Sequence[str], cells: Sequence[Cell], seconds: float, folder: Path | None = None
) -> list[Heard]:
    """One batch of takes, ready to be listened to; from `folder` where they lie there, and put there where not."""
    files = [folder and folder / cell.condition.name / f"{cell.prompt}.wav" for cell in cells]
    missing = [i for i, file in enumerate(files) if not (file and file.exists())]
    rows = [
        TakeRequest(cell.text(texts), cell.seed, cell.condition.steering, seconds=seconds)
        for cell in (cells[i] for i in missing)
    ]
    clips = {i: Clip.read(file) for i, file in enumerate(files) if file and i not in missing}
    for i, take in zip(missing, model.takes(rows, batch_size=len(rows)) if rows else (), strict=True):
        clips[i] = take.clip
        if file := files[i]:
            take.clip.write(file)
    return [
        Heard(clips[i], cell.text(texts), cell.text(texts, (cell.prompt + 1) % len(texts)))
        for i, cell in enumerate(cells)
    ]


def making_of(model: Model, strength: float, seconds: float) -> str:
    """What must not change under a study that goes on, but for the ears: weights, sampling, vectors, best layers, strength, seconds."""
    vectors = [model.vectors[name] for name in ATTRIBUTES]
    named = " ".join(f"{v.name}:{v.content_hash()[:8]}@{v.info.best_layer}" for v in vectors)
    own = model.checkpoint.sampling
    drawn = f"guidance {own.guidance:g} temperature {own.temperature:g} top-k {own.top_k}"
    return f"{model.checkpoint.fingerprint} {drawn} {named} strength {strength:g} {seconds:g} s"


def read_records(store: Path) -> Iterator[dict]:
    """Whole lines only: a line that a kill cut short is made again."""
    if store.exists():
        for line in store.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def effect(
    plain: Sequence[float | None], steered: Sequence[float | None], relative: bool = True, seed: int = 0
) -> Effect:
    """Change of the mean, relative or as a difference, over the prompts that could be measured under both."""
    pairs = np.array(
        [(a, b) for a, b in zip(plain, steered, strict=True) if a is not None and b is not None], dtype=float
    )
    if len(pairs) < 2:
        return Effect(nan, nan, nan, nan, nan, len(pairs))
    draws = np.random.default_rng(seed).integers(len(pairs), size=(RESAMPLES, len(pairs)))

    def change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        return after / before - 1 if relative else after - before

    low, high = np.percentile(change(pairs[draws, 0].mean(1), pairs[draws, 1].mean(1)), [2.5, 97.5])
    mean = pairs.mean(0)
    return Effect(mean[1], pairs[:, 1].std(ddof=1), float(change(mean[0], mean[1])), low, high, len(pairs))


if __name__ == "__main__":
    from tonearm.studies.effects_report import write_report

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pocket")
    parser.add_argument("--out", type=Path, default=Path("build/effects"))
    parser.add_argument("--docs", type=Path, help="also write effects.md and effects.png into this folder")
    parser.add_argument("--readme", type=Path, help="also put the short table between the marks of this README")
    parser.add_argument("--strength", type=float, default=STRENGTH)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--prompts", type=int, default=50)
    parser.add_argument(
        "--only",
        nargs="+",
        choices=[c.name for c in (*conditions(STRENGTH), *references())],
        metavar="CONDITION",
        help="make these, and write no report",
    )
    parser.add_argument(
        "--keep", type=Path, help="keep the takes as WAV in this folder; those that lie there are not made again"
    )
    parser.add_argument("--threads", type=int, default=2, help="to make takes with")
    parser.add_argument(
        "--workers", type=int, default=1, help="processes that measure them; 0: none, one after the other"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model)
    texts = prompts.held_out()[: arguments.prompts]
    records = run(
        model, texts, arguments.strength, arguments.seconds, arguments.out, arguments.only,
        workers=arguments.workers, keep=arguments.keep,
    )  # fmt: skip
    if not arguments.only:
        folder = arguments.docs or arguments.out
        write_report(records, model, arguments.strength, arguments.seconds, folder, arguments.readme)
