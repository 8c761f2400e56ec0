"""Groups of measures that a study takes of each clip's audio, each with a fingerprint of what computes it.

    signal   tempo by librosa, onset rates, centroid, loudness, pulse clarity, faults ...
    beats    tempo by the bundled beat tracker
    clap     CLAP score and its control by the bundled CLAP, and the embedding for FAD and KAD
    tags     probabilities by musicnn; three quarters of the time of these four groups
    percussion  level of the onsets above 4 kHz
    chroma   chroma over time and its mean, for `tonearm.measures.chroma_similarity`
    notes    notes by basic-pitch, which is optional, and their statistics, for
             `tonearm.measures.note_agreement`

The values of chroma and notes are those of one clip; a study compares two records of the same store:

    chroma       0.5-s steps of 12 pitch classes from C, each of unit length, or zero where silent
    mean_chroma  12 pitch classes, of unit length
    notes        start and end in seconds, and MIDI number, of each note by start

All three are None for silence, and chroma under 2 s.

A store keeps the values of each group with its fingerprint: where an evaluator or a protocol
changes, that group alone is measured again, from stored audio.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import (
    AudioTextEmbedder,
    BeatTracker,
    Tagger,
    Transcriber,
    describe_embedder,
    embed_sounding,
)
from tonearm.evaluators.basic_pitch import model_file
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.evaluators.load import (
    bundled_tracker_file,
    load_clap,
    load_tagger,
    load_tracker,
    load_transcriber,
)
from tonearm.measures import ClipAnalysis, Measurement, measure_notes, measure_tempo
from tonearm.measures.chroma import STEPS_PROTOCOL, unit_or_zero
from tonearm.measures.faults import find_faults
from tonearm.measures.held_tones import HELD_TONES
from tonearm.measures.high_onset_level import HIGH_ONSET_LEVEL
from tonearm.measures.loudness import LOUDNESS
from tonearm.measures.onset_rate import ONSET_RATE
from tonearm.measures.onset_rate_superflux import ONSET_RATE_SUPERFLUX
from tonearm.measures.pulse_clarity import PULSE_CLARITY
from tonearm.measures.spectral_centroid import SPECTRAL_CENTROID
from tonearm.measures.static import STATIC
from tonearm.measures.tags import measure_tags
from tonearm.measures.tempo import TEMPO
from tonearm.text import quoted

SIGNAL_MEASURES = (
    TEMPO,
    ONSET_RATE,
    ONSET_RATE_SUPERFLUX,
    SPECTRAL_CENTROID,
    LOUDNESS,
    PULSE_CLARITY,
    HELD_TONES,
    STATIC,
)
# measures with one number each, which a calibration can use
NUMBERS = (
    "onset_rate",
    "onset_rate_superflux",
    "spectral_centroid",
    "loudness",
    "pulse_clarity",
    "tempo",
    "bundled_tempo",
    "high_onset_level",
)
EMBEDDING_DECIMALS, TAG_DECIMALS = 6, 4
CHROMA_DECIMALS, NOTE_DECIMALS = 4, 2

Values = dict[str, Any]  # strict JSON


@dataclass(frozen=True)
class MeasureRequest:
    """A clip, the text of its CLAP score, and the text of the control."""

    clip: Clip
    text: str
    other_text: str


@dataclass(frozen=True)
class Group:
    """Measures that are computed together.

    name         in trials and stores
    fingerprint  identifies evaluator and protocol
    uses_texts   the values depend on the texts of the request
    measure      values of each request
    """

    name: str
    fingerprint: str
    uses_texts: bool
    measure: Callable[[Sequence[MeasureRequest]], list[Values]]


@cache
def group(name: str) -> Group:
    """Load a group, once per process.

    Raises:
        TonearmError: no such group.
    """
    _check_name(name)
    return LOADERS[name]()


def reason_unavailable(name: str) -> str | None:
    """Load a group on trial.

    Returns:
        Why it cannot be measured, such as a package that is not installed, in one line with the
        remedy; None where it can.

    Raises:
        TonearmError: no such group.
    """
    _check_name(name)
    try:
        group(name)
    except TonearmError as error:
        return str(error)
    return None


def _check_name(name: str) -> None:
    if name not in LOADERS:
        raise TonearmError(f"no group of measures {quoted(name)}; there are {', '.join(LOADERS)}")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _signal() -> Group:
    texts = [f"{measure.name} {measure.unit} {measure.protocol}" for measure in SIGNAL_MEASURES]
    digest = _digest("\n".join(texts).encode())
    return Group("signal", f"signal {digest}", False, lambda all: [_signal_of(r.clip) for r in all])


def _signal_of(clip: Clip) -> Values:
    analysis = ClipAnalysis(clip, LibrosaTracker())
    measurements = [one for measure in SIGNAL_MEASURES for one in measure.measurements(analysis)]
    faults = find_faults(analysis)
    values = {measurement.name: measurement.to_dict() for measurement in measurements}
    return {**values, "faulty": bool(faults), "faults": faults}


def _beats() -> Group:
    tracker: BeatTracker = load_tracker("bundled")
    digest = _digest(bundled_tracker_file().read_bytes())

    def measure(requests: Sequence[MeasureRequest]) -> list[Values]:
        estimates = (measure_tempo(request.clip, tracker) for request in requests)
        return [{"bundled_tempo": estimate.measurement.to_dict()} for estimate in estimates]

    return Group("beats", f"{tracker.name} {digest}", False, measure)


def _clap() -> Group:
    clap: AudioTextEmbedder = load_clap("bundled")
    embedder = describe_embedder(clap)

    def score(name: str, row: np.ndarray | None, text: np.ndarray) -> Values:
        value = None if row is None else float(row @ text)
        return {name: Measurement(name, value, "cosine", embedder).to_dict()}

    def measure(requests: Sequence[MeasureRequest]) -> list[Values]:
        for text in {request.text for request in requests}:
            clap.check_words(text)
        rows = embed_sounding([request.clip for request in requests], clap)
        own = clap.embed_texts([request.text for request in requests])
        others = clap.embed_texts([request.other_text for request in requests])
        return [
            {
                **score("clap_score", row, text),
                **score("clap_score_other_text", row, other),
                "embedder": embedder,
                "embedding": (
                    None if row is None else [round(float(x), EMBEDDING_DECIMALS) for x in row]
                ),
            }
            for row, text, other in zip(rows, own, others, strict=True)
        ]

    return Group("clap", f"clap {clap.fingerprint}", True, measure)


def _tags() -> Group:
    tagger = load_tagger()
    return Group(
        "tags",
        f"{tagger.name} {tagger.fingerprint}",
        False,
        lambda all: [{"tags": tag_probabilities(request.clip, tagger)} for request in all],
    )


def tag_probabilities(clip: Clip, tagger: Tagger) -> dict[str, float] | None:
    """Probability of each tag, rounded; None for silence and under 3 s."""
    found = measure_tags(clip, tagger).probabilities
    if found is None:
        return None
    return {tag: round(value, TAG_DECIMALS) for tag, value in found.items()}


def _percussion() -> Group:
    measure = HIGH_ONSET_LEVEL
    digest = _digest(f"{measure.name} {measure.unit} {measure.protocol}".encode())
    return Group(
        "percussion",
        f"percussion {digest}",
        False,
        lambda all: [{measure.name: measure.of(request.clip).to_dict()} for request in all],
    )


def _chroma() -> Group:
    digest = _digest(f"{STEPS_PROTOCOL}, {CHROMA_DECIMALS} decimals".encode())
    return Group("chroma", f"chroma {digest}", False, lambda all: [_chroma_of(r.clip) for r in all])


def _chroma_of(clip: Clip) -> Values:
    analysis = ClipAnalysis(clip)
    steps, mean = analysis.chroma_steps, analysis.chroma
    return {
        "chroma": None if steps is None else steps.round(CHROMA_DECIMALS).tolist(),
        "mean_chroma": None if mean is None else unit_or_zero(mean).round(CHROMA_DECIMALS).tolist(),
    }


def _notes() -> Group:
    transcriber: Transcriber = load_transcriber()
    protocol = f"{transcriber.settings}, {NOTE_DECIMALS} decimals"
    digest = _digest(model_file().read_bytes() + protocol.encode())
    return Group(
        "notes",
        f"{transcriber.name} {digest}",
        False,
        lambda all: [_notes_of(request.clip, transcriber) for request in all],
    )


def _notes_of(clip: Clip, transcriber: Transcriber) -> Values:
    found = measure_notes(clip, transcriber)
    rows = [
        [round(note.start, NOTE_DECIMALS), round(note.end, NOTE_DECIMALS), note.pitch]
        for note in found.notes
    ]
    statistics = {one.name: one.to_dict() for one in found.measurements}
    return {"notes": None if found.rate is None else rows, **statistics}


# Every group that exists.
LOADERS: Mapping[str, Callable[[], Group]] = {
    "signal": _signal,
    "beats": _beats,
    "clap": _clap,
    "tags": _tags,
    "percussion": _percussion,
    "chroma": _chroma,
    "notes": _notes,
}
# Those of calibrations, effects, gallery and steered takes, whose stores would measure every take
# again for another one.
ALL_GROUPS = ("signal", "beats", "clap", "tags")
# measure of a calibration, or its part before a colon -> the group that has it, beyond "signal",
# "beats" and "clap"
GROUP_OF_MEASURE = {"tag": "tags", "high_onset_level": "percussion"}


def with_groups_of(groups: Sequence[str], measures: Iterable[str]) -> tuple[str, ...]:
    """Groups, and those that have some measures of calibrations."""
    needed = (GROUP_OF_MEASURE.get(measure.partition(":")[0]) for measure in measures)
    return tuple(dict.fromkeys([*groups, *filter(None, needed)]))
