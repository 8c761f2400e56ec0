"""Comparison page of one prompt and seed, plain and steered, as one self-contained HTML file.

The page plays copies at one loudness, since the louder of two takes sounds better for that reason
alone. Measurements, links and files are of the originals.
"""

import io
import math
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib import resources
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.measures import Description
from tonearm.report.spectrogram import COLOURS, RANGE_DB, Scale, spectrogram_png

PAGE = "index.html"
USUAL_LUFS = -18.0  # the reference level of ReplayGain 2.0
PEAK = 0.98  # full scale is 1
ABSENT = "–"


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
class Cell:
    """A number of the table as text, with its difference from the first take's, or ""."""

    value: str
    difference: str


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


def common_loudness(clips: Sequence[Clip]) -> float | None:
    """Find the loudness that every clip reaches with no sample past PEAK.

    Returns:
        LUFS, USUAL_LUFS at most; None where no clip has a loudness (silent, or under 0.4 s).
    """
    reachable = [
        clip.loudness + 20 * math.log10(PEAK / float(np.abs(clip.samples).max()))
        for clip in clips
        if math.isfinite(clip.loudness)
    ]
    return min(USUAL_LUFS, *reachable) if reachable else None


def table_cell(column: Column, description: Description, first: Description) -> Cell:
    """Format one take's cell.

    Args:
        column: the measure and its format.
        description: of the take.
        first: description of the first take.

    Returns:
        The value, and its difference from the first take's in per cent, or in LU for a level.
    """
    value, reference = description[column.measure].number, first[column.measure].number
    if value is None:
        return Cell(ABSENT, "")
    text = _typeset(f"{value:.{column.decimals}f}")
    if description is first:
        return Cell(text, "")
    if reference is None or (reference == 0 and not column.is_level):
        return Cell(text, ABSENT)
    if column.is_level:
        return Cell(text, f"{_signed(value - reference)} LU")
    return Cell(text, f"{_signed(100 * (value / reference - 1))} %")


def _page(prompt: str, exhibits: Sequence[Exhibit], details: Mapping[str, str]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    playable = [_finite(exhibit.clip) for exhibit in exhibits]
    loudness = common_loudness(playable)
    played = [clip.loudness_matched(loudness or USUAL_LUFS, PEAK) for clip in playable]
    scale = Scale.shared(played)
    descriptions = [exhibit.description for exhibit in exhibits]
    environment = Environment(
        loader=PackageLoader("tonearm.report"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["per_cent"] = "{:.3%}".format
    script = _template("compare.js")
    template = environment.get_template("compare.html")
    return template.render(
        prompt=prompt,
        details=details,
        takes=[
            _take_view(*pair, scale, descriptions[0]) for pair in zip(exhibits, played, strict=True)
        ],
        columns=[_column_view(column, descriptions) for column in COLUMNS],
        absent=ABSENT,
        scale=scale,
        range_db=RANGE_DB,
        colours=_colour_stops(),
        loudness_note=_loudness_note(loudness),
        style=Markup(_template("compare.css")),
        script=Markup(script),
        script_hash=_content_hash(script),
        version=version("tonearm"),
    )


def _take_view(exhibit: Exhibit, played: Clip, scale: Scale, first: Description) -> TakeView:
    description = exhibit.description
    return TakeView(
        title=exhibit.title,
        level=_level(_finite(exhibit.clip), played),
        audio=_data_uri("audio/flac", _flac(played)),
        audio_href=quote(exhibit.audio_file),
        sidecar_href=None if exhibit.sidecar_file is None else quote(exhibit.sidecar_file),
        image=_data_uri("image/png", spectrogram_png(played, scale)),
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


def _finite(clip: Clip) -> Clip:
    """Replace NaN and infinities, which file formats and transforms refuse; `faults` lists them."""
    return Clip(np.nan_to_num(clip.samples, nan=0.0, posinf=0.0, neginf=0.0), clip.sample_rate)


def _flac(clip: Clip) -> bytes:
    """16-bit FLAC, which browsers play sample-exactly; Safari lacks Ogg, and MP3 pads its ends."""
    buffer = io.BytesIO()
    soundfile.write(buffer, clip.samples.T, clip.sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _content_hash(script: str) -> str:
    """Hash of a script for a Content-Security-Policy, which allows no other script."""
    return f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}"


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def _template(name: str) -> str:
    return (resources.files("tonearm.report") / "templates" / name).read_text(encoding="utf-8")


def _colour_stops() -> str:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return ", ".join(to_hex(colour) for colour in colormaps[COLOURS](np.linspace(0, 1, 9)))


def _level(original: Clip, played: Clip) -> str:
    """Gain of the copy that is played."""
    if not math.isfinite(original.loudness):
        return "played as it is, too quiet or too short to match"
    gain = played.loudness - original.loudness
    return f"gain {_signed(gain)} dB"


def _loudness_note(loudness: float | None) -> str:
    if loudness is None:
        return "No take is loud and long enough to have a loudness; they are played as they are."
    level = _typeset(f"{loudness:.1f}")
    return (
        f"The players play copies matched to {level} LUFS (ITU-R BS.1770), a level that every take "
        "reaches without clipping, so that no take sounds better by being louder. "
        "The spectrograms show these copies. The originals are linked, unchanged."
    )


def _typeset(number: str) -> str:
    """With a true minus sign."""
    return number.replace("-", "−")


def _signed(value: float) -> str:
    """One decimal and a sign; "±0.0" where the value rounds to zero."""
    text = f"{value:+.1f}"
    return "±0.0" if float(text) == 0 else _typeset(text)
