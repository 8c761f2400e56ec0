"""Files of a listening test: the test as its page knows it, the key, and a listener's result."""

import hashlib
import json
from typing import Annotated, Final, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

KEY, PAGE = "key.json", "page"  # file and folder of a test
TEST_FORMAT: Final = 2  # keys of tests of format 1 are read too
RESULT_FORMAT: Final = 1
MAX_TEXT = 2000  # characters of a comment
MAX_LISTENER = 80  # characters of an id

Kind = Literal["abx", "2afc", "mushra"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[0-9a-f]{12}$")]  # of a stimulus or a trial, random


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ShownTrial(_Record):
    """A trial as the page knows it.

    name       of the trial
    text       shown above it, or ""
    reference  labelled reference, in MUSHRA
    stimuli    in random order; in ABX the two sides, and a copy of each as X
    """

    name: Name
    text: str
    reference: Name | None
    stimuli: tuple[Name, ...]


class Training(_Record):
    """The trial that is practised: `order` of its stimuli, and the side that is X, in ABX."""

    trial: ShownTrial
    order: tuple[int, ...]
    answer: Name | None


class ListeningTest(_Record):
    """Everything that determines a page.

    page      sha256 of its code
    sheets    orders of presentation; a listener has one of them. Each is a list of trials: the
              index of the trial, then the indices of its stimuli in the order of presentation
              (in ABX: A, B, X)
    loudness  of all stimuli, LUFS
    audio     `stimulus_digest` of each stimulus; in format 1 the sha256 of its FLAC file, by which
              the page showed which stimuli are equal
    minutes   estimate
    """

    format: Literal[1, 2]
    page: Digest
    kind: Kind
    title: str
    question: str
    minutes: int
    loudness: float
    training: Training
    trials: tuple[ShownTrial, ...]
    sheets: tuple[tuple[tuple[int, ...], ...], ...]
    audio: dict[Name, Digest]

    @property
    def digest(self) -> str:
        """sha256 of the test, by which results and key belong together."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8")).hexdigest()


def stimulus_digest(name: str, flac: bytes) -> str:
    """sha256 of a stimulus with its name, so that equal stimuli have unequal digests.

    Args:
        name: of the stimulus.
        flac: bytes of its file.
    """
    return hashlib.sha256(name.encode("ascii") + flac).hexdigest()


class KeyStimulus(_Record):
    """Condition of a stimulus, its source, and the gain that matched its loudness, in dB."""

    condition: str
    origin: str
    gain_db: float


class KeyTrial(_Record):
    """Item of a trial, and its stimuli by name."""

    item: str
    stimuli: dict[Name, KeyStimulus]


class Key(_Record):
    """Answer key of a listening test.

    reference, anchor  names of conditions; the anchor is None where there is none
    """

    kind: Literal["tonearm listening key"]
    seed: int
    reference: str
    anchor: str | None
    conditions: tuple[str, ...]
    trials: dict[Name, KeyTrial]
    test: ListeningTest

    @model_validator(mode="after")
    def _covers_the_test(self) -> "Key":
        shown = {trial.name: set(trial.stimuli) for trial in self.test.trials}
        if shown != {name: set(trial.stimuli) for name, trial in self.trials.items()}:
            raise ValueError("the key and the test have different trials")
        return self

    def condition(self, trial: str, stimulus: str) -> str:
        """Condition of a stimulus of a trial."""
        return self.trials[trial].stimuli[stimulus].condition


class LevelCheck(_Record):
    """Quiet tones that were played and counted, and how often the listener tried."""

    tones: int = Field(ge=0, le=20)
    answered: int = Field(ge=0, le=99)
    tries: int = Field(ge=1, le=999)


class Answer(_Record):
    """A listener's answer to a trial.

    order     stimuli in the order of presentation
    chosen    stimulus that was chosen (ABX: the side that is X)
    ratings   0 to 100 by stimulus, in MUSHRA
    seconds   from the beginning of the trial to the answer
    switches  changes between stimuli
    """

    trial: Name
    order: tuple[Name, ...] = Field(max_length=64)
    chosen: Name | None
    ratings: dict[Name, Annotated[int, Field(ge=0, le=100)]] | None
    at: AwareDatetime
    seconds: float = Field(ge=0)
    switches: int = Field(ge=0)
    comment: str = Field(max_length=MAX_TEXT)


class Result(_Record):
    """Result file of a listener.

    test      digest of the test
    sheet     order of presentation
    finished  None where the listener stopped before the end
    """

    kind: Literal["tonearm listening result"]
    format: Literal[1]
    test: Digest
    listener: str = Field(min_length=1, max_length=MAX_LISTENER)
    equipment: Literal["headphones", "loudspeakers", "other"]
    sheet: int = Field(ge=0)
    started: AwareDatetime
    finished: AwareDatetime | None
    level: LevelCheck | None
    answers: tuple[Answer, ...] = Field(max_length=10_000)
    comment: str = Field(max_length=MAX_TEXT)

    @property
    def digest(self) -> str:
        """sha256 of the content, whatever the file's layout."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8")).hexdigest()
