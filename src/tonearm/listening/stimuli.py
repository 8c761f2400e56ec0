"""Stimuli of an item: one length, faded ends, one loudness.

All stimuli of a test have one integrated loudness (ITU-R BS.1770), the highest that every one of
them reaches without a sample past the peak limit, so that the listener sets the volume once and none
seems better by being louder. Each gain is one factor on the whole stimulus.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tonearm.audio import MIN_LOUDNESS_SECONDS, Clip
from tonearm.errors import TonearmError
from tonearm.listening.material import Item
from tonearm.processing.low_pass import low_pass
from tonearm.report.levels import common_loudness, level_matched
from tonearm.text import quoted

FADE_SECONDS = 0.005
ANCHOR = "low-pass 3.5 kHz"  # condition that is made of the reference
ANCHOR_EDGE, TRAINING_EDGE = 3500.0, 1000.0  # Hz


@dataclass(frozen=True)
class Stimulus:
    """A clip as it is played.

    origin   of the take
    clip     at the loudness of the test
    gain_db  that was applied
    """

    origin: str
    clip: Clip
    gain_db: float


@dataclass(frozen=True)
class PreparedItem:
    """An item with its stimuli by condition."""

    name: str
    text: str | None
    stimuli: dict[str, Stimulus]


@dataclass(frozen=True)
class Excerpt:
    """Part of every take, in seconds; `end` is None for the end of the shortest."""

    start: float = 0.0
    end: float | None = None

    def __post_init__(self) -> None:
        last = math.inf if self.end is None else self.end
        if not 0 <= self.start < last or (self.end is not None and not math.isfinite(self.end)):
            raise TonearmError(
                f"an excerpt from {self.start:g} to {last:g} s is not possible; give a start of 0 "
                "or more and a later end, such as 2-8"
            )


def prepare(
    items: Sequence[Item],
    conditions: Sequence[str],
    reference: str,
    excerpt: Excerpt,
) -> tuple[list[PreparedItem], float]:
    """Read, cut and fade the takes of items, and match their loudness.

    Args:
        items: that all have the conditions; ANCHOR is made of the reference.
        conditions: names.
        reference: name of the reference condition.
        excerpt: of every take.

    Returns:
        The items in their order, and the loudness of all stimuli in LUFS.

    Raises:
        TonearmError: a take cannot be read, is silent or too short, or differs in channels or
            sample rate from the others of its item.
    """
    read = [_clips(item, conditions, reference, excerpt) for item in items]
    flat = [clip for clips in read for clip in clips.values()]
    loudness = common_loudness(flat)
    if loudness is None:  # each clip was checked
        raise TonearmError("no take has a loudness; give takes with sound")
    matched = iter(level_matched(flat))
    prepared = []
    for item, clips in zip(items, read, strict=True):
        stimuli = {
            name: Stimulus(
                _origin(item, name, reference), next(matched), round(loudness - clip.loudness, 2)
            )
            for name, clip in clips.items()
        }
        prepared.append(PreparedItem(item.name, item.text, stimuli))
    return prepared, loudness


def impaired(clip: Clip, edge: float, loudness: float) -> Clip:
    """Low-pass a stimulus for the training, at its loudness."""
    return _faded(low_pass(clip, edge)).loudness_matched(loudness)


def _origin(item: Item, condition: str, reference: str) -> str:
    if condition in item.takes:
        return item.takes[condition].origin
    return f"{ANCHOR} of {item.takes[reference].origin}"


def _clips(
    item: Item, conditions: Sequence[str], reference: str, excerpt: Excerpt
) -> dict[str, Clip]:
    """Takes of an item by condition, of one length, with faded ends."""
    whole = {name: item.takes[name].read() for name in conditions if name in item.takes}
    for name, clip in whole.items():
        first = whole[reference]
        if (clip.sample_rate, len(clip.samples)) != (first.sample_rate, len(first.samples)):
            raise TonearmError(
                f"{item.takes[name].origin} has {len(clip.samples)} channels at "
                f"{clip.sample_rate} Hz, and {item.takes[reference].origin} has "
                f"{len(first.samples)} at {first.sample_rate} Hz; convert them to one format"
            )
    shortest = min(whole.values(), key=lambda clip: clip.seconds)
    end = shortest.seconds if excerpt.end is None else min(excerpt.end, shortest.seconds)
    if end - excerpt.start < MIN_LOUDNESS_SECONDS:
        raise TonearmError(
            f"the takes of {quoted(item.name)} last {shortest.seconds:.3g} s; an "
            f"excerpt from {excerpt.start:g} s on needs at least {MIN_LOUDNESS_SECONDS} s"
        )
    clips = {name: _faded(_cut(clip, excerpt.start, end)) for name, clip in whole.items()}
    if ANCHOR in conditions and ANCHOR not in whole:
        clips[ANCHOR] = _faded(low_pass(clips[reference], ANCHOR_EDGE))
    for name, clip in clips.items():
        if not math.isfinite(clip.loudness):
            raise TonearmError(
                f"{_origin(item, name, reference)} is silent in the excerpt, so that its loudness "
                "cannot be matched; leave the item or the condition out"
            )
    return clips


def _cut(clip: Clip, start: float, end: float) -> Clip:
    first, last = round(start * clip.sample_rate), round(end * clip.sample_rate)
    return Clip(clip.samples[:, first:last], clip.sample_rate)


def _faded(clip: Clip) -> Clip:
    """Fade both ends, so that neither a start nor a loop clicks."""
    count = round(FADE_SECONDS * clip.sample_rate)
    rise = np.sin(np.linspace(0, np.pi / 2, count, endpoint=False, dtype=np.float32)) ** 2
    samples = clip.samples.copy()
    samples[:, :count] *= rise
    samples[:, samples.shape[1] - count :] *= rise[::-1]
    return Clip(samples, clip.sample_rate)
