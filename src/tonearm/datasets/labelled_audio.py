"""Labelled audio: corpora of several layouts on disk, with one type for their items.

    from tonearm.datasets.labelled_audio import read_corpus

    corpus = read_corpus([Path("data/gtzan")])
    for file in corpus:
        clip = file.read()          # file.label, file.track, file.columns

`tonearm.datasets.layouts` describes each layout: folders, metadata, gtzan, fma, music_genres and
syntheory. Listing a corpus opens no audio.

Training and evaluation must keep the files of one track together: excerpts of one piece in both
halves of a split leak. The same holds for tracks that are made from one piece, such as renderings
with and without its drums, whose labels differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.datasets import parquet
from tonearm.datasets.audio_files import audio_files
from tonearm.datasets.layouts.base import LABEL, Entry, Layout, Table
from tonearm.datasets.layouts.folders import FOLDERS
from tonearm.datasets.layouts.search import find_layout
from tonearm.datasets.selection import checked_where, is_selected, listed, no_column, no_item
from tonearm.datasets.skips import NO_FILE, NO_LABEL, SkipLog, Skipped, describe_skips
from tonearm.errors import TonearmError
from tonearm.files.real_path import real_path
from tonearm.text import check_text


@dataclass(frozen=True)
class LabelledFile:
    """An audio file of a corpus, or an audio file in a row of a Parquet shard.

    Attributes:
        path: of the audio file, or of the shard.
        label: the chosen label.
        track: files of one track are excerpts of one piece.
        row: of the shard; None for an audio file.
        columns: all labels of the file by name.
        piece: that several tracks are made from; empty where each is a piece of its own.
    """

    path: Path
    label: str
    track: str
    row: int | None = None
    columns: Mapping[str, str] = field(default_factory=dict, compare=False)
    piece: str = ""

    @property
    def split_unit(self) -> str:
        """Files of one unit, a piece or a track, stay in one half of every split."""
        return self.piece or self.track

    @property
    def name(self) -> str:
        """The path, with the row; unique in a corpus."""
        return str(self.path) if self.row is None else f"{self.path}:{self.row}"

    def read(self) -> Clip:
        """Read the audio.

        Raises:
            TonearmError: it is absent or cannot be decoded.
        """
        if self.row is None:
            return Clip.read(self.path)
        return Clip.decode(parquet.read_audio(self.path, self.row), self.name)


@dataclass(frozen=True)
class Corpus(Sequence[LabelledFile]):
    """Files of a corpus, in order.

    Attributes:
        files: with their labels.
        skipped: items that the corpus lists and that have no audio file or no label.
        layout: of the corpus.
    """

    files: tuple[LabelledFile, ...]
    skipped: tuple[Skipped, ...]
    layout: Layout

    def __len__(self) -> int:
        return len(self.files)

    @overload
    def __getitem__(self, index: int) -> LabelledFile: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LabelledFile, ...]: ...
    def __getitem__(self, index: Any) -> Any:
        return self.files[index]

    @property
    def labels(self) -> list[str]:
        """Distinct labels, sorted."""
        return sorted({file.label for file in self.files})


def read_corpus(
    folders: Sequence[Path],
    *,
    label: str | None = None,
    where: Mapping[str, str] | None = None,
    layout: str | None = None,
) -> Corpus:
    """List the files of a labelled corpus.

    Args:
        folders: one corpus, or one folder per label.
        label: column of the labels; default: that of the layout.
        where: values by column; other items of the corpus are left out.
        layout: name of the layout; default: found by the files in the folder.

    Returns:
        The files with label and track; they are not opened.

    Raises:
        TonearmError: a folder is absent, metadata are incomplete, no such column or value, all
            items are skipped, or there is one label alone.
    """
    folders = [Path(one) for one in boundary.sequence(folders, "folders", boundary.path, "paths")]
    label = boundary.optional(boundary.text, label, "label")
    layout = boundary.optional(boundary.text, layout, "layout")
    where = checked_where({} if where is None else where)
    for folder in folders:
        if not folder.is_dir():
            raise TonearmError(
                f"no folder at {folder}; give a labelled corpus, or one folder for each label"
            )
    if not folders:
        raise TonearmError("folders is empty; give a labelled corpus, or one folder for each label")
    if len(folders) > 1:
        if layout not in (None, FOLDERS.name) or label is not None or where:
            raise TonearmError(
                f"{len(folders)} folders were given, so that each is a label; "
                "give one corpus with a layout, a column of labels, or values of columns"
            )
        corpus = Corpus(tuple(_folder_per_label(folders)), (), FOLDERS)
    else:
        corpus = _read_one(folders[0], label, where, find_layout(folders[0], layout))
    if len(corpus.labels) < 2:
        raise TonearmError(
            f"{folders[0]} has the label {corpus.labels[0] if corpus else '(none)'} alone; "
            "give a folder with a folder for each label, or with metadata.csv, or choose another "
            "column of labels"
        )
    return corpus


def _folder_per_label(folders: Sequence[Path]) -> list[LabelledFile]:
    names = [real_path(folder).name for folder in folders]
    if len(set(names)) < len(names):
        raise TonearmError(
            f"two folders have one name ({', '.join(names)}), and names are the labels; rename one"
        )
    return [
        LabelledFile(path, name, str(path), columns={LABEL: name})
        for folder, name in zip(folders, names, strict=True)
        for path in audio_files([folder])
    ]


def _read_one(folder: Path, label: str | None, where: Mapping[str, str], layout: Layout) -> Corpus:
    table = layout.open(folder)
    label = _column(table, folder, label)
    for name in where:
        _column(table, folder, name)
    log = SkipLog(layout.known_defects)
    files = []
    values: dict[str, set[str]] = {name: set() for name in where}
    for entry in table.entries({label, *where}):
        for name, found in values.items():
            found.add(entry.columns.get(name, ""))
        if is_selected(entry.columns, where):
            file = _labelled(entry, label, log)
            if file is not None:
                files.append(file)
    if not files:
        _refuse_empty(folder, where, values, log)
    return Corpus(tuple(files), log.skipped, layout)


def _column(table: Table, folder: Path, name: str | None) -> str:
    """Check the name of a column, or return the default label."""
    if name is None and table.label is not None:
        return table.label
    if name in table.columns:
        return str(name)
    if name is None:
        raise TonearmError(
            f"{folder} has no column {LABEL}; choose one of its columns as the label: "
            f"{listed(table.columns)}"
        )
    raise no_column(str(folder), name, table.columns)


def _labelled(entry: Entry, label: str, log: SkipLog) -> LabelledFile | None:
    """The file of an entry, or None, and the reason in the log."""
    name = str(entry.path or entry.name)
    if entry.path is None:
        log.add(NO_FILE, name, f"no file at {name}")
        return None
    if label not in entry.columns:
        log.add(NO_LABEL, name, f"{name} has no {label}")
        return None
    check_text(entry.columns[label], f"{label} of {name}")
    return LabelledFile(
        entry.path, entry.columns[label], entry.track, entry.row, entry.columns, entry.piece
    )


def _refuse_empty(
    folder: Path, where: Mapping[str, str], values: Mapping[str, set[str]], log: SkipLog
) -> None:
    """Raise TonearmError with the reason why a corpus has no file, where one is known."""
    if log.skipped and all(value in values[name] for name, value in where.items()):
        raise TonearmError(
            f"every item of {folder} is left out: {describe_skips(log.skipped)}; "
            "check that the download is complete"
        )
    if where:
        raise no_item(str(folder), where, values)
