"""Takes of pocket's model card, as trials by part.

    words         a word for tempo or brightness in the prompt, or none
    numbers       a tempo in BPM in the prompt
    labels        a genre and a lead in the prompt
    continuation  five seconds of a held-out piece continued, without tempo and key in the prompt
    melody        a prompt with the lead of a held-out piece as melody, and without it
    extension     takes of 30 s, half of them with a tempo in BPM in the prompt

Take i of every condition has scene or piece i and the seed FIRST_SEED + i, so that conditions compare
take by take. Seeds and captions are held out. The facts of a trial are `index`, which is i, and its
condition: `word`, `bpm`, `genre` and `lead`, or `with_melody`.
"""

from collections.abc import Mapping, Sequence
from itertools import cycle, islice
from typing import Any

import numpy as np

from recipes.pocket import vocabulary
from recipes.pocket.evaluate import GROUPS, excerpt
from recipes.pocket.held_out import HeldOutPiece
from tonearm.audio import Clip
from tonearm.generation.request import TakeRequest
from tonearm.studies.plan import Trial

FIRST_SEED = 50_000
WORDS = ("", "fast", "slow", "bright", "dark")
PROMPTED_BPM = (60, 180)
SECONDS, PROMPT_SECONDS, LONG_SECONDS = 10.0, 5.0, 30.0
LONG_TAKES = 24  # of each condition


def card_trials(
    takes: int, pieces: Sequence[HeldOutPiece], leads: Sequence[Clip]
) -> dict[str, list[Trial]]:
    """Plan the takes of all parts.

    Args:
        takes: per word; twice as many for BPM numbers, six times as many for genre and lead.
        pieces: to be continued.
        leads: melodies, of the same pieces.

    Returns:
        Trials by part.
    """
    return {
        "words": [trial for word in WORDS for trial in word_trials(word, takes)],
        "numbers": number_trials(2 * takes),
        "labels": label_trials(6 * takes),
        "continuation": continuation_trials(pieces),
        "melody": melody_trials(leads),
        "extension": extension_trials(),
    }


def word_trials(word: str, takes: int) -> list[Trial]:
    """Plan takes with a word in the prompt; "" for none."""
    return [_trial(scene(i, word), i, {"word": word}) for i in range(takes)]


def number_trials(takes: int) -> list[Trial]:
    """Plan takes with a tempo in BPM in the prompt."""
    return [
        _trial(scene(i, tail=f"at {bpm} bpm"), i, {"bpm": bpm})
        for i, bpm in enumerate(prompted_bpms(takes))
    ]


def label_trials(takes: int) -> list[Trial]:
    """Plan takes with a genre and a lead in the prompt, and nothing else."""
    pairs = zip(cycle(vocabulary.GENRE), islice(cycle(vocabulary.LEAD), takes))
    return [
        _trial(
            f"a {vocabulary.GENRE[genre][0]} track with {vocabulary.LEAD[lead][0]}",
            i,
            {"genre": genre, "lead": lead},
        )
        for i, (genre, lead) in enumerate(pairs)
    ]


def continuation_trials(pieces: Sequence[HeldOutPiece]) -> list[Trial]:
    """Plan takes that continue a piece, with its genre and lead in the prompt."""
    return [
        _trial(
            f"a {piece.labels['genre']} track with {piece.labels['lead']}",
            i,
            {},
            seconds=SECONDS - PROMPT_SECONDS,
            continue_from=excerpt(piece.rendered, 0, PROMPT_SECONDS),
        )
        for i, piece in enumerate(pieces)
    ]


def melody_trials(leads: Sequence[Clip]) -> list[Trial]:
    """Plan takes with a melody, with another genre and lead in the prompt, and without it."""
    return [
        _trial(scene(i), i, {"with_melody": given}, melody=lead if given else None)
        for given in (True, False)
        for i, lead in enumerate(leads)
    ]


def extension_trials() -> list[Trial]:
    """Plan takes that are longer than the model's window, without and with BPM in the prompt."""
    numbers: list[int | None] = [None] * LONG_TAKES
    return [
        _trial(
            scene(i, tail="" if bpm is None else f"at {bpm} bpm"),
            i,
            {"bpm": bpm},
            seconds=LONG_SECONDS,
        )
        for bpms in (numbers, prompted_bpms(LONG_TAKES))
        for i, bpm in enumerate(bpms)
    ]


def _trial(prompt: str, index: int, facts: Mapping[str, Any], **fields: Any) -> Trial:
    """Plan the take of an index; further fields of its request override those of all takes."""
    request = TakeRequest(prompt, FIRST_SEED + index, **{"seconds": SECONDS, **fields})
    return Trial(request, {"index": index, **facts}, GROUPS)


def scene(index: int, word: str = "", tail: str = "") -> str:
    """Return a caption with genre, form and lead drawn by index.

    Its seeds are held out, its words are not.
    """
    rng = np.random.default_rng((7, index))
    genre, lead = (
        rng.choice([s[0] for s in vocabulary.GENRE.values()]),
        rng.choice([s[0] for s in vocabulary.LEAD.values()]),
    )
    form = rng.choice(vocabulary.FORM[:8])
    return f"a {word + ' ' if word else ''}{genre} {form} with {lead}{tail and ' ' + tail}"


def prompted_bpms(takes: int) -> list[int]:
    """Return whole BPM numbers, evenly spaced in ratio over PROMPTED_BPM."""
    return [round(bpm) for bpm in np.geomspace(PROMPTED_BPM[0], PROMPTED_BPM[-1], takes)]
