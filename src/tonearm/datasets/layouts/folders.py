"""A folder per label, also below folders of splits.

jazz/a.wav, train/rock/b.wav    the label is the name of the file's folder
"""

from collections.abc import Collection, Iterator
from pathlib import Path

from tonearm.datasets.audio_files import AUDIO_ENDINGS, audio_files
from tonearm.datasets.layouts.base import LABEL, Entry, Layout, Table


def _matches(folder: Path) -> bool:
    return any(
        file.suffix.lower() in AUDIO_ENDINGS and file.parent != folder for file in folder.rglob("*")
    )


def _open(folder: Path) -> Table:
    def entries(needed: Collection[str]) -> Iterator[Entry]:
        for path in audio_files([folder]):
            if path.parent != folder:
                yield Entry(path, str(path), {LABEL: path.parent.name})

    return Table((LABEL,), LABEL, entries)


FOLDERS = Layout(
    name="folders",
    expected="[split/]<label>/<audio file>",
    matches=_matches,
    open=_open,
)
