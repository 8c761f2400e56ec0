"""Takes of pocket for the model card of the bundled evaluators, as trials by part.

    words    a word of an attribute in the prompt, for the CLAP model
    numbers  a tempo in BPM in the prompt, for the beat trackers

The fact `truth` of a trial holds the values of the attributes in its prompt, `bpm` the tempo. Take i
of each question has the seed FIRST_SEED + i.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recipes.evaluators.captions import ATTRIBUTES
from recipes.evaluators.features import WINDOW_SECONDS
from recipes.pocket import vocabulary
from tonearm.datasets.rendering.compose import BEAT_FRAMES, FRAME_RATE
from tonearm.generation.request import TakeRequest
from tonearm.studies.plan import Trial

FIRST_SEED = 70_000
POLES = {
    "brightness": ("dark", "bright"),
    "tempo": ("slow", "fast"),
    "density": ("sparse", "dense"),
    "energy": ("calm", "energetic"),
    "mode": ("major", "minor"),
}


def card_trials(takes: int) -> dict[str, list[Trial]]:
    """Plan the takes of both parts.

    Args:
        takes: per question; twice as many for genre and lead.

    Returns:
        Trials by part.
    """
    return {"words": word_trials(takes), "numbers": number_trials(takes)}


def word_trials(takes: int) -> list[Trial]:
    """Plan takes with a genre and a lead in the prompt, then those of each pair of POLES."""
    rng = np.random.default_rng(7)
    genres, leads = list(vocabulary.GENRE), list(vocabulary.LEAD)
    trials = []
    for i in range(2 * takes):
        genre, lead = genres[i % len(genres)], leads[i % len(leads)]
        prompt = f"a {genre} {rng.choice(vocabulary.FORM[:8])} with {lead}"
        trials.append(_trial(prompt, i, {"truth": {"genre": genre, "lead": lead}}, "clap"))
    for attribute, pair in POLES.items():
        for i in range(takes):
            value = pair[i % 2]
            word = ATTRIBUTES[attribute][value][0]
            scene = f"{rng.choice(genres)} {rng.choice(vocabulary.FORM[:8])}"
            prompt = f"a {scene} {word}" if attribute == "mode" else f"a {word} {scene}"
            trials.append(_trial(prompt, i, {"truth": {attribute: value}}, "clap"))
    return trials


def number_trials(takes: int) -> list[Trial]:
    """Plan takes with a tempo in BPM in the prompt, over all of pocket's tempos."""
    rng = np.random.default_rng(8)
    tempos = [60 * FRAME_RATE / n for frames in BEAT_FRAMES.values() for n in frames]
    trials = []
    for i in range(takes):
        bpm = tempos[i % len(tempos)]
        scene = f"{rng.choice(list(vocabulary.GENRE))} {rng.choice(vocabulary.FORM[:8])}"
        prompt = f"a {scene} at {round(bpm)} bpm"
        trials.append(_trial(prompt, i, {"bpm": bpm}, "signal", "beats"))
    return trials


def _trial(prompt: str, index: int, facts: Mapping[str, Any], *groups: str) -> Trial:
    request = TakeRequest(prompt, FIRST_SEED + index, seconds=float(WINDOW_SECONDS))
    return Trial(request, facts, groups)
