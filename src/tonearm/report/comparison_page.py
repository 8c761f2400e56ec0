"""Comparison page of one prompt and seed, plain and steered, as one self-contained HTML file.

The page plays copies at one loudness, since the louder of two takes sounds better for that reason
alone. Measurements, links and files are of the originals.
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import soundfile

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.measures import Description
from tonearm.report.levels import common_loudness, finite, level_matched
from tonearm.report.page_parts import (
    ABSENT,
    Cell,
    colour_stops,
    content_hash,
    data_uri,
    environment,
    number_cell,
    signed,
    template,
    typeset,
)
from tonearm.report.spectrogram import RANGE_DB, Scale, spectrogram_png

PAGE = "index.html"


@dataclass(frozen=True)
class Exhibit:
    """One take on the page."""

    title: str  # "plain", or "tempo +1.25, brightness -1"
    clip: Clip  # the original
    description: Description  # of the original
    audio_file: str  # the original's file name, relative to the page
    sidecar_file: str | None  # likewise; None where there is none


@dataclass(frozen=True)
class Column:
    """A column of the table: a measure and its format."""

    heading: str
    measure: str
    decimals: int
    is_level: bool = False  # a level in dB differs by dB; a percentage of it has no meaning


COLUMNS = (
    Column("Tempo", "tempo", 1),
    Column("Pulse clarity", "pulse_clarity", 2),
    Column("Brightness", "spectral_centroid", 0),
    Column("Loudness", "loudness", 1, is_level=True),
    Column("Onsets", "onset_rate", 2),
)
UNIT_WORDS = {"1/s": "per second"}


@dataclass(frozen=True)
class ColumnView:
    """The head of a column, and its footnote."""

    heading: str
    unit: str
    protocol: str


@dataclass(frozen=True)
class TakeView:
    """An exhibit for the template: text and data URIs."""

    title: str
    level: str
    audio: str
    audio_href: str
    sidecar_href: str | None
    image: str
    beats: list[float]  # places on the time axis, 0 to 1
    cells: list[Cell]
    faults: tuple[str, ...]


def write_compare_page(
    folder: Path, prompt: str, exhibits: Sequence[Exhibit], details: Mapping[str, str]
) -> Path:
    """Write `folder`/index.html.

    Args:
        folder: of the page; the caller keeps the originals and their sidecars there too.
        prompt: of all takes.
        exhibits: the takes; the others are compared with the first.
        details: model, seed, layers, licence ..., listed under the prompt in their order.

    Returns:
        The path of the page.

    Raises:
        TonearmError: no take has samples, or the folder cannot be written.
    """
    if not any(exhibit.clip.samples.size for exhibit in exhibits):
        raise TonearmError(f"no sound in {len(exhibits)} takes; compare at least one with samples")
    path = Path(folder) / PAGE
    with atomic_write(path) as partial:
        partial.write_text(_page(prompt, exhibits, details), encoding="utf-8")
    return path


def table_cell(column: Column, description: Description, first: Description) -> Cell:
    """Format one take's cell.

    Args:
        column: the measure and its format.
        description: of the take.
        first: description of the first take.

    Returns:
        The value, and its difference from the first take's in per cent, or in LU for a level.
    """
    return number_cell(
        description[column.measure].number,
        first[column.measure].number,
        column.decimals,
        is_reference=description is first,
        difference_unit="LU" if column.is_level else None,
    )


def _page(prompt: str, exhibits: Sequence[Exhibit], details: Mapping[str, str]) -> str:
    from markupsafe import Markup

    playable = [finite(exhibit.clip) for exhibit in exhibits]
    loudness = common_loudness(playable)
    played = level_matched(playable)
    scale = Scale.shared(played)
    descriptions = [exhibit.description for exhibit in exhibits]
    script = template("mixer.js") + template("shortcuts.js") + template("compare.js")
    return (
        environment()
        .get_template("compare.html")
        .render(
            prompt=prompt,
            details=details,
            takes=[
                _take_view(*pair, scale, descriptions[0])
                for pair in zip(exhibits, played, strict=True)
            ],
            columns=[_column_view(column, descriptions) for column in COLUMNS],
            absent=ABSENT,
            scale=scale,
            range_db=RANGE_DB,
            colours=colour_stops(),
            loudness_note=_loudness_note(loudness),
            style=Markup(template("page.css") + template("compare.css")),
            script=Markup(script),
            script_hash=content_hash(script),
            version=version("tonearm"),
        )
    )


def _take_view(exhibit: Exhibit, played: Clip, scale: Scale, first: Description) -> TakeView:
    description = exhibit.description
    return TakeView(
        title=exhibit.title,
        level=_level(finite(exhibit.clip), played),
        audio=data_uri("audio/flac", _flac(played)),
        audio_href=quote(exhibit.audio_file),
        sidecar_href=None if exhibit.sidecar_file is None else quote(exhibit.sidecar_file),
        image=data_uri("image/png", spectrogram_png(played, scale)),
        beats=[beat / scale.seconds for beat in description.tempo.beats],
        cells=[table_cell(column, description, first) for column in COLUMNS],
        faults=description.faults,
    )


def _column_view(column: Column, descriptions: Sequence[Description]) -> ColumnView:
    measurements = [description[column.measure] for description in descriptions]
    protocols = dict.fromkeys(
        measurement.protocol for measurement in measurements
    )  # one, unless the estimators differ
    unit = measurements[0].unit
    return ColumnView(column.heading, UNIT_WORDS.get(unit, unit), " / ".join(protocols))


def _flac(clip: Clip) -> bytes:
    """16-bit FLAC, which browsers play sample-exactly; Safari lacks Ogg, and MP3 pads its ends."""
    buffer = io.BytesIO()
    soundfile.write(buffer, clip.samples.T, clip.sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _level(original: Clip, played: Clip) -> str:
    """Gain of the copy that is played."""
    if not math.isfinite(original.loudness):
        return "played as it is, too quiet or too short to match"
    gain = played.loudness - original.loudness
    return f"gain {signed(gain)} dB"


def _loudness_note(loudness: float | None) -> str:
    if loudness is None:
        return "No take is loud and long enough to have a loudness; they are played as they are."
    level = typeset(f"{loudness:.1f}")
    return (
        f"The players play copies matched to {level} LUFS (ITU-R BS.1770), a level that every take "
        "reaches without clipping, so that no take sounds better by being louder. "
        "The spectrograms show these copies. The originals are linked, unchanged."
    )
