"""Material of a folder with a folder per condition:

    takes/plain/song-1.wav     takes/plain/song-2.wav
    takes/fast/song-1.wav      takes/fast/song-2.wav

Files of one name, with any ending of audio, are an item. A take's sidecar beside a file gives the
text of the item: the prompt as the user wrote it, where all takes have one and the same. Audio that
is no take has no say in this.
"""

from functools import partial
from pathlib import Path

from tonearm.audio import Clip
from tonearm.datasets.audio_files import AUDIO_ENDINGS
from tonearm.errors import TonearmError
from tonearm.files.text_file import read_json
from tonearm.generation.provenance import KIND, Provenance, read_sidecar
from tonearm.listening.material import Item, Material, TakeSource


def folder_material(folder: Path) -> Material:
    """Find the items that every condition has.

    Raises:
        TonearmError: fewer than two conditions, two files of one item in a condition, or no item
            with all conditions.
    """
    found = {path.name: _files(path) for path in sorted(folder.iterdir()) if _is_condition(path)}
    if len(found) < 2:
        held = ", ".join(found) or "none"
        raise TonearmError(
            f"{folder} is neither a run nor a comparison, and has too few folders of audio to compare "
            f"({held}); give a folder per condition, with files of the same names"
        )
    shared = sorted(set.intersection(*(set(files) for files in found.values())))
    if not shared:
        raise TonearmError(
            f"no file name is in every condition of {folder} ({', '.join(found)}); "
            "name the takes of one item alike"
        )
    return Material(tuple(found), tuple(_item(name, found) for name in shared))


def _is_condition(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".") and bool(_audio(path))


def _audio(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in AUDIO_ENDINGS and not path.name.startswith(".")
    )


def _files(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in _audio(folder):
        if path.stem in files:
            raise TonearmError(
                f"{folder} has {files[path.stem].name} and {path.name}; keep one file of an item"
            )
        files[path.stem] = path
    return files


def _item(name: str, found: dict[str, dict[str, Path]]) -> Item:
    paths = {condition: files[name] for condition, files in found.items()}
    takes = filter(None, (_take(path.with_suffix(".json")) for path in paths.values()))
    texts = {None if one.sections else one.requested_prompt or one.prompt for one in takes}
    return Item(
        name,
        texts.pop() if len(texts) == 1 else None,
        {
            condition: TakeSource(f"{condition}/{path.name}", partial(Clip.read, path))
            for condition, path in paths.items()
        },
    )


def _take(sidecar: Path) -> Provenance | None:
    """Read the provenance of a take; None where the file is absent or of another program, which may
    store JSON with its audio, too.

    Raises:
        TonearmError: a sidecar that is damaged.
    """
    if not sidecar.is_file():
        return None
    content = read_json(sidecar, "JSON file", "repair or remove it")
    if not isinstance(content, dict) or content.get("kind") != KIND:
        return None
    return read_sidecar(sidecar)
