"""Data of `tonearm learn`: one or two files of prompts, or labelled audio."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tonearm.cli._corpora import parse_where, print_skipped
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.steering import SteeringVector, VectorInfo

PROMPT_SECONDS, PROMPT_SEED = 2.0, 0
REST = "the rest"


@dataclass(frozen=True)
class Data:
    """Data that was read, or listed.

    learn   the function of the library, with the arguments that belong to the data; it takes the
            model, the vector's name, and the rest by keyword
    labels  meanings of + and -, where none were given
    """

    learn: "Callable[..., SteeringVector]"
    labels: tuple[str, str]


@dataclass(frozen=True)
class PromptOptions:
    """Options of prompts, as given."""

    positive: Path | None
    negative: Path | None
    seconds: float | None
    seed: int | None
    paired: bool

    def named(self) -> dict[str, Any]:
        return {
            "--positive": self.positive,
            "--negative": self.negative,
            "--seconds": self.seconds,
            "--seed": self.seed,
            "--paired": self.paired or None,
        }

    def read(self) -> Data:
        """Read the files; without a negative one the background is that of `learn`."""
        if self.positive is None:
            raise TonearmError(
                "give --positive FILE, and --negative FILE unless the concept has no opposite, or "
                "--audio FOLDER"
            )
        from functools import partial

        from tonearm.datasets.prompts import read_prompts
        from tonearm.methods.learn import BACKGROUND, learn

        above = read_prompts(self.positive)
        below = None if self.negative is None else read_prompts(self.negative)
        settings: dict[str, Any] = {
            "seconds": PROMPT_SECONDS if self.seconds is None else self.seconds,
            "seed": PROMPT_SEED if self.seed is None else self.seed,
            "paired": self.paired,
        }
        labels = ("more", BACKGROUND if below is None else "less")
        return Data(partial(learn, positive=above, negative=below, **settings), labels)


@dataclass(frozen=True)
class AudioOptions:
    """Options of audio, as given."""

    audio: Path | None
    label: str | None
    against: Sequence[str]
    against_audio: Path | None
    column: str | None
    where: Sequence[str]
    layout: str | None
    segment: float | None
    text: str | None
    store: Path | None

    def named(self) -> dict[str, Any]:
        return {
            "--audio": self.audio,
            "--label": self.label,
            "--against": self.against or None,
            "--against-audio": self.against_audio,
            "--column": self.column,
            "--where": self.where or None,
            "--layout": self.layout,
            "--segment": self.segment,
            "--text": self.text,
            "--store": self.store,
        }

    def read(self) -> Data:
        """List the audio of both sets; no file is opened."""
        from functools import partial

        from tonearm.methods.learn_from_audio import learn_from_audio

        positive, negative, labels = self._sets()
        settings: dict[str, Any] = {
            "segment_seconds": self.segment,
            "text": self.text,
            "store": self.store,
        }
        return Data(
            partial(learn_from_audio, positive=positive, negative=negative, **settings), labels
        )

    def _sets(self) -> tuple[list[Any], list[Any], tuple[str, str]]:
        """Both sets, and the meanings of + and -."""
        from tonearm.datasets.labelled_audio import read_corpus
        from tonearm.datasets.recordings import contrast

        assert self.audio is not None
        if self.against_audio is not None:
            if self.label is not None or self.against:
                raise TonearmError(
                    "--against-audio is the whole negative set; omit it, or --label and --against"
                )
            choice = {
                "--column": self.column,
                "--where": self.where or None,
                "--layout": self.layout,
            }
            _refuse(choice, "belongs to a labelled corpus, with --label; omit {}")
            return [self.audio], [self.against_audio], ("more", "less")
        if self.label is None:
            raise TonearmError(
                f"give --label, the label of {self.audio} to be learned, or --against-audio FOLDER "
                "with neutral audio"
            )
        corpus = read_corpus(
            [self.audio], label=self.column, where=parse_where(self.where), layout=self.layout
        )
        positive, negative = contrast(corpus, self.label, self.against)
        print_skipped(corpus.skipped)
        return positive, negative, (self.label, ", ".join(self.against) or REST)


def read_data(prompts: PromptOptions, audio: AudioOptions) -> Data:
    """Read the data that the options name.

    Raises:
        TonearmError: no data, options of both kinds, or data that cannot be read.
    """
    if audio.audio is None:
        _refuse(audio.named(), "belongs to audio; give --audio FOLDER, or omit {}")
        return prompts.read()
    _refuse(prompts.named(), "belongs to prompts, and --audio was given; omit one of them")
    return audio.read()


def _refuse(options: Mapping[str, Any], reason: str) -> None:
    for option, value in options.items():
        if value is not None:
            raise TonearmError(f"{option} {reason.format(option)}")


def data_text(info: "VectorInfo") -> str:
    """`4 positive, 4 negative`, of segments with their length."""
    counts = f"{info.positive_count} positive, {info.negative_count} negative"
    if info.source == "prompts":
        return counts
    text = f"with the text {info.text!r}" if info.text else "without a text"
    return f"{counts} segments of {info.segment_seconds:g} s, {text}"
