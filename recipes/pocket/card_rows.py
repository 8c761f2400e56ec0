"""Rows of pocket's model card that are computed from takes: records and audio in, rows out."""

import statistics
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from recipes.pocket import evaluate, vocabulary
from recipes.pocket.card_study import PROMPT_SECONDS, SECONDS
from recipes.pocket.corpus import as_int16
from recipes.pocket.evaluate import TEMPO, beat_share, excerpt, measure_clips
from recipes.pocket.held_out import HeldOutPiece
from recipes.pocket.instrument_classifier import InstrumentClassifier
from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import nearest_beat_frames
from tonearm.evaluators.load import load_tracker
from tonearm.measures import measure_tempo
from tonearm.stats.share import Share
from tonearm.studies.records import Record, mean_of, values_of

Rows = list[tuple[str, str, str]]  # quantity, value, target
ReadClip = Callable[[Record], Clip]
ANY_OCTAVE = (0.5, 1, 2)


def take_rows(
    words: Sequence[Record],
    numbers: Sequence[Record],
    pieces: Sequence[HeldOutPiece],
    clip: ReadClip,
) -> Rows:
    """Compare the effect of words and BPM numbers, and the beat of takes with that of the corpus.

    Args:
        words: records of takes with a word in the prompt.
        numbers: records of takes with a tempo in BPM in the prompt.
        pieces: held-out pieces.
        clip: reads the audio of a record.

    Returns:
        Rows of the table.
    """
    decoded = [piece.decoded for piece in pieces]
    of_pieces = measure_clips(decoded)
    takes = [*words, *numbers]
    of_takes = beat_medians(takes, map(clip, takes))
    with_beats = beat_medians(of_pieces, decoded)
    prompted = [beat_share(clip(one), nearest_beat_frames(one["bpm"])) for one in numbers]
    own = [beat_share(piece.decoded, piece.labels["beat_frames"]) for piece in pieces]
    return [
        *number_rows(numbers),
        *word_rows(words, _by_tempo(of_pieces, pieces)),
        *(
            (
                f"median {title}, takes (n = {len(takes)}) / decoded corpus ({len(pieces)})",
                comparison(of_takes[title], with_beats[title]),
                ">= 80 %",
            )
            for title in of_takes
        ),
        (
            f"median share of onset strength periodic with the prompted beat, "
            f"takes (n = {len(prompted)}) / with the piece's beat, decoded corpus ({len(own)})",
            comparison(statistics.median(prompted), statistics.median(own)),
            ">= 80 %",
        ),
        fault_row(takes),
    ]


def _by_tempo(records: Sequence[Record], pieces: Sequence[HeldOutPiece]) -> dict[str, list[Record]]:
    """Records of fast and of slow pieces."""
    return {
        tempo: [
            record
            for record, piece in zip(records, pieces, strict=True)
            if piece.labels["tempo"] == tempo
        ]
        for tempo in ("fast", "slow")
    }


def number_rows(numbers: Sequence[Record]) -> Rows:
    """Compare the tempo of takes with the number in their prompt."""
    prompted = [record["bpm"] for record in numbers]
    rows: Rows = []
    for tracker, tempo in TEMPO.items():
        read = values_of(numbers, tempo)
        rows += [
            (
                f'tempo within 8 % of "N bpm" in the prompt (60 to 180), any octave, {tracker}',
                str(evaluate.share_within_tolerance(read, prompted, ANY_OCTAVE)),
                "80 %",
            ),
            (
                f"the same, strict, {tracker}",
                str(evaluate.share_within_tolerance(read, prompted)),
                "65 %",
            ),
        ]
    return rows


def word_rows(words: Sequence[Record], by_tempo: dict[str, list[Record]]) -> Rows:
    """Compare takes by the word in their prompt.

    Args:
        words: records of takes; equally many of each word.
        by_tempo: records of fast and of slow pieces.

    Returns:
        Rows of the table.
    """
    by_word: dict[str, list[Record]] = {}
    for record in words:
        by_word.setdefault(record["word"], []).append(record)
    n = len(by_word[""])

    def means(measure: str, *of: str) -> list[float]:
        return [mean_of(by_word[word], measure) for word in of]

    fast, slow = means("onset_rate", "fast", "slow")
    bright, dark = means("spectral_centroid", "bright", "dark")
    return [
        *(
            (
                f'mean BPM of "fast" / "slow", {tracker}, n = {n} each; '
                f"of fast and slow pieces, decoded corpus "
                f"({len(by_tempo['fast'])}, {len(by_tempo['slow'])})",
                f"{ratio(*means(tempo, 'fast', 'slow'))}; "
                f"{ratio(*(mean_of(by_tempo[word], tempo) for word in ('fast', 'slow')))}",
                ">= 1.6",
            )
            for tracker, tempo in TEMPO.items()
        ),
        (
            f'onsets per second of "fast" / "slow", n = {n} each',
            f"{fast:.1f} / {slow:.1f}: {fast / slow:.2f}",
            ">= 1.6",
        ),
        (
            f'mean centroid of "bright" / "dark", n = {n} each',
            f"{bright:.0f} / {dark:.0f} Hz: {bright / dark:.2f}",
            ">= 2.5",
        ),
        (
            f"no word: BPM by the bundled tracker, centroid, n = {n}",
            f"{mean_of(by_word[''], TEMPO['bundled']):.0f}, "
            f"{mean_of(by_word[''], 'spectral_centroid'):.0f} Hz",
            "",
        ),
    ]


def ratio(fast: float, slow: float) -> str:
    return f"{fast:.0f} / {slow:.0f}: {fast / slow:.2f}"


def comparison(ours: float, theirs: float) -> str:
    return f"{ours:.2f} / {theirs:.2f}: {ours / theirs:.0%}"


def beat_medians(records: Sequence[Record], clips: Iterable[Clip]) -> dict[str, float]:
    """Return the median beat regularity and beat strength of clips, by title.

    A record has those of librosa alone; the bundled tracker's are measured on the audio.

    Args:
        records: of the clips.
        clips: their audio.

    Returns:
        Medians by title; a clip without a beat counts as 0.
    """
    bundled = load_tracker("bundled")
    estimates = [measure_tempo(clip, bundled) for clip in clips]
    values = {
        "beat regularity, librosa": values_of(records, "beat_regularity"),
        "beat strength, librosa": values_of(records, "tempo_confidence"),
        "beat regularity, bundled": [one.beat_regularity for one in estimates],
        "beat strength, bundled": [one.confidence for one in estimates],
    }
    return {
        title: statistics.median(0.0 if value is None else value for value in found)
        for title, found in values.items()
    }


def fault_row(takes: Sequence[Record]) -> tuple[str, str, str]:
    """Share of faulty takes, which is too small for whole per cents."""
    faulty = sum(record["faulty"] for record in takes)
    share = Share.of(faulty, len(takes))
    return (
        "faulty clips (broken audio, held tones, static)",
        f"{share.value:.1%} [{share.low:.1%}, {share.high:.1%}]: {faulty} of {share.n}",
        "< 1 %",
    )


def label_rows(
    records: Sequence[Record],
    clip: ReadClip,
    classifier: InstrumentClassifier,
    decoded: np.ndarray,
    labels: Sequence[dict],
) -> Rows:
    """Compare genre and lead as a network predicts them with the prompt.

    Args:
        records: of takes with a genre and a lead in the prompt.
        clip: reads the audio of a record.
        classifier: trained on decoded pieces of the corpus.
        decoded: held-out pieces, int16 [pieces, samples].
        labels: of these pieces.

    Returns:
        Rows of the table.
    """
    takes = [as_int16(clip(record).mono) for record in records]
    rows: Rows = []
    for label, table, target in (
        ("genre", vocabulary.GENRE, "90 %"),
        ("lead", vocabulary.LEAD, "80 %"),
    ):
        on_corpus = evaluate.classification_accuracy(
            classifier, decoded, label, [piece[label] for piece in labels]
        )
        on_takes = evaluate.classification_accuracy(
            classifier, takes, label, [record[label] for record in records]
        )
        rows += [
            (
                f"{label} accuracy of a network, decoded held-out corpus "
                f"(chance {1 / len(table):.0%})",
                str(on_corpus),
                "",
            ),
            (
                f"{label} accuracy of the same network, takes with the word in the prompt",
                str(on_takes),
                target,
            ),
        ]
    return rows


def continuation_rows(
    records: Sequence[Record], pieces: Sequence[HeldOutPiece], clip: ReadClip
) -> Rows:
    """Compare tempo and chroma of continuations with those of the pieces that they continue.

    Args:
        records: one per piece.
        pieces: in the order of the records.
        clip: reads the audio of a record.

    Returns:
        Rows of the table.
    """
    parts = [excerpt(clip(record), PROMPT_SECONDS, SECONDS) for record in records]
    played = [excerpt(piece.decoded, PROMPT_SECONDS, SECONDS) for piece in pieces]
    of_parts, of_pieces = measure_clips(parts), measure_clips(played)
    bpms = [piece.labels["bpm"] for piece in pieces]
    rows: Rows = []
    for tracker, tempo in TEMPO.items():
        continued, own = (
            evaluate.share_within_tolerance(values_of(found, tempo), bpms, ANY_OCTAVE)
            for found in (of_parts, of_pieces)
        )
        rows.append(
            (
                f"continuation of {PROMPT_SECONDS:g} s of a held-out piece: "
                f"tempo within 8 %, any octave, {tracker} / of the piece itself, decoded",
                f"{continued} / {own.value:.0%}",
                "",
            )
        )
    rendered = [piece.rendered for piece in pieces]
    similarity = [
        np.mean([evaluate.chroma_similarity(a, b) for a, b in zip(parts, others, strict=True)])
        for others in (rendered, rendered[1:] + rendered[:1])
    ]
    return [
        *rows,
        (
            "the same: correlation of the mean chroma with that piece / with another",
            " / ".join(f"{one:.2f}" for one in similarity),
            "",
        ),
    ]


def melody_rows(records: Sequence[Record], pieces: Sequence[HeldOutPiece], clip: ReadClip) -> Rows:
    """Compare the pitch classes of takes with the melody that they were given, or not.

    Args:
        records: with and without the melody of each piece.
        pieces: by the index in the records.
        clip: reads the audio of a record.

    Returns:
        Rows of the table.
    """
    followed, control = (
        np.mean(
            [
                evaluate.melody_share(pieces[record["index"]].melody, clip(record))
                for record in records
                if record["with_melody"] is given
            ]
        )
        for given in (True, False)
    )
    own = np.mean([evaluate.melody_share(piece.melody, piece.decoded) for piece in pieces])
    return [
        (
            "frames in which a melody's pitch class is among the three strongest, "
            f"n = {len(pieces)}: takes with the melody / without it / its source piece",
            f"{followed:.0%} / {control:.0%} / {own:.0%}",
            "",
        )
    ]


def extension_rows(records: Sequence[Record], clip: ReadClip) -> Rows:
    """Compare the last ten seconds of 30-s takes with the first ten.

    Args:
        records: of takes without and with a tempo in BPM in the prompt.
        clip: reads the audio of a record.

    Returns:
        Rows of the table.
    """
    changes: list[float] = []
    faulty = 0
    rows: Rows = []
    for condition, takes in (
        ("no tempo in the prompt", [one for one in records if one["bpm"] is None]),
        ("BPM in the prompt", [one for one in records if one["bpm"] is not None]),
    ):
        pairs = [(excerpt(whole, 0, 10), excerpt(whole, 20, 30)) for whole in map(clip, takes)]
        first, last = (measure_clips(parts) for parts in zip(*pairs, strict=True))
        changes += [evaluate.level_db(b) - evaluate.level_db(a) for a, b in pairs]
        faulty += sum(record["faulty"] for record in last)
        for tracker, tempo in TEMPO.items():
            tempos = list(zip(values_of(first, tempo), values_of(last, tempo), strict=True))
            same, folded = (
                sum(evaluate.is_same_tempo(*pair, octave) for pair in tempos)
                for octave in (False, True)
            )
            rows.append(
                (
                    f"30 s: tempo of the last 10 s within 4 % of the first / in any octave, "
                    f"{condition}, {tracker}",
                    f"{Share.of(same, len(takes))} / {folded / len(takes):.0%}",
                    "",
                )
            )
    n = len(changes)
    return [
        (
            f"30 s: level of the last 10 s against the first, median and largest change, n = {n}",
            f"{np.median(changes):+.1f} dB, {max(changes, key=abs):+.1f} dB",
            "",
        ),
        *rows,
        ("30 s: last 10 s faulty", str(Share.of(faulty, n)), ""),
    ]
