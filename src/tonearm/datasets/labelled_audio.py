"""Audio files on disk, with labels where there are some.

    jazz/a.wav, train/rock/b.wav    the label is the name of the file's folder
    metadata.csv                    columns file_name and label, and track where several files are
                                    excerpts of one piece
    metadata.jsonl                  the same, one JSON object per line

Training and evaluation must keep the files of one track together: excerpts of one piece in both
halves of a split leak.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.files.real_path import real_path
from tonearm.files.text_file import parse_json, read_text
from tonearm.progress import Progress
from tonearm.text import check_text, first_line

AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif")
LISTEN = "listen"  # folder of a comparison's copies at one loudness
INPUTS = ("audio_prompt", "melody")  # a take's own inputs are <stem>.<input>.wav beside it
METADATA = ("metadata.csv", "metadata.jsonl")


@dataclass(frozen=True)
class LabelledFile:
    """A file of a corpus; files of one track are excerpts of one piece."""

    path: Path
    label: str
    track: str


@dataclass(frozen=True)
class FailedFile:
    """A file that could not be used, with the reason in one line."""

    path: Path
    reason: str

    def to_dict(self) -> dict[str, str]:
        return {"file": str(self.path), "error": self.reason}


def audio_files(paths: Sequence[Path]) -> list[Path]:
    """List the files given, and those within the folders given, in order.

    In folders, files that Tonearm derived from takes are left out: copies of a comparison at one
    loudness, and audio prompts and melodies beside their takes. So are hidden files and folders.

    Raises:
        TonearmError: a folder has no audio.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        within = sorted(file for file in path.rglob("*") if _is_source(file, path))
        if not within:
            endings = ", ".join(AUDIO_ENDINGS)
            raise TonearmError(f"no audio in {path}; give a folder with {endings} files")
        found += within
    return list(dict.fromkeys(found))


def read_clips(
    paths: Sequence[Path], progress: Progress | None = None
) -> Iterator[tuple[Path, Clip | FailedFile]]:
    """Read audio files one by one.

    Args:
        paths: the files.
        progress: called with (done, total) before each file and at the end.

    Yields:
        Each path with its clip, or with the reason where it cannot be read.
    """
    for done, path in enumerate(paths):
        if progress is not None:
            progress(done, len(paths))
        try:
            clip: Clip | FailedFile = Clip.read(path)
        except TonearmError as error:
            clip = FailedFile(path, str(error))
        yield path, clip
    if progress is not None:
        progress(len(paths), len(paths))


def read_corpus(folders: Sequence[Path]) -> list[LabelledFile]:
    """List the files of a labelled corpus.

    Args:
        folders: one corpus, or one folder per label.

    Returns:
        The files with label and track; they are not opened.

    Raises:
        TonearmError: a folder is absent, metadata are incomplete, or there is one label alone.
    """
    for folder in folders:
        if not folder.is_dir():
            raise TonearmError(
                f"no folder at {folder}; give a labelled corpus, or one folder for each label"
            )
    if len(folders) == 1:
        files = list(_corpus(folders[0]))
    else:
        names = [real_path(folder).name for folder in folders]
        if len(set(names)) < len(names):
            raise TonearmError(
                f"two folders have one name ({', '.join(names)}), and names are the labels; "
                "rename one"
            )
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


def read_table(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a .csv file with a header, or a .jsonl file of objects.

    Args:
        file: UTF-8 text.
        columns: present and not empty in every row.

    Yields:
        Number of the row, from 1, and its values by column.

    Raises:
        TonearmError: the file cannot be read or is too large, or a row lacks one of `columns`.
    """
    remedy = f"give UTF-8 with {' and '.join(columns)} in every row"
    text = read_text(file, "table", remedy)
    # Each format has its own rule for lines: a quoted field of CSV may contain line breaks, and a
    # string of JSON Lines may contain U+2028, at which `str.splitlines` would cut.
    lines = io.StringIO(text, newline="" if file.suffix == ".csv" else None)
    try:
        if file.suffix == ".csv":
            rows = list(csv.DictReader(lines))
        else:
            rows = [dict(parse_json(line, str(file), remedy)) for line in lines if line.strip()]
    except (ValueError, TypeError, csv.Error) as error:  # a row that is no object, a long field
        raise TonearmError(f"cannot read {file} ({first_line(error)}); {remedy}") from error
    for number, row in enumerate(rows, 1):
        if not all(row.get(column) for column in columns):
            raise TonearmError(
                f"row {number} of {file} lacks {' or '.join(columns)}; give both in every row"
            )
        values = {key: str(value) for key, value in row.items() if value}
        for column in columns:
            check_text(values[column], f"{column} in row {number} of {file}")
        yield number, values


def _corpus(folder: Path) -> Iterator[LabelledFile]:
    for name in METADATA:
        if (folder / name).is_file():
            for _, row in read_table(folder / name, ("file_name", "label")):
                path = folder / row["file_name"]
                yield LabelledFile(path, row["label"], row.get("track", row["file_name"]))
            return
    for path in audio_files([folder]):
        if path.parent != folder:
            yield LabelledFile(path, path.parent.name, str(path))


def _is_source(file: Path, folder: Path) -> bool:
    """Whether a path within `folder` is audio that is neither hidden nor derived from a take."""
    names = file.relative_to(folder).parts
    if file.suffix.lower() not in AUDIO_ENDINGS or any(name.startswith(".") for name in names):
        return False
    if names[:-1] and file.parent.name == LISTEN:
        take = file.parent.with_name(file.name)
        if take.is_file() and take.with_suffix(".json").is_file():
            return False
    stem, _, role = file.stem.rpartition(".")
    if role in INPUTS and file.with_name(f"{stem}.json").is_file():
        return False
    return file.is_file()
