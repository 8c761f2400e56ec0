"""How far DiffMean steering moves tempo and brightness, beside its controls (Facchiano et al. 2025, Table 1).

    python -m tonearm.studies.effects --out build/effects

Conditions, all on the same held-out prompts with the same seeds: no steering; each vector at +strength and -strength, one-to-all from its
best layer; a random vector of the same norm at both signs; the attribute's word put into the prompt; and "fast but dark", two vectors at
once. Each take is measured and written down as it is made, so a study that was stopped goes on where it was.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from tonearm import prompts
from tonearm.errors import TonearmError
from tonearm.measures import describe
from tonearm.model import Model, load
from tonearm.rows import Row
from tonearm.steering import Steer, Steering, SteeringVector

STRENGTH = 1.25
GENTLE = (0.15, 0.05)  # where pocket's music is still whole
ATTRIBUTES = ("tempo", "brightness")
WORDS = ("fast", "slow", "bright", "dark")
FIRST_SEED = 2000
RANDOM_SEED = 11
RESAMPLES = 4000


@dataclass(frozen=True)
class Condition:
    name: str
    label: str
    steering: Steering = field(default_factory=Steering)
    prefix: str = ""  # words put before the prompt


@dataclass(frozen=True)
class Effect:
    """The mean of a measure under a condition, and its change against no steering with a 95 % interval (paired bootstrap)."""

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
        *at(strength, ""),
        *(condition for size in GENTLE for condition in at(size, f"{size:g}")),
        *(Condition(f"word-{word}", f'the word "{word}" in the prompt', prefix=word) for word in WORDS),
        *random(strength, ""),
        *random(GENTLE[-1], f"{GENTLE[-1]:g}"),
    ]


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
) -> list[dict]:
    """Make and measure what `out/takes.jsonl` lacks; returns all its records. `only` names conditions: processes can share the work."""
    out.mkdir(parents=True, exist_ok=True)
    store = out / "takes.jsonl"
    records = list(read_records(store))
    done = {(record["condition"], record["prompt"]) for record in records}
    for name in ATTRIBUTES:
        model.vectors[f"random-{name}"] = control(model.vectors[name], f"random-{name}")
    protocol = protocol_of(model, strength, seconds)
    for record in records:
        if record["protocol"] != protocol:
            raise TonearmError(
                f"{store} holds takes of another protocol ({record['protocol']}, now {protocol}); choose another --out"
            )
    with store.open("a", encoding="utf-8") as file:
        if records and not store.read_text(encoding="utf-8").endswith("\n"):
            file.write("\n")  # ends a line that a kill cut short
        for condition in conditions(strength):
            if only and condition.name not in only:
                continue
            missing = [i for i in range(len(texts)) if (condition.name, i) not in done]
            rows = [
                Row(with_word(texts[i], condition.prefix), FIRST_SEED + i, condition.steering, seconds=seconds)
                for i in missing
            ]
            if not rows:
                continue
            for index, take in zip(missing, model.takes(rows, batch_size=batch_size), strict=True):
                record = {
                    "condition": condition.name,
                    "prompt": index,
                    "seed": FIRST_SEED + index,
                    "protocol": protocol,
                    **describe(take.clip).to_dict(),
                }
                file.write(json.dumps(record, allow_nan=False) + "\n")
                file.flush()
                records.append(record)
            print(f"{condition.label}: {len(rows)} takes", flush=True)
    return records


def protocol_of(model: Model, strength: float, seconds: float) -> str:
    """What must not change under a study that goes on: weights, vectors, best layers, strength, seconds."""
    vectors = [model.vectors[name] for name in ATTRIBUTES]
    named = " ".join(f"{v.name}:{v.content_hash()[:8]}@{v.info.best_layer}" for v in vectors)
    return f"{model.checkpoint.fingerprint} {named} strength {strength:g} {seconds:g} s"


def read_records(store: Path) -> Iterator[dict]:
    """Whole lines only: a line that a kill cut short is made again."""
    if store.exists():
        for line in store.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue


def effect(plain: Sequence[float | None], steered: Sequence[float | None], seed: int = 0) -> Effect:
    """Relative change of the mean over the prompts that could be measured under both."""
    pairs = np.array(
        [(a, b) for a, b in zip(plain, steered, strict=True) if a is not None and b is not None], dtype=float
    )
    draws = np.random.default_rng(seed).integers(len(pairs), size=(RESAMPLES, len(pairs)))
    before, after = pairs[draws, 0].mean(1), pairs[draws, 1].mean(1)
    low, high = np.percentile(after / before - 1, [2.5, 97.5])
    change = pairs[:, 1].mean() / pairs[:, 0].mean() - 1
    return Effect(pairs[:, 1].mean(), pairs[:, 1].std(ddof=1), change, low, high, len(pairs))


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
        "--only", nargs="+", choices=[c.name for c in conditions(STRENGTH)], help="make these, and write no report"
    )
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = load(arguments.model)
    texts = prompts.held_out()[: arguments.prompts]
    records = run(model, texts, arguments.strength, arguments.seconds, arguments.out, arguments.only)
    if not arguments.only:
        folder = arguments.docs or arguments.out
        write_report(records, model, arguments.strength, arguments.seconds, folder, arguments.readme)
