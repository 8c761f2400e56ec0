"""The page on which a musician hears one prompt and seed plain and steered: one HTML file that needs nothing from outside.

What is played are copies at one loudness, since the louder of two takes sounds better whatever else differs. What is measured, linked
and kept is the original.
"""

import io
import math
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
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
from tonearm.files import write_aside
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
    description: Description  # what was measured on the original
    audio_file: str  # the original's file name, relative to the page
    sidecar_file: str | None  # likewise; None where there is none


@dataclass(frozen=True)
class Measure:
    """A column of the table: how a value is named, read, written, and compared with that of the first take."""

    name: str
    unit: str
    estimator: str
    read: Callable[[Description], float | None]
    decimals: int
    difference_unit: str = "%"  # or a unit of its own, for a level, whose per cent would mean nothing


MEASURES = (
    Measure("Tempo", "BPM", "beats tracked", lambda measured: measured.tempo.bpm, 1),
    Measure("Brightness", "Hz", "spectral centroid", lambda measured: measured.brightness, 0),
    Measure("Loudness", "LUFS", "integrated", lambda measured: measured.loudness, 1, "LU"),
    Measure("Onsets", "per second", "onsets", lambda measured: measured.onset_rate, 2),
)


@dataclass(frozen=True)
class Cell:
    """A number of the table as text, and its difference from the first take's ("" in the first row)."""

    value: str
    difference: str


@dataclass(frozen=True)
class TakeView:
    """An exhibit as the template shows it: text, and data URIs."""

    title: str
    level: str
    audio: str
    audio_href: str
    sidecar_href: str | None
    image: str
    beats: list[float]  # places on the time axis, 0 to 1
    cells: list[Cell]
    faults: list[str]


def write_compare_page(folder: Path, prompt: str, exhibits: Sequence[Exhibit], details: Mapping[str, str]) -> Path:
    """Write `folder`/index.html and return its path. The first exhibit is the one that the others are compared with.

    The page links to the originals and their sidecars, which the caller keeps in `folder`. `details` (model, seed, layers, licence ...)
    are listed under the prompt, in their order. Raises TonearmError without exhibits, and where the folder cannot be written.
    """
    if not exhibits:
        raise TonearmError("no takes to compare; give at least one")
    path = Path(folder) / PAGE
    with write_aside(path) as aside:
        aside.write_text(_page(prompt, exhibits, details), encoding="utf-8")
    return path


def common_loudness(clips: Sequence[Clip]) -> float | None:
    """The loudness in LUFS that every clip can be played at with no sample past PEAK, USUAL_LUFS at most.

    Clips without a loudness (silent, or under 0.4 s) have no say; None when all are such.
    """
    reachable = [
        clip.loudness + 20 * math.log10(PEAK / float(np.abs(clip.samples).max()))
        for clip in clips
        if math.isfinite(clip.loudness)
    ]
    return min(USUAL_LUFS, *reachable) if reachable else None


def table_cell(measure: Measure, measured: Description, first: Description | None) -> Cell:
    """`measure` of one take, beside the same of the `first` (None in the first's own row)."""
    value = _number(measure.read(measured))
    text = ABSENT if value is None else _typeset(f"{value:.{measure.decimals}f}")
    if first is None:
        return Cell(text, "")
    reference = _number(measure.read(first))
    if value is None or reference is None or (measure.difference_unit == "%" and reference == 0):
        return Cell(text, ABSENT)
    difference = 100 * (value / reference - 1) if measure.difference_unit == "%" else value - reference
    return Cell(text, f"{_signed(difference)} {measure.difference_unit}")


def _page(prompt: str, exhibits: Sequence[Exhibit], details: Mapping[str, str]) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loudness = common_loudness([exhibit.clip for exhibit in exhibits])
    played = [exhibit.clip.loudness_matched(loudness or USUAL_LUFS, PEAK) for exhibit in exhibits]
    scale = Scale.shared(played)
    first = exhibits[0].description
    takes = [
        _view(exhibit, copy, scale, None if exhibit.description is first else first)
        for exhibit, copy in zip(exhibits, played, strict=True)
    ]
    environment = Environment(loader=PackageLoader("tonearm.report"), autoescape=True, undefined=StrictUndefined)
    environment.filters["per_cent"] = "{:.3%}".format
    script = _template("compare.js")
    return environment.get_template("compare.html").render(
        prompt=prompt,
        details=details,
        takes=takes,
        measures=MEASURES,
        scale=scale,
        range_db=RANGE_DB,
        colours=_colour_stops(),
        loudness_note=_loudness_note(loudness),
        style=Markup(_template("compare.css")),
        script=Markup(script),
        script_hash=f"sha256-{b64encode(sha256(script.encode()).digest()).decode()}",  # the browser runs this one and no other
        version=version("tonearm"),
    )


def _view(exhibit: Exhibit, played: Clip, scale: Scale, first: Description | None) -> TakeView:
    measured = exhibit.description
    return TakeView(
        title=exhibit.title,
        level=_level(exhibit.clip, played),
        audio=_data_uri("audio/flac", _flac(played)),
        audio_href=quote(exhibit.audio_file),
        sidecar_href=None if exhibit.sidecar_file is None else quote(exhibit.sidecar_file),
        image=_data_uri("image/png", spectrogram_png(played, scale)),
        beats=[float(beat) / scale.seconds for beat in measured.tempo.beats],
        cells=[table_cell(measure, measured, first) for measure in MEASURES],
        faults=list(measured.faults),
    )


def _flac(clip: Clip) -> bytes:
    """16-bit FLAC: every browser decodes it to the very sample, where Ogg is too new for some and MP3 pads its ends."""
    buffer = io.BytesIO()
    soundfile.write(buffer, clip.samples.T, clip.sample_rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _data_uri(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{b64encode(content).decode()}"


def _template(name: str) -> str:
    return (resources.files("tonearm.report") / "templates" / name).read_text(encoding="utf-8")


def _colour_stops() -> str:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return ", ".join(to_hex(colour) for colour in colormaps[COLOURS](np.linspace(0, 1, 9)))


def _level(original: Clip, played: Clip) -> str:
    """How far the copy that is played was turned up or down."""
    if not math.isfinite(original.loudness):
        return "played as it is, too quiet or too short to match"
    return f"played at {_signed(played.loudness - original.loudness)} dB"


def _loudness_note(loudness: float | None) -> str:
    if loudness is None:
        return "No take is loud and long enough to have a loudness; they are played as they are."
    level = _typeset(f"{loudness:.1f}")
    return (
        f"The players play copies matched to {level} LUFS (ITU-R BS.1770), a level that every take reaches without clipping, so that none "
        "wins by being louder. The spectrograms show these copies. The originals are linked, untouched."
    )


def _number(value: float | None) -> float | None:
    """None for what cannot be written as a number: absent, NaN, or the -inf LUFS of silence."""
    return None if value is None or not math.isfinite(value) else float(value)


def _typeset(number: str) -> str:
    """With a true minus sign."""
    return number.replace("-", "−")


def _signed(value: float) -> str:
    """One decimal and a sign, "±0.0" for what rounds to nothing."""
    text = f"{value:+.1f}"
    return "±0.0" if float(text) == 0 else _typeset(text)
