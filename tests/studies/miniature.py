"""The Facchiano study in miniature: small sizes, prompts in the vocabulary of the tiny checkpoints, and
planted measures.
"""

from dataclasses import replace

import numpy as np
import pytest

from tonearm.datasets import prompts
from tonearm.processing import shelf
from tonearm.studies import processing
from tonearm.studies.facchiano2025 import materials
from tonearm.studies.facchiano2025.design import SMOKE
from tonearm.studies.measure_groups import LOADERS, Group

TINY = replace(SMOKE, seconds=0.4, curve=(0.5, 2.0), random=1, set_sizes=(1, 10), draws=1)


def value(number):
    return {"value": float(number), "unit": "", "protocol": "planted"}


def planted(name):
    """A group whose values are functions of the audio."""

    def measure(requests):
        found = []
        for request in requests:
            level = float(np.abs(request.clip.samples).mean())
            rng = np.random.default_rng(int(level * 1e9) % 2**32)
            names = {
                "signal": ("onset_rate", "spectral_centroid", "loudness", "pulse_clarity"),
                "beats": ("bundled_tempo",),
                "clap": ("clap_score",),
            }.get(name, ())
            record = {one: value(100 * (1 + level) * rng.uniform(0.9, 1.1)) for one in names}
            if name == "signal":
                record |= {"faulty": bool(rng.uniform() < 0.2), "faults": []}
            if name == "clap":
                record |= {"embedding": rng.normal(size=4).tolist(), "embedder": "planted"}
            if name == "tags":
                record |= {"tags": {"fast": float(rng.uniform())}}
            found.append(record)
        return found

    return lambda: Group(name, "planted", name == "clap", measure)


def scenes(word):
    """Prompts in the vocabulary of the tiny checkpoint."""
    return tuple(f"a {word} {kind}{' tune' * i}" for i in range(6) for kind in ("folk", "jazz"))


def plant(patch: pytest.MonkeyPatch) -> None:
    """Replace prompts and measures."""
    pairs = {name: prompts.PAIRS[name] for name in ("tempo", "brightness", "energy")}
    for module in (prompts, materials):
        patch.setattr(module, "PAIRS", pairs)
        patch.setattr(
            module,
            "load_pair",
            lambda name: prompts.PromptPair(name, scenes("fast"), scenes("slow"), "more", "less"),
        )
    patch.setattr(prompts, "neutral", lambda: scenes("calm"))
    patch.setattr(prompts, "held_out", lambda: scenes("slow"))
    patch.setattr(shelf, "CORNER", 400.0)  # takes of 1600 Hz
    patch.setattr(processing, "gain_for_centroid", lambda clips, target: 3.0)
    for name in LOADERS:
        patch.setitem(LOADERS, name, planted(name))
