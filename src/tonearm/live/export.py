"""Export of a session's takes.

An export is a ZIP archive: `steered` and `plain` with their sidecars, from which `tonearm replay`
reproduces them bit for bit; recorded sections; and `performance.json`, the log. Or it is a page that
compares both streams.
"""

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Literal

from tonearm import __version__
from tonearm.audio import Clip
from tonearm.comparison import ComparedTake, Comparison
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.files.temporary_folder import temporary_folder
from tonearm.generation.statement import played_prompts
from tonearm.generation.take import Take
from tonearm.live.takes import FinishedTake
from tonearm.measures.describe import describe

Format = Literal["wav", "flac"]
FORMATS: tuple[Format, ...] = ("wav", "flac")
MAX_PAGE_SECONDS = 120.0  # of a page, whose audio is within it


def write_files(
    take: FinishedTake, decode: Callable[[Take], Clip], kind: Format, folder: Path
) -> None:
    """Write the files of an export.

    Args:
        take: to be exported.
        decode: audio of a take's codes.
        kind: of the audio files.
        folder: an existing one, which receives them.

    Raises:
        TonearmError: a file cannot be written.
    """
    whole = replace(take.steered, clip=decode(take.steered))
    whole.save(folder / f"steered.{kind}")
    replace(take.plain, clip=decode(take.plain)).save(folder / f"plain.{kind}")
    for index, (first, last) in enumerate(take.recorded, start=1):
        section = Clip(whole.clip.samples[:, first:last], whole.clip.sample_rate)
        section.write(folder / f"section-{index}.{kind}")
    log = {
        "kind": "tonearm performance",
        "version": __version__,
        "number": take.number,
        "log": [asdict(entry) for entry in take.log],
        "recorded": [list(section) for section in take.recorded],
        "sample_rate": whole.clip.sample_rate,
    }
    text = json.dumps(log, indent=2, ensure_ascii=False)
    with atomic_write(folder / "performance.json") as temporary:
        temporary.write_text(f"{text}\n", encoding="utf-8")


def archive(take: FinishedTake, decode: Callable[[Take], Clip], kind: Format) -> bytes:
    """The export of a take, as the bytes of a ZIP archive; see `write_files`."""
    with temporary_folder() as folder:
        write_files(take, decode, kind, folder)
        return _zipped(folder)


def page_archive(take: FinishedTake, decode: Callable[[Take], Clip]) -> bytes:
    """Make a page that compares the steered with the plain take, with its files, to be shared.

    Args:
        take: to be shared.
        decode: audio of a take's codes.

    Returns:
        The bytes of the ZIP archive.

    Raises:
        TonearmError: the performance is too long for a page.
    """
    seconds = take.state.seconds
    if seconds > MAX_PAGE_SECONDS:
        raise TonearmError(
            f"take {take.number} lasts {seconds:.0f} s, but a page holds at most {MAX_PAGE_SECONDS:g} s; "
            "export it as files"
        )
    with temporary_folder() as parent:
        compared = []
        for name, one in (("plain", take.plain), ("steered-1", take.steered)):
            whole = replace(one, clip=decode(one))
            compared.append(ComparedTake(name, whole, describe(whole.clip)))
        provenance = take.steered.provenance
        frame_rate = provenance.frames / compared[-1].take.seconds
        details = {
            "prompts": played_prompts(take.steered, frame_rate),
            "model": provenance.checkpoint.name,
            "seed": str(provenance.seed),
            "licence": provenance.checkpoint.licence,
        }
        folder = parent / "page"
        Comparison(provenance.prompt, tuple(compared), details).save(folder)
        return _zipped(folder)


def _zipped(folder: Path) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(folder).as_posix())
    return content.getvalue()
