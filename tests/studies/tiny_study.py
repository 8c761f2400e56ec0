"""The command line in a process of its own, with the study in miniature: prompts in the vocabulary of
the tiny checkpoints, and planted measures.

    python -m tests.studies.tiny_study study facchiano2025 --smoke --model FOLDER --out FOLDER

Worker processes import this module as their main module, and so use the planted measures, too. With
TINY_STUDY_SECONDS in the environment every job of the signal group takes as long.
"""

import os
import sys
import time
from collections.abc import Callable

import pytest

from tests.studies.test_facchiano2025 import TINY, planted, scenes
from tonearm.cli import main
from tonearm.datasets import prompts
from tonearm.studies import effects_processing, processing
from tonearm.studies.facchiano2025 import design, materials
from tonearm.studies.measure_groups import LOADERS, Group

SECONDS = "TINY_STUDY_SECONDS"
BEGUN = "begun"  # on stderr, once the command begins


def plant(patch: pytest.MonkeyPatch) -> None:
    """Replace sizes, prompts and measures."""
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
    patch.setattr(effects_processing, "CORNER", 400.0)  # takes of 1600 Hz
    patch.setattr(processing, "gain_for_centroid", lambda clips, target: 3.0)
    patch.setattr(design, "SMOKE", TINY)
    for name in LOADERS:
        patch.setitem(LOADERS, name, slowly(planted(name)) if name == "signal" else planted(name))


def slowly(load: Callable[[], Group]) -> Callable[[], Group]:
    """A group that waits before it measures."""
    found = load()

    def measure(requests):
        time.sleep(float(os.environ.get(SECONDS, "0")))
        return found.measure(requests)

    return lambda: Group(found.name, found.fingerprint, found.uses_texts, measure)


if __name__ in ("__main__", "__mp_main__"):  # not where tests import its names
    plant(pytest.MonkeyPatch())
if __name__ == "__main__":
    print(BEGUN, file=sys.stderr, flush=True)
    sys.exit(main())
