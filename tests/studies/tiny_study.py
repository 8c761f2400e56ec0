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

from tests.studies.miniature import TINY, plant
from tonearm.cli import main
from tonearm.studies.facchiano2025 import design
from tonearm.studies.measure_groups import LOADERS, Group

SECONDS = "TINY_STUDY_SECONDS"
BEGUN = "begun"  # on stderr, once the command begins


def slowly(load: Callable[[], Group]) -> Callable[[], Group]:
    """A group that waits before it measures."""
    found = load()

    def measure(requests):
        time.sleep(float(os.environ.get(SECONDS, "0")))
        return found.measure(requests)

    return lambda: Group(found.name, found.fingerprint, found.uses_texts, measure)


def plant_study() -> None:
    """Replace sizes, prompts and measures for good; the signal group waits."""
    patch = pytest.MonkeyPatch()
    plant(patch)
    patch.setattr(design, "SMOKE", TINY)
    patch.setitem(LOADERS, "signal", slowly(LOADERS["signal"]))


if __name__ in ("__main__", "__mp_main__"):  # not where tests import its names
    plant_study()
if __name__ == "__main__":
    print(BEGUN, file=sys.stderr, flush=True)
    sys.exit(main())
