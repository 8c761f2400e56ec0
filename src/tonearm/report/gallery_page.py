"""Gallery page: takes of many vectors as one static page with audio files beside it.

The players play Ogg Vorbis copies at one loudness; measured values are of the originals. The page
uses files of its own folder only, so that it works from a disk and on a site.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.report.levels import PEAK, USUAL_LUFS, common_loudness, finite
from tonearm.report.page_parts import (
    ABSENT,
    Cell,
    colour_stops,
    content_hash,
    environment,
    template,
    typeset,
)
from tonearm.report.spectrogram import RANGE_DB, Scale, spectrogram_webp

PAGE = "index.html"
AUDIO, IMAGE = ".ogg", ".webp"
MAX_BYTES = 8_000_000  # of the folder
QUALITIES = (0.5, 0.4, 0.3, 0.2, 0.1)  # of Ogg Vorbis; the first that fits
HEADROOM_DB = 1.0  # peaks of a lossy copy can exceed those of its source


@dataclass(frozen=True)
class Figure:
    """One measured value: `is_own` where it is the measure of the vector's attribute."""

    heading: str
    unit: str
    cell: Cell
    is_own: bool


@dataclass(frozen=True)
class GalleryTake:
    """One take of the page.

    stem     of its files; letters, digits, hyphens and full stops
    kind     "plain", "steered" or "baseline"
    title    on its card
    label    of its player, unique on the page
    origin   how it was made, in one sentence
    clip     the original
    figures  of the original
    faults   likewise
    """

    stem: str
    kind: str
    title: str
    label: str
    origin: str
    clip: Clip
    figures: tuple[Figure, ...]
    faults: tuple[str, ...]


@dataclass(frozen=True)
class GalleryGroup:
    """Takes of one sign of a vector, or of one fusion."""

    anchor: str
    title: str
    takes: tuple[GalleryTake, ...]


@dataclass(frozen=True)
class GallerySection:
    """Takes of one prompt and seed; `failures` has a sentence per sign without audio."""

    anchor: str
    title: str
    prompt: str
    seed: int
    plain: GalleryTake
    groups: tuple[GalleryGroup, ...]
    failures: tuple[str, ...] = ()

    @property
    def takes(self) -> tuple[GalleryTake, ...]:
        return self.plain, *(take for group in self.groups for take in group.takes)


@dataclass(frozen=True)
class SignRow:
    """One sign of a vector in the table: text, or "" where it was not measured.

    `anchor` is that of its takes; `failure` is the reason why it has none.
    """

    sign: str
    effect: str
    faulty: str
    pulse: str
    anchor: str
    failure: str


@dataclass(frozen=True)
class Gallery:
    """Content of the page.

    details   checkpoint, seeds ..., in their order
    protocol  sentences
    signs     of every vector
    sections  of the vectors and fusions with takes
    measures  protocols of the measures, by heading
    """

    details: Mapping[str, str]
    protocol: Sequence[str]
    signs: Sequence[SignRow]
    sections: Sequence[GallerySection]
    measures: Mapping[str, str]

    @property
    def takes(self) -> tuple[GalleryTake, ...]:
        return tuple(take for section in self.sections for take in section.takes)


def write_gallery_page(folder: Path, gallery: Gallery, max_bytes: int = MAX_BYTES) -> None:
    """Write the page, and an audio file and a spectrogram per take, into an existing folder.

    Args:
        folder: of the files; the caller makes it whole or absent.
        gallery: the content.
        max_bytes: of all files; the audio has the first of QUALITIES that fits.

    Raises:
        TonearmError: no take has samples, or the files do not fit.
    """
    takes = gallery.takes
    clips = [finite(take.clip) for take in takes]
    if not any(clip.samples.size for clip in clips):
        raise TonearmError(f"no sound in {len(clips)} takes; a gallery needs one with samples")
    loudness = common_loudness(clips)
    target = (USUAL_LUFS if loudness is None else loudness) - HEADROOM_DB
    played = [clip.loudness_matched(target, PEAK) for clip in clips]
    scale = Scale.shared(played)
    files = {PAGE: _page(gallery, scale, None if loudness is None else target).encode()}
    for take, clip in zip(takes, played, strict=True):
        files[take.stem + IMAGE] = spectrogram_webp(clip, scale)
    files |= _audio(takes, played, max_bytes - sum(map(len, files.values())))
    for name, content in files.items():
        (folder / name).write_bytes(content)


def _audio(
    takes: Sequence[GalleryTake], played: Sequence[Clip], max_bytes: int
) -> dict[str, bytes]:
    """Encode the copies at the best quality that fits."""
    for quality in QUALITIES:
        files = {
            take.stem + AUDIO: clip.encoded(AUDIO, quality)
            for take, clip in zip(takes, played, strict=True)
        }
        if sum(map(len, files.values())) <= max_bytes:
            return files
    raise TonearmError(
        f"{len(takes)} takes do not fit {max_bytes / 1e6:.1f} MB of audio at the lowest quality; "
        "make fewer or shorter takes"
    )


def _page(gallery: Gallery, scale: Scale, loudness: float | None) -> str:
    from markupsafe import Markup

    script = template("gallery.js")
    return (
        environment()
        .get_template("gallery.html")
        .render(
            gallery=gallery,
            scale=scale,
            range_db=RANGE_DB,
            colours=colour_stops(),
            absent=ABSENT,
            loudness_note=_loudness_note(loudness),
            style=Markup(template("page.css") + template("gallery.css")),
            script=Markup(script),
            script_hash=content_hash(script),
            version=version("tonearm"),
        )
    )


def _loudness_note(loudness: float | None) -> str:
    if loudness is None or not math.isfinite(loudness):
        return "No take is loud and long enough to have a loudness; they are played as they are."
    return (
        f"The players play copies in Ogg Vorbis, matched to {typeset(f'{loudness:.1f}')} LUFS "
        "(ITU-R BS.1770), a level that every take reaches without clipping, so that no take sounds "
        "better by being louder. Measured values are of the originals. Safari plays Ogg Vorbis "
        "from version 18.4 on."
    )
