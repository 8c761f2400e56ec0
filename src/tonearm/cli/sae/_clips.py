"""Data of `tonearm sae`: prompts, of which takes are generated, or audio, which is encoded."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tonearm.cli._corpora import print_skipped
from tonearm.cli._screen import progress_bar
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tonearm.activations.clips import Clips
    from tonearm.datasets.recordings import Recording
    from tonearm.model import Model

Prompts = Annotated[
    Path | None,
    typer.Option(
        "--prompts", metavar="FILE", help="Prompts, one per line, of which takes are generated."
    ),
]
Audio = Annotated[
    Path | None,
    typer.Option("--audio", metavar="FOLDER", help="In place of prompts: audio files."),
]
Takes = Annotated[
    int | None,
    typer.Option("--takes", metavar="N", help="Takes in all; default: one for each prompt."),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        "--seconds",
        metavar="SECONDS",
        help="Length of a take, or of a segment of audio; default: 10, or the window.",
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", help="Seed of the takes and of all random choices.")
]
Store = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="FOLDER",
        help="Keep the clips here; the same command then continues after a stop.",
    ),
]


@dataclass(frozen=True)
class ClipOptions:
    """Options of the data, as given."""

    prompts: Path | None
    audio: Path | None
    takes: int | None
    seconds: float | None
    seed: int

    def check(self) -> "ClipOptions":
        """Return the options. Raises TonearmError unless they name one kind of data."""
        if (self.prompts is None) == (self.audio is None):
            raise TonearmError("give --prompts FILE or --audio FOLDER, one of them")
        if self.audio is not None and self.takes is not None:
            raise TonearmError("--takes belongs to prompts; omit it")
        return self

    def collect(self, model: "Model", folder: Path) -> "Clips":
        """Generate or encode the clips, which the folder keeps; print items that are left out."""
        if self.prompts is not None:
            from tonearm.datasets.prompts import read_prompts

            prompts = read_prompts(self.prompts)
            return takes_of(model, prompts, folder, self.takes, self.seconds, self.seed)
        assert self.audio is not None
        from tonearm.datasets.recordings import recordings_in

        (recordings,) = recordings_in([self.audio])
        return segments_of(model, recordings, folder, self.seconds)


def takes_of(
    model: "Model",
    prompts: "Sequence[str]",
    folder: Path,
    takes: int | None,
    seconds: float | None,
    seed: int,
) -> "Clips":
    """Generate takes of prompts with a progress bar; the folder keeps their codes."""
    from tonearm.activations.clip_sources import clips_of_prompts

    with progress_bar("generating takes") as bar:
        return clips_of_prompts(
            model.engine,
            prompts,
            folder,
            takes=takes,
            seconds=seconds,
            seed=seed,
            progress=bar.update,
        )


def segments_of(
    model: "Model", recordings: "Sequence[Recording]", folder: Path, seconds: float | None
) -> "Clips":
    """Encode recordings with a progress bar; print those that are left out."""
    from tonearm.activations.clip_sources import clips_of_recordings

    with progress_bar("encoding audio") as bar:
        clips = clips_of_recordings(
            model.engine, recordings, folder, seconds=seconds, progress=bar.update
        )
    print_skipped(clips.skipped)
    return clips


def folder_of(store: Path | None) -> AbstractContextManager[Path]:
    """The folder, or a temporary one that is removed afterwards."""
    from tonearm.files.temporary_folder import temporary_folder

    return temporary_folder() if store is None else nullcontext(store)
