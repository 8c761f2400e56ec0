"""Attributes of the study: data of their directions, readings, and controls."""

from collections.abc import Sequence
from dataclasses import dataclass

from tonearm.datasets.rendering.styles import LEADS, STYLES
from tonearm.studies.measure_groups import reason_unavailable
from tonearm.studies.methods2026.readings import (
    DRUMS,
    GENRE,
    Classified,
    Level,
    Reading,
    Tags,
    Words,
)

NOTES = "notes"  # group of an optional extra
COMMON_GROUPS = ("signal", "clap")  # faults, and text agreement
ONSETS = Level("onset_rate", "signal", "onsets per s")
GENRES = tuple(name for name in STYLES if name != "jazz")
INSTRUMENTS = tuple(name for name in LEADS if name != "flute")


@dataclass(frozen=True)
class Attribute:
    """One end of an attribute, towards which takes are steered.

    name        in tables
    pair        prompts that its directions are learned from; None for rendered pieces without and
                with drums
    word        put into the prompt as a control; empty where the checkpoint has none
    readings    two, of different families, which both have to rise
    further     shown, and not needed
    processing  of plain takes as a control, a name of `tonearm.studies.methods2026.processed`; empty
                for none
    """

    name: str
    pair: str | None
    word: str
    readings: tuple[Reading, Reading]
    further: tuple[Reading, ...] = ()
    processing: str = ""

    @property
    def all_readings(self) -> tuple[Reading, ...]:
        return (*self.readings, *self.further)

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups of measures of its takes."""
        own = (group for one in self.all_readings for group in one.groups)
        return tuple(dict.fromkeys((*COMMON_GROUPS, *own)))


def attributes(has_notes: bool) -> tuple[Attribute, ...]:
    """Attributes of the study.

    Args:
        has_notes: whether basic-pitch is installed; else a second onset detector takes the place
            of its rate of notes.
    """
    note_rate = Level("note_rate", NOTES, "notes per s", "basic-pitch")
    second_onsets = Level("onset_rate_superflux", "signal", "onsets per s")
    return (
        Attribute(
            "tempo",
            "tempo",
            "fast",
            (Level("bundled_tempo", "beats", "octaves", "bundled", octaves=True), ONSETS),
            (Level("tempo", "signal", "octaves", octaves=True),),
            "stretch",
        ),
        Attribute(
            "brightness",
            "brightness",
            "bright",
            (
                Level("spectral_centroid", "signal", "octaves", octaves=True),
                Words("bright", ("dark",)),
            ),
            processing="shelf",
        ),
        Attribute(
            "energy",
            "energy",
            "energetic",
            (Tags(("loud",)), Words("energetic", ("calm",))),
            processing="stretch and shelf",
        ),
        Attribute(
            "density",
            "density",
            "dense",
            (ONSETS, note_rate if has_notes else second_onsets),
            (second_onsets,) if has_notes else (),
            "stretch",
        ),
        Attribute("jazz", "jazz", "jazz", (Words("jazz", GENRES), Classified(GENRE, "jazz"))),
        Attribute("flute", "flute", "flute", (Tags(("flute",)), Words("flute", INSTRUMENTS))),
        Attribute(
            "without drums",
            None,
            "",
            (
                Level("high_onset_level", "percussion", "dB", sense=-1),
                Tags(("drums", "beat", "beats"), sense=-1),
            ),
            (Classified(DRUMS, "without drums"),),
            "harmonic part",
        ),
    )


def has_notes() -> bool:
    """Whether basic-pitch is installed."""
    return reason_unavailable(NOTES) is None


def all_groups(found: Sequence[Attribute]) -> tuple[str, ...]:
    """Groups of measures of takes that serve every attribute."""
    return tuple(dict.fromkeys(group for one in found for group in one.groups))
