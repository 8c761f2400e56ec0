"""Conditions of the effects study: settings of its takes, with their labels and groups.

All have the same held-out prompts with the same seeds:

    plain           no steering, and no steering with other seeds, the floor
    tempo           amounts of the vector; the words; a time stretch of the unsteered takes
    brightness      amounts of the vector; the words; a shelving filter on the unsteered takes
    both            fast but dark: two amounts at once, and both words
    vectors         every other vector at amounts of 1 and -1
    raw             the vectors at the papers' raw strength, one-to-all

Random directions, on the first prompts, take an attribute's place in its calibration. Unsteered
takes of further seeds are the reference of FAD and KAD. A sign that fails its calibration has no
amounts, and so no condition.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tonearm.steering import Steer, Steering, SteeringVector
from tonearm.studies.steered_takes import Setting

AMOUNTS = (1.0, 0.5)
RAW_STRENGTH = 1.25  # Facchiano et al. 2025
ATTRIBUTES = ("tempo", "brightness")
WORDS = {"tempo": ("fast", "slow"), "brightness": ("bright", "dark")}
PROCESSING = {"tempo": "stretch", "brightness": "shelving"}
SIGNS = ("+", "-")
GROUPS = ("plain", *ATTRIBUTES, "both", "vectors", "raw")  # parts of the report, in order
FIRST_SEED, OTHER_SEED = 2000, 3000
REFERENCE_SEEDS = (4000, 5000, 6000)
RANDOM_PROMPTS = 10  # the first ones; the other conditions have all prompts
RANDOM_SEEDS = {"tempo": range(11, 21), "brightness": range(21, 31)}  # a direction each

Vectors = Mapping[str, SteeringVector]


@dataclass(frozen=True)
class Condition:
    """One condition of the study.

    Attributes:
        name: key in the records.
        label: in tables and figures.
        group: part of the report, see the module.
        steering: of every take.
        word: put before the prompt's noun phrase.
        first_seed: of the first prompt; prompt i has first_seed + i.
        count: of the prompts, from the first on; None for all.
    """

    name: str
    label: str
    group: str
    steering: Steering = field(default_factory=Steering)
    word: str = ""
    first_seed: int = FIRST_SEED
    count: int | None = None

    def setting(self, texts: tuple[str, ...]) -> Setting:
        """Setting of the condition for prompts."""
        worded = tuple(with_word(text, self.word) for text in texts) if self.word else None
        return Setting(self.name, self.steering, worded, self.first_seed, self.count)


PLAIN = Condition("plain", "no steering", "plain")
OTHER = Condition("other", "no steering, other seeds", "plain", first_seed=OTHER_SEED)


def conditions(vectors: Vectors) -> list[Condition]:
    """List the generated conditions of the report, no steering first, without random directions.

    Args:
        vectors: by name, with their calibrations.
    """
    found = [PLAIN, OTHER]
    for attribute in ATTRIBUTES:
        found += [
            Condition(
                amount_name(attribute, sign, amount),
                f"{attribute} {sign}{amount:g}",
                attribute,
                _amounts((attribute, signed(sign, amount))),
            )
            for amount in AMOUNTS
            for sign in SIGNS
        ]
        found += [_word(word, attribute) for word in WORDS[attribute]]
    both = _amounts(("tempo", 1), ("brightness", -1))
    found += [
        Condition("fast-dark", "tempo +1 and brightness -1", "both", both),
        _word("fast dark", "both"),
    ]
    found += [
        Condition(
            amount_name(name, sign),
            f"{name} {sign}1",
            "vectors",
            _amounts((name, signed(sign, 1))),
        )
        for name in other_vectors(vectors)
        for sign in SIGNS
    ]
    found += [
        Condition(
            f"{attribute}{sign}raw",
            f"{attribute} raw {sign}{RAW_STRENGTH:g}",
            "raw",
            Steering(steers=(Steer(vector=attribute, strength=signed(sign, RAW_STRENGTH)),)),
        )
        for attribute in ATTRIBUTES
        for sign in SIGNS
    ]
    return [one for one in found if not failure(one.steering, vectors)]


def random_conditions(vectors: Vectors) -> list[Condition]:
    """List the conditions of the random directions, at amounts of 1 and -1."""
    return [
        Condition(
            random_name(attribute, seed) + sign,
            f"random direction {seed} in place of {attribute} {sign}1",
            "random",
            _amounts((random_name(attribute, seed), signed(sign, 1))),
            count=RANDOM_PROMPTS,
        )
        for attribute in ATTRIBUTES
        for seed in RANDOM_SEEDS[attribute]
        for sign in SIGNS
        if not failure(_amounts((attribute, signed(sign, 1))), vectors)
    ]


def references() -> list[Condition]:
    """List the conditions whose unsteered takes are the reference of FAD and KAD."""
    return [
        Condition(f"reference-{seed}", f"reference, seeds {seed}", "reference", first_seed=seed)
        for seed in REFERENCE_SEEDS
    ]


def processing_name(attribute: str, sign: str) -> str:
    """Name of the condition of the unsteered takes, processed to the effect of an amount."""
    return PROCESSING[attribute] + sign


def amount_name(vector: str, sign: str, amount: float = 1.0) -> str:
    """Name of the condition of a vector at an amount."""
    return f"{vector}{sign}{amount:g}"


def random_name(attribute: str, seed: int) -> str:
    """Name of a random control vector of an attribute."""
    return f"random-{seed}-{attribute}"


def random_controls(vectors: Vectors) -> dict[str, SteeringVector]:
    """Draw the random directions.

    A control has one direction for all layers, with the attribute's norm in each, and the
    attribute's calibration: the strengths and the injection of its amounts.
    """
    controls = {}
    for attribute in ATTRIBUTES:
        vector = vectors[attribute]
        for seed in RANDOM_SEEDS[attribute]:
            noise = vector.random_like(seed)
            update = {"name": random_name(attribute, seed), "calibration": vector.info.calibration}
            info = noise.info.model_copy(update=update)
            controls[info.name] = SteeringVector(noise.directions, info)
    return controls


def other_vectors(vectors: Vectors) -> list[str]:
    """Names of the vectors beside the two attributes of the papers."""
    return sorted(name for name in vectors if name not in ATTRIBUTES)


def failures(vectors: Vectors) -> Iterator[tuple[str, str, str]]:
    """Yield vector, sign and reason of every sign without amounts."""
    for name in (*ATTRIBUTES, *other_vectors(vectors)):
        for sign in SIGNS:
            if reason := failure(_amounts((name, signed(sign, 1))), vectors):
                yield name, sign, reason


def failure(steering: Steering, vectors: Vectors) -> str:
    """Reason why a steering's amounts cannot be used, by its vectors' calibrations; or empty."""
    for steer in steering.steers:
        if steer.amount is None:
            continue
        calibration = vectors[steer.vector].info.calibration
        if calibration is None:
            return "not calibrated"
        if reason := calibration.of(1 if steer.amount > 0 else -1).failure:
            return reason
    return ""


def with_word(prompt: str, word: str) -> str:
    """Put a word before the noun phrase: "A folk tune" -> "A fast folk tune"."""
    first, _, rest = prompt.partition(" ")
    if first.lower() in ("a", "an"):
        first = first[0] + ("n" if word[0].lower() in "aeiou" else "")
    if first.lower() in ("a", "an", "the"):
        return f"{first} {word} {rest}"
    return f"{word} {prompt[0].lower()}{prompt[1:]}"


def signed(sign: str, size: float) -> float:
    """`size` with the sign "+" or "-"."""
    return -size if sign == "-" else size


def _amounts(*amounts: tuple[str, float]) -> Steering:
    return Steering(steers=tuple(Steer(vector=name, amount=amount) for name, amount in amounts))


def _word(word: str, group: str) -> Condition:
    words = "words" if " " in word else "word"
    return Condition(f"word-{word.replace(' ', '-')}", f'{words} "{word}"', group, word=word)
