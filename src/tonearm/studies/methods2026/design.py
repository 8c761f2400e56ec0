"""Sizes of the study, and the prompts that it shares between attributes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

LAYER_SETS = ("all", "early", "middle", "late")
ALL, OWN = LAYER_SETS[0], "own"  # own: the layers of a vector that has not all of them
# splits of the prompts
NEUTRAL, HELD_OUT = "neutral", "held-out"
# experiments of the records
PLAIN, OTHER_SEEDS, TRIED, REPORTED = "plain", "other seeds", "layer sets", "held out"
RANDOM, WORD, PROCESSED = "random", "word", "processed"
# words of the attributes and of their kin, whose prompts would have an attribute without steering
OWN_WORDS = re.compile(r"\b(jazz|swing|flute|drums?)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Design:
    """Sizes.

    name           whole or smoke
    seconds        of each take
    examples       prompts of each side of a pair that a direction is learned from
    neutral        prompts on which layer sets are chosen
    held_out       prompts that choose nothing, for the numbers that are reported
    plain_seeds    plain takes of each prompt; a change is against their mean
    choice         nats per frame at which layer sets are compared
    divergences    nats per frame of the curves of effect
    cutoff         nats per frame to which the area under a curve reaches
    curve_prompts  plain takes on which divergences are measured
    random         random directions
    drum_pairs     rendered pieces with and without drums, from which directions are learned
    tested_pairs   further ones, which train the classifier of drums
    pieces         rendered pieces that train the classifier of genres
    contrasted     examples of each side that are read for sparse features
    scaled         neutral takes on which the scales of projections are measured
    notes, tempos  rendered clips on which MusicRFM's concepts are probed
    note_divergences  nats per frame at which takes are steered to a pitch class
    """

    name: str
    seconds: float = 10.0
    examples: int = 100
    neutral: int = 6
    held_out: int = 12
    plain_seeds: int = 4
    choice: float = 0.3
    divergences: tuple[float, ...] = (0.1, 0.3, 1.0)
    cutoff: float = 0.8
    curve_prompts: int = 3
    random: int = 3
    drum_pairs: int = 150
    tested_pairs: int = 60
    pieces: int = 360
    contrasted: int = 40
    scaled: int = 8
    notes: int = 960
    tempos: int = 500
    note_divergences: tuple[float, ...] = (0.3, 1.0)


WHOLE = Design("whole")
SMOKE = Design(
    "smoke",
    seconds=4.0,
    examples=20,
    neutral=2,
    held_out=2,
    plain_seeds=2,
    divergences=(0.3, 1.0),
    curve_prompts=1,
    random=1,
    drum_pairs=60,
    tested_pairs=10,
    pieces=36,
    contrasted=8,
    scaled=2,
    notes=120,
    tempos=100,
    note_divergences=(0.3,),
)


def shared_prompts(texts: Sequence[str], count: int) -> tuple[str, ...]:
    """The first prompts without a word of an attribute, which serve every attribute."""
    return tuple(text for text in texts if not OWN_WORDS.search(text))[:count]


def layer_sets(layer_count: int) -> dict[str, tuple[int, ...] | None]:
    """Layers of each set; None for all. Early, middle and late are thirds."""
    bounds = [round(i * layer_count / 3) for i in range(4)]
    thirds = [tuple(range(bounds[i], bounds[i + 1])) for i in range(3)]
    return dict(zip(LAYER_SETS, [None, *thirds], strict=True))
