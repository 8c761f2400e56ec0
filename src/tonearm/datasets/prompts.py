"""Prompt sets: bundled pairs, neutral and held-out prompts, and files of prompts.

A pair is two sets of prompts that differ in one attribute: line i of both describes the same scene,
so that the difference of their mean activations (Facchiano et al., section 3) holds the attribute
alone. The neutral and the held-out set name a genre and an instrument and no attribute: layers and
strengths are chosen on the one, and evaluated on the other (their sections 4.1 and 4.5). The texts
are Tonearm's own; the files beside this one hold one prompt a line.
"""

import os
from dataclasses import dataclass
from typing import NamedTuple

from tonearm import assets
from tonearm.errors import TonearmError
from tonearm.files.text_file import read_text
from tonearm.text import is_blank, quoted

HINT = "give a text file with one prompt a line"
MAX_LINES = 200_000  # of a prompt file; MusicCaps has 5,521 captions


class Poles(NamedTuple):
    """Labels of the two ends of an attribute."""

    positive: str
    negative: str


PAIRS = {
    "tempo": Poles("fast", "slow"),
    "brightness": Poles("bright", "dark"),
    "mode": Poles("major", "minor"),
    "loudness": Poles("loud", "soft"),
    "energy": Poles("energetic", "calm"),
    "density": Poles("dense", "sparse"),
    "acoustic": Poles("acoustic", "electronic"),
    "jazz": Poles("jazz", "other genres"),
    "classical": Poles("classical", "other genres"),
    "electronic": Poles("electronic", "other genres"),
    "rock": Poles("rock", "other genres"),
    "folk": Poles("folk", "other genres"),
    "hip-hop": Poles("hip hop", "other genres"),
    "latin": Poles("Latin", "other genres"),
    "flute": Poles("flute", "other instruments"),
    "cello": Poles("cello", "other instruments"),
    "piano": Poles("piano", "other instruments"),
    "guitar": Poles("guitar", "other instruments"),
    "violin": Poles("violin", "other instruments"),
    "trumpet": Poles("trumpet", "other instruments"),
    "saxophone": Poles("saxophone", "other instruments"),
    "organ": Poles("organ", "other instruments"),
}


@dataclass(frozen=True)
class PromptPair:
    """Two sets of equal size; `positive[i]` and `negative[i]` describe the same scene."""

    name: str
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    positive_label: str
    negative_label: str


def load_pair(name: str) -> PromptPair:
    """The bundled pair called `name`, 100 prompts a side.

    Raises TonearmError, with the names, for any other.
    """
    if name not in PAIRS:
        raise TonearmError(
            f"no prompt pair called {quoted(name)}; use one of {', '.join(PAIRS)}, or files of your own"
        )
    poles = PAIRS[name]
    return PromptPair(
        name,
        _bundled(f"{name}.positive"),
        _bundled(f"{name}.negative"),
        poles.positive,
        poles.negative,
    )


def neutral() -> tuple[str, ...]:
    """50 prompts with a genre and an instrument and no attribute, to choose layers and strengths
    on.
    """
    return _bundled("neutral")


def held_out() -> tuple[str, ...]:
    """50 more of the same make, none of them in `neutral()`, for the numbers that are reported."""
    return _bundled("held_out")


def read_prompts(path: str | os.PathLike[str]) -> list[str]:
    """A user's prompts: UTF-8 text, one a line; blank lines and lines that start with # are
    skipped.

    Raises TonearmError for a path that is absent, a folder or unreadable, for a file that is too
    large, and for one without text or prompts.
    """
    text = read_text(path, "prompt file", HINT)
    if "\0" in text:
        raise TonearmError(f"{path} is not text, it holds null bytes; {HINT}")
    lines = text.count("\n") + 1
    if lines > MAX_LINES:
        raise TonearmError(f"{path} has {lines} lines; give at most {MAX_LINES} prompts in a file")
    prompts = _prompts_in(text)
    if not prompts:
        raise TonearmError(
            f"{path} holds no prompts; write one prompt a line (lines that start with # are skipped)"
        )
    return prompts


def _prompts_in(text: str) -> list[str]:
    """One prompt per line; only a line feed ends a line, as in other programs, not U+2028."""
    lines = (line.strip() for line in text.split("\n"))
    return [line for line in lines if not is_blank(line) and not line.startswith("#")]


def _bundled(stem: str) -> tuple[str, ...]:
    return tuple(_prompts_in((assets.PROMPTS / f"{stem}.txt").read_text(encoding="utf-8")))
