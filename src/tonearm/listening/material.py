"""Takes that a listening test can use: items, each with one take per condition."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tonearm.audio import Clip


@dataclass(frozen=True)
class TakeSource:
    """Place of a take's audio.

    origin  of the audio, as the key states it: a file, or a take of a store
    read    reads it
    """

    origin: str
    read: Callable[[], Clip]


@dataclass(frozen=True)
class Item:
    """Takes that share prompt and seed.

    name   of the item, as the key states it
    text   the prompt, or None where it is not known
    takes  by condition
    """

    name: str
    text: str | None
    takes: Mapping[str, TakeSource]


@dataclass(frozen=True)
class Material:
    """Items that all have the same conditions."""

    conditions: tuple[str, ...]
    items: tuple[Item, ...]
