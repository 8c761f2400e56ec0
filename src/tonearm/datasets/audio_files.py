"""Audio files on disk: files and folders to lists of files, and their clips one by one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.progress import Progress

AUDIO_ENDINGS = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif")
LISTEN = "listen"  # folder of a comparison's copies at one loudness
INPUTS = ("audio_prompt", "melody")  # a take's own inputs are <stem>.<input>.wav beside it


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
