"""Folder of a listening test: the page, which may be published, and the key, which must not.

test/page/index.html        the page; it works from file:// and from any static server
test/page/audio/ab12….js    a stimulus each: FLAC as base64, since a page that is opened as a
                            file may read scripts and no other files
test/key.json               the answer key
"""

import os
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.files.atomic_folder import atomic_folder
from tonearm.listening.material import Item, Material
from tonearm.listening.plan import (
    Pairs,
    Roles,
    assign_roles,
    draw_items,
    estimated_minutes,
    plan_trials,
)
from tonearm.listening.schema import (
    KEY,
    PAGE,
    TEST_FORMAT,
    Key,
    KeyStimulus,
    KeyTrial,
    Kind,
    ListeningTest,
    ShownTrial,
    Training,
    stimulus_digest,
)
from tonearm.listening.sheets import PlannedTrial, Presentation, draw_sheets
from tonearm.listening.stimuli import (
    ANCHOR_EDGE,
    TRAINING_EDGE,
    Excerpt,
    PreparedItem,
    impaired,
    prepare,
)
from tonearm.report.listening_page import AUDIO, audio_script, page_code_digest, write_page
from tonearm.text import quoted

QUESTIONS: Mapping[Kind, str] = {
    "abx": "Is X the same as A, or the same as B?",
    "mushra": "Rate the sound quality of each excerpt, compared with the reference.",
}
KINDS: tuple[Kind, ...] = ("abx", "2afc", "mushra")
MAX_QUESTION = 300
_OF_TEST = re.compile(rf"{KEY}|{PAGE}/index\.html|{PAGE}/{AUDIO}/[0-9a-f]{{12}}\.js")


@dataclass(frozen=True)
class Design:
    """Design of a listening test.

    kind        abx, 2afc or mushra
    question    that each trial asks; 2AFC needs one, such as "Which is faster?"
    title       of the page
    reference   condition; None for "plain" or "reference"
    anchor      condition of MUSHRA; None for "random", or the low-pass of the reference
    pairs       of 2AFC: each condition with the reference, or all
    items       number that is drawn from the material
    repeats     of each trial
    excerpt     of every take
    shows_text  show the prompt above each trial
    seed        of all draws; None for a random one
    """

    kind: Kind
    question: str | None = None
    title: str = "Listening test"
    reference: str | None = None
    anchor: str | None = None
    pairs: Pairs = "reference"
    items: int = 8
    repeats: int = 1
    excerpt: Excerpt = field(default_factory=Excerpt)
    shows_text: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TonearmError(
                f"a test of kind {quoted(self.kind)} is not known; give {', '.join(KINDS)}"
            )
        if self.kind == "2afc" and not (self.question or "").strip():
            raise TonearmError(
                "a test of kind 2afc needs a question; give --question, such as "
                '"Which of the two is faster?"'
            )
        for name, text in (("question", self.question or ""), ("title", self.title)):
            if len(text) > MAX_QUESTION:
                raise TonearmError(
                    f"a {name} of {len(text)} characters is too long; use at most {MAX_QUESTION}"
                )
        if self.seed is not None:
            boundary.seed(self.seed)

    @property
    def asked(self) -> str:
        """The question, or that of the kind."""
        return self.question or QUESTIONS[self.kind]


@dataclass(frozen=True)
class ListeningTestFiles:
    """A listening test on disk.

    page             its path
    key_file         that of the key
    key              its content
    available        items of the material
    is_practice_new  whether the practice trial has an item that is not in the test
    """

    page: Path
    key_file: Path
    key: Key
    available: int
    is_practice_new: bool


def make_test(
    material: Material, design: Design, folder: str | os.PathLike[str]
) -> ListeningTestFiles:
    """Write a listening test.

    Args:
        material: takes by item and condition.
        design: of the test.
        folder: of page and key; files of an earlier test in it are replaced.

    Raises:
        TonearmError: material and design do not fit, a take cannot be used, or the folder cannot be
            written.
    """
    folder = Path(boundary.path(folder, "folder"))
    seed = secrets.randbelow(2**31) if design.seed is None else design.seed
    rng = np.random.default_rng(seed)
    roles = assign_roles(design.kind, material, design.reference, design.anchor)
    drawn, practice = draw_items(material, design.items, rng)
    trials = plan_trials(design.kind, roles, len(drawn), pairs=design.pairs, repeats=design.repeats)
    items, loudness = prepare(
        [material.items[index] for index in drawn],
        roles.conditions,
        roles.reference,
        design.excerpt,
    )
    is_practice_new = practice not in drawn
    if is_practice_new:
        practised = _practice(material.items[practice], roles.reference, design.excerpt, loudness)
    else:
        practised = items[drawn.index(practice)].stimuli[roles.reference].clip
    builder = _Builder(design, roles, items, practised, loudness, rng)
    test = builder.test(trials)
    key = Key(
        kind="tonearm listening key",
        seed=seed,
        reference=roles.reference,
        anchor=roles.anchor,
        conditions=roles.conditions,
        trials=builder.key_trials,
        test=test,
    )
    with atomic_folder(folder, KEY, lambda name: bool(_OF_TEST.fullmatch(name))) as temporary:
        write_page(temporary / PAGE, test.model_dump(mode="json"), test.digest)
        builder.write_audio(temporary / PAGE / AUDIO)
        (temporary / KEY).write_text(key.model_dump_json(indent=1), encoding="utf-8")
    return ListeningTestFiles(
        folder / PAGE / "index.html",
        folder / KEY,
        key,
        len(material.items),
        is_practice_new=is_practice_new,
    )


class _Builder:
    """Names stimuli at random, and collects the page's side and the key's side of each trial.

    Every trial has stimuli of its own, so that a name that returns tells nothing.
    """

    def __init__(
        self,
        design: Design,
        roles: Roles,
        items: Sequence[PreparedItem],
        practised: Clip,
        loudness: float,
        rng: np.random.Generator,
    ) -> None:
        self._design, self._roles, self._items = design, roles, items
        self._practised, self._loudness, self._rng = practised, loudness, rng
        self._audio: dict[str, bytes] = {}  # FLAC by name
        self.key_trials: dict[str, KeyTrial] = {}

    def test(self, trials: Sequence[PlannedTrial]) -> ListeningTest:
        """Build the test; `key_trials` has its trials afterwards."""
        sheets = draw_sheets(self._design.kind, trials, self._rng)
        shown = [self._shown(trial) for trial in trials]
        rows = [[_row(one, *shown[one.trial]) for one in sheet] for sheet in sheets]
        training = self._training()
        return ListeningTest(
            format=TEST_FORMAT,
            page=page_code_digest(),
            kind=self._design.kind,
            title=self._design.title,
            question=self._design.asked,
            minutes=estimated_minutes(trials, self._design.kind),
            loudness=round(self._loudness, 2),
            training=training,
            trials=tuple(trial for trial, _, _ in shown),
            sheets=tuple(tuple(rows_of_sheet) for rows_of_sheet in rows),
            audio={name: stimulus_digest(name, self._audio[name]) for name in sorted(self._audio)},
        )

    def write_audio(self, folder: Path) -> None:
        """Write the stimuli, in the order of their random names, as files of one size."""
        folder.mkdir(parents=True)
        encoded = {name: b64encode(self._audio[name]).decode() for name in sorted(self._audio)}
        longest = max(map(len, encoded.values()))
        for name, content in encoded.items():
            text = audio_script(name, content, "-" * (longest - len(content)))
            (folder / f"{name}.js").write_text(text, encoding="ascii")

    def _shown(self, trial: PlannedTrial) -> tuple[ShownTrial, list[str], list[str]]:
        """The page's side of a trial, and its stimuli by condition: sides, and copies as X."""
        item = self._items[trial.item]
        sources = [item.stimuli[name] for name in trial.conditions]
        sides = [self._named(source.clip) for source in sources]
        copies = [self._named(source.clip) for source in sources] if self._is_abx else []
        labelled = None
        if self._design.kind == "mushra":
            labelled = self._named(item.stimuli[self._roles.reference].clip)
        shown = ShownTrial(
            name=self._name(),
            text=(item.text or "") if self._design.shows_text else "",
            reference=labelled,
            stimuli=(*self._shuffled(sides), *self._shuffled(copies)),
        )
        keys = [
            KeyStimulus(condition=name, origin=source.origin, gain_db=source.gain_db)
            for name, source in zip(trial.conditions, sources, strict=True)
        ]
        stimuli = dict(zip(sides, keys, strict=True))
        if copies:
            stimuli |= zip(copies, keys, strict=True)
        self.key_trials[shown.name] = KeyTrial(item=item.name, stimuli=stimuli)
        return shown, sides, copies

    def _training(self) -> Training:
        """A trial with an obvious difference: a reference and its low-pass."""
        reference = self._practised
        dull = impaired(reference, TRAINING_EDGE, self._loudness)
        clips = [reference, dull]
        if self._is_abx:
            clips.append(dull)
        elif self._design.kind == "mushra":
            clips.append(impaired(reference, ANCHOR_EDGE, self._loudness))
        stimuli = [self._named(clip) for clip in clips]
        is_rated = self._design.kind == "mushra"
        trial = ShownTrial(
            name=self._name(),
            text="",
            reference=self._named(reference) if is_rated else None,
            stimuli=tuple(stimuli),
        )
        order = self._rng.permutation(2).tolist() if not is_rated else [1, 0]
        return Training(
            trial=trial,
            order=(*order, *range(2, len(stimuli))),
            answer=stimuli[1] if self._is_abx else None,
        )

    @property
    def _is_abx(self) -> bool:
        return self._design.kind == "abx"

    def _name(self) -> str:
        return self._rng.bytes(6).hex()

    def _named(self, clip: Clip) -> str:
        name = self._name()
        self._audio[name] = clip.encoded(".flac")
        return name

    def _shuffled(self, names: Sequence[str]) -> list[str]:
        return [names[index] for index in self._rng.permutation(len(names))]


def _practice(item: Item, reference: str, excerpt: Excerpt, loudness: float) -> Clip:
    """The reference of an item at the loudness of a test, or as loud as its peaks allow."""
    (prepared,), _ = prepare([item], (reference,), reference, excerpt)
    return prepared.stimuli[reference].clip.loudness_matched(loudness)


def _row(
    shown: Presentation, trial: ShownTrial, sides: Sequence[str], copies: Sequence[str]
) -> tuple[int, ...]:
    """A presentation in indices of the trial's stimuli; in ABX the third is a copy."""
    names = [sides[index] for index in shown.order[: len(sides)]]
    names += [copies[index] for index in shown.order[len(sides) :]]
    return (shown.trial, *(trial.stimuli.index(name) for name in names))
