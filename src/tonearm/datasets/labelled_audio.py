"""Corpora on disk: audio files, with labels where there are some.

    jazz/a.wav, train/rock/b.wav    a label is the folder that a file lies in
    metadata.csv                    columns file_name and label, and track where several files are cut from one piece
    metadata.jsonl                  the same, one JSON object a line
    any .csv or .jsonl              columns file_name and text, where files are to be compared with descriptions

Whatever learns from a corpus has to keep the files of one track together: pieces of one song in both halves of a split
leak.
"""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.errors import TonearmError

AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif")
METADATA = ("metadata.csv", "metadata.jsonl")


@dataclass(frozen=True)
class LabelledFile:
    path: Path
    label: str
    track: str  # files of one track are cut from one piece


def audio_files(paths: Sequence[Path]) -> list[Path]:
    """The files given, and those within the folders given, in order. Raises TonearmError for a folder without audio."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        within = sorted(file for file in path.rglob("*") if _is_audio(file))
        if not within:
            raise TonearmError(f"no audio in {path}; give a folder with {', '.join(AUDIO_ENDINGS)} files")
        found += within
    return list(dict.fromkeys(found))


def read_corpus(folders: Sequence[Path]) -> list[LabelledFile]:
    """One labelled corpus, or a folder for each label. Raises TonearmError where there are not two labels."""
    for folder in folders:
        if not folder.is_dir():
            raise TonearmError(f"no folder at {folder}; give a labelled corpus, or one folder for each label")
    if len(folders) == 1:
        files = list(_corpus(folders[0]))
    else:
        names = [folder.resolve().name for folder in folders]
        if len(set(names)) < len(names):
            raise TonearmError(f"two folders have one name ({', '.join(names)}), and names are the labels; rename one")
        files = [
            LabelledFile(path, name, str(path))
            for folder, name in zip(folders, names, strict=True)
            for path in audio_files([folder])
        ]
    labels = sorted({file.label for file in files})
    if len(labels) < 2:
        raise TonearmError(
            f"{folders[0]} has the label {labels[0] if labels else '(none)'} alone; "
            f"give a folder with a folder for each label, or with {METADATA[0]}"
        )
    return files


def read_texts(table: Path) -> dict[Path, str]:
    """Resolved path -> text, from a CSV or JSON Lines file with `file_name` and `text` in every row."""
    if not table.is_file():
        raise TonearmError(f"no file at {table}; give a .csv or .jsonl file with file_name and text in every row")
    texts: dict[Path, str] = {}
    for number, row in enumerate(_rows(table, "file_name and text"), 1):
        if not row.get("file_name") or not row.get("text"):
            raise TonearmError(f"row {number} of {table} lacks file_name or text; give both in every row")
        path = (table.parent / str(row["file_name"])).resolve()
        if path in texts:
            raise TonearmError(f"row {number} of {table} names {row['file_name']} again; give each file one text")
        texts[path] = str(row["text"])
    return texts


def _corpus(folder: Path) -> Iterator[LabelledFile]:
    for name in METADATA:
        if (folder / name).is_file():
            yield from _from_metadata(folder / name)
            return
    for path in audio_files([folder]):
        if path.parent != folder:
            yield LabelledFile(path, path.parent.name, str(path))


def _from_metadata(file: Path) -> Iterator[LabelledFile]:
    for number, row in enumerate(_rows(file, "file_name and label"), 1):
        if not row.get("file_name") or not row.get("label"):
            raise TonearmError(f"row {number} of {file} lacks file_name or label; give both in every row")
        yield LabelledFile(
            file.parent / str(row["file_name"]), str(row["label"]), str(row.get("track") or row["file_name"])
        )


def _rows(file: Path, columns: str) -> list[dict]:
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file.suffix == ".csv":
            return list(csv.DictReader(text.splitlines()))
        return [dict(json.loads(line)) for line in text.splitlines() if line.strip()]
    except (ValueError, TypeError, csv.Error) as error:  # not UTF-8, not JSON, not an object
        raise TonearmError(f"cannot read {file} ({error}); give UTF-8 with {columns} in every row") from error


def _is_audio(file: Path) -> bool:
    return file.is_file() and file.suffix.lower() in AUDIO_ENDINGS and not file.name.startswith(".")
