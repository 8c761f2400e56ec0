"""Pocket's model card: its takes, its rows from planted records and audio, and its command."""

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("beat_this.model.beat_tracker")

from recipes.pocket import card_codec, card_rows, evaluate, model_card
from recipes.pocket.card_rows import (
    beat_medians,
    continuation_rows,
    extension_rows,
    fault_row,
    label_rows,
    melody_rows,
    number_rows,
    take_rows,
    word_rows,
)
from recipes.pocket.card_study import FIRST_SEED, card_trials, prompted_bpms
from recipes.pocket.held_out import HeldOutPiece

from tests.measures.sounds import SAMPLE_RATE, clicks, noise, silence, tone
from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import BEAT_FRAMES, BPM_NUMBERS, bpm_numbers_for
from tonearm.evaluators.load import load_tracker
from tonearm.hashing import hash_texts
from tonearm.measures import measure_tempo
from tonearm.studies.plan import Found

TEXT = "# pocket\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nthe rest\n"


def value(number):
    return {"value": number}


def record(tempo=None, bundled=None, faulty=False, **more):
    """A record with planted tempi by both trackers, and further measures and facts."""
    facts = {name: value(one) if isinstance(one, float) else one for name, one in more.items()}
    return {"tempo": value(tempo), "bundled_tempo": value(bundled), "faulty": faulty, **facts}


def joined(*clips):
    return Clip(np.concatenate([clip.samples for clip in clips], axis=1), SAMPLE_RATE)


def chord(*hertz, seconds=5.0):
    samples = sum(tone(one, seconds, 0.2).samples for one in hertz)
    return Clip(samples, SAMPLE_RATE)


def piece(rendered, decoded=None, melody=(), **labels):
    given = {"genre": "jazz", "lead": "flute", "bpm": 100.0, "tempo": "fast", "beat_frames": 12}
    decoded = rendered if decoded is None else decoded
    return HeldOutPiece({**given, **labels}, np.array(melody, np.uint8), rendered, decoded)


@pytest.fixture
def loudness_as_tempo(monkeypatch):
    """Tempi by the amplitude of a clip: 1000 times of it by librosa, twice that by the other."""

    def measure_clips(clips):
        peaks = [float(np.abs(clip.samples).max()) for clip in clips]
        return [record(1000 * peak, 2000 * peak, peak > 0.3) for peak in peaks]

    monkeypatch.setattr(card_rows, "measure_clips", measure_clips)


# trials


@pytest.fixture(scope="module")
def trials():
    pieces = [piece(noise(10.0, seed=0)), piece(noise(10.0, seed=1), genre="folk", lead="organ")]
    return card_trials(60, pieces, [tone(300, 10.0), tone(400, 10.0)])


def test_prompts_seeds_and_lengths_are_those_of_the_published_card(trials):
    """The digests are of the takes that the table in the package was measured on."""
    digests = {
        part: hash_texts(
            [
                f"{one.prompt} {one.seed} {one.seconds:g}"
                for trial in planned
                for one in [trial.request]
            ]
        )
        for part, planned in trials.items()
        if part not in ("continuation", "melody")
    }
    assert digests == {
        "words": "01178f90bb74986b",
        "numbers": "940ebf929f7ea21d",
        "labels": "d0aa2b24ea33c63d",
        "extension": "bbf951ffc6c4f196",
    }


def test_conditions_share_scenes_and_seeds(trials):
    for planned in trials.values():
        assert all(t.request.seed == FIRST_SEED + t.facts["index"] for t in planned)
    by_word = {}
    for trial in trials["words"]:
        by_word.setdefault(trial.facts["word"], []).append(trial.request.prompt)
    for word in ("fast", "slow", "bright", "dark"):
        assert [prompt.replace(f"{word} ", "") for prompt in by_word[word]] == by_word[""]


def test_the_facts_of_a_trial_are_those_of_its_prompt(trials):
    assert all(f" at {t.facts['bpm']} bpm" in t.request.prompt for t in trials["numbers"])
    for trial in trials["labels"][:12]:
        assert trial.facts["genre"] in trial.request.prompt
        assert trial.facts["lead"] in trial.request.prompt
    plain, timed = trials["extension"][:24], trials["extension"][24:]
    assert not any("bpm" in t.request.prompt or t.facts["bpm"] for t in plain)
    assert all(f" at {t.facts['bpm']} bpm" in t.request.prompt for t in timed)


def test_a_continuation_starts_with_five_seconds_of_its_piece(trials):
    first, second = (trial.request for trial in trials["continuation"])
    assert first.prompt == "a jazz track with flute" and second.prompt == "a folk track with organ"
    assert first.seconds == 5.0
    expected = noise(10.0, seed=1).samples[:, : 5 * SAMPLE_RATE]
    np.testing.assert_array_equal(second.continue_from.samples, expected)


def test_takes_without_a_melody_are_those_without_a_word(trials):
    given, control = trials["melody"][:2], trials["melody"][2:]
    assert [t.facts["with_melody"] for t in (*given, *control)] == [True, True, False, False]
    assert [t.request.melody.seconds for t in given] == [10.0, 10.0]
    assert [t.request for t in control] == [t.request for t in trials["words"][:2]]


def test_prompted_bpms_span_the_range_and_map_to_the_nearest_tempo():
    numbers = prompted_bpms(9)
    assert numbers[0] == 60 and numbers[-1] == 180 and numbers == sorted(numbers)
    beats = [n for frames in BEAT_FRAMES.values() for n in frames]
    beat_of_number = {number: n for n in beats for number in bpm_numbers_for(n)}
    assert set(beat_of_number) == set(BPM_NUMBERS) and (
        beat_of_number[40],
        beat_of_number[240],
    ) == (25, 8)
    for number in range(60, 181):
        nearest = min(beats, key=lambda n: abs(np.log(1500 / n / number)))
        assert beat_of_number[number] == nearest
        assert abs(1500 / nearest / number - 1) < 0.075


# rows


def test_a_prompted_tempo_is_compared_strictly_and_in_any_octave():
    read = [(100.0, 100.0), (50.0, 107.0), (None, 98.0), (120.0, 200.0)]
    rows = number_rows([record(*tempi, bpm=100) for tempi in read])
    assert [row[1].split(" [")[0] for row in rows] == ["50 %", "25 %", "100 %", "75 %"]
    assert [("octave" in row[0], "librosa" in row[0]) for row in rows] == [
        (True, True),
        (False, True),
        (True, False),
        (False, False),
    ]


def test_words_are_compared_with_each_other_and_with_pieces():
    def of_word(word, *values):
        names = ("tempo", "bundled", "onset_rate", "spectral_centroid")
        return record(word=word, **dict(zip(names, values, strict=True)))

    words = [
        of_word("", 110.0, 100.0, 3.0, 1500.0),
        of_word("fast", 150.0, 160.0, 4.5, 1600.0),
        of_word("fast", None, 180.0, 5.5, 1600.0),
        of_word("slow", 75.0, 85.0, 2.5, 1400.0),
        of_word("bright", 110.0, 100.0, 3.0, 2700.0),
        of_word("dark", 110.0, 100.0, 3.0, 900.0),
    ]
    by_tempo = {"fast": [record(120.0, 150.0)] * 3, "slow": [record(80.0, 60.0)]}
    rows = word_rows(words, by_tempo)
    assert [row[1] for row in rows] == [
        "150 / 75: 2.00; 120 / 80: 1.50",
        "170 / 85: 2.00; 150 / 60: 2.50",
        "5.0 / 2.5: 2.00",
        "2700 / 900 Hz: 3.00",
        "100, 1500 Hz",
    ]
    assert rows[0][0].endswith("decoded corpus (3, 1)") and "n = 1 each" in rows[0][0]


def test_beat_medians_are_of_records_by_librosa_and_of_audio_by_the_bundled_tracker():
    clips = [clicks(120), clicks(100), silence(10.0)]
    records = [
        record(beat_regularity=0.9, tempo_confidence=0.5),
        record(beat_regularity=0.7, tempo_confidence=0.4),
        {"beat_regularity": value(None), "tempo_confidence": value(None)},
    ]
    medians = beat_medians(records, iter(clips))
    estimates = [measure_tempo(clip, load_tracker("bundled")) for clip in clips]
    assert estimates[2].beat_regularity is None
    assert medians == {
        "beat regularity, librosa": 0.7,
        "beat strength, librosa": 0.4,
        "beat regularity, bundled": min(one.beat_regularity for one in estimates[:2]),
        "beat strength, bundled": min(one.confidence for one in estimates[:2]),
    }


def test_faulty_takes_are_counted():
    title, text, target = fault_row([record(faulty=i < 3) for i in range(40)])
    assert "faulty" in title and target == "< 1 %"
    assert text.startswith("7.5% [") and text.endswith("]: 3 of 40")


def test_takes_are_compared_with_pieces_by_their_beats(monkeypatch):
    """Takes of steady clicks at the prompted tempo, and pieces half of which are noise."""
    steady = clicks(125, first_seconds=0.0)  # beats of 12 codec frames
    measured = record(125.0, 125.0, beat_regularity=1.0, tempo_confidence=0.5)
    facts = {"onset_rate": value(2.0), "spectral_centroid": value(1000.0)}
    words = [{**measured, **facts, "word": w} for w in ("", "fast", "slow", "bright", "dark")]
    numbers = [{**measured, **facts, "bpm": 125}]
    monkeypatch.setattr(card_rows, "measure_clips", lambda clips: [measured] * len(clips))
    pieces = [piece(noise(10.0), steady), piece(noise(10.0), steady, tempo="slow")]
    rows = take_rows(words, numbers, pieces, lambda _: steady)
    by_title = {title: text for title, text, _ in rows}
    assert len(by_title) == len(rows) == 15
    regularity = "median beat regularity, librosa, takes (n = 6) / decoded corpus (2)"
    assert by_title[regularity] == "1.00 / 1.00: 100%"
    (periodic,) = (text for title, text in by_title.items() if "periodic" in title)
    ours, theirs = periodic.split(": ")[0].split(" / ")
    assert float(ours) == float(theirs) > 0.8


def test_labels_of_takes_and_pieces_are_those_that_the_network_predicts(monkeypatch):
    def predict_labels(_, samples):
        return [{"genre": "jazz" if samples.mean() > 0 else "rock", "lead": "flute"}]

    monkeypatch.setattr(evaluate, "predict_labels", predict_labels)
    takes = [
        {"genre": "jazz", "lead": "flute", "level": 0.5},
        {"genre": "jazz", "lead": "organ", "level": -0.5},
    ]
    decoded = np.array([[9, 9], [-9, -9], [9, 9], [9, 9]], np.int16)
    labels = [{"genre": genre, "lead": "flute"} for genre in ("jazz", "rock", "jazz", "rock")]
    rows = label_rows(
        takes, lambda one: Clip(np.full(8, one["level"]), SAMPLE_RATE), None, decoded, labels
    )
    assert [row[1].split(" [")[0] for row in rows] == ["75 %", "50 %", "100 %", "50 %"]
    assert [row[2] for row in rows] == ["", "90 %", "", "80 %"]


def test_a_continuation_is_compared_after_its_audio_prompt(loudness_as_tempo):
    """Of two continuations in the key of their piece, one has its tempo by the first tracker."""
    low, high = chord(262, 330, 392), chord(277, 349, 415)
    pieces = [piece(joined(low, low)), piece(joined(high, high))]
    takes = {0: joined(high, low), 1: joined(low, high)}
    parts = {i: takes[i].samples[:, 5 * SAMPLE_RATE :] for i in takes}
    for i, bpm in ((0, 0.1), (1, 0.4)):
        parts[i] *= bpm / np.abs(parts[i]).max()
    librosa, bundled, similarity = continuation_rows(
        [{"index": 0}, {"index": 1}], pieces, lambda one: takes[one["index"]]
    )
    assert librosa[1].startswith("50 % [") and bundled[1].startswith("50 % [")
    assert "continuation of 5 s" in librosa[0]
    own, other = map(float, similarity[1].split(" / "))
    assert own > 0.99 and other < 0.3


def test_a_melody_is_compared_with_takes_that_were_given_it_and_others():
    """Pitch classes of C, E and G in the take with the melody, of C sharp, F and G sharp else."""
    melody = np.zeros(39, np.uint8)  # C
    with_melody, without = chord(262, 330, 392), chord(277, 349, 415)
    rows = melody_rows(
        [{"index": 0, "with_melody": True}, {"index": 0, "with_melody": False}],
        [piece(with_melody, melody=melody)],
        lambda one: with_melody if one["with_melody"] else without,
    )
    assert rows[0][1] == "100% / 0% / 100%" and "n = 1:" in rows[0][0]


def test_the_last_ten_seconds_are_compared_with_the_first(loudness_as_tempo):
    """Of two takes without BPM one keeps its tempo; that with BPM is twice as loud and faulty."""
    ends = {"kept": (0.1, 0.1), "other": (0.1, 0.13), "timed": (0.2, 0.4)}
    records = [
        {"name": "kept", "bpm": None},
        {"name": "other", "bpm": None},
        {"name": "timed", "bpm": 90},
    ]

    def clip(one):
        first, last = ends[one["name"]]
        return joined(tone(200, 10.0, first), silence(10.0), tone(200, 10.0, last))

    level, *tempi, faulty = extension_rows(records, clip)
    assert level[1] == "+2.3 dB, +6.0 dB" and "n = 3" in level[0]
    assert [row[1].split(" [")[0] for row in tempi] == ["50 %", "50 %", "0 %", "0 %"]
    assert [row[1].split("/ ")[1] for row in tempi] == ["50%", "50%", "100%", "100%"]
    assert faulty[1].startswith("33 % [")


def test_a_codec_that_changes_nothing_is_perfect():
    rows = card_codec.codec_rows([(clicks(bpm), clicks(bpm)) for bpm in (100, 125)])
    values = [row[1] for row in rows]
    assert values[:4] == ["1.00", "0.0%", "100% / 100%", "100% / 100%"]
    assert "n = 2 held-out pieces" in rows[0][0] and "n = 2" in rows[2][0]
    assert [row[0].startswith("control") for row in rows] == [False] * 4 + [True] * 2


# command


@pytest.fixture
def card(tmp_path, monkeypatch):
    """The card in a folder of its own; all parts have one row."""
    page = tmp_path / "README.md"
    page.write_text(TEXT)
    monkeypatch.setattr(model_card, "CARD", page)
    monkeypatch.setattr(model_card.torch, "set_num_threads", lambda threads: None)
    monkeypatch.setattr(model_card.tonearm, "load", lambda device: SimpleNamespace())
    monkeypatch.setattr("sys.argv", ["card", "--out", str(tmp_path), "--limit", "3"])
    return page


def with_codes(folder, train_shards=8):
    (folder / "codes").mkdir()
    for split, shards in (("train", train_shards), ("held-out", 1)):
        for index in range(shards):
            (folder / "codes" / f"{split}-{index:04d}.npy").touch()


def test_the_command_replaces_the_table_alone(card, monkeypatch, tmp_path):
    with_codes(tmp_path)
    limits = []

    def measure(model, out, takes, processes, limit):
        limits.append(limit)
        return [("quantity", "1", "> 0")]

    monkeypatch.setattr(model_card, "measure", measure)
    model_card.main()
    table = "| measured | value | target |\n|---|---|---|\n| quantity | 1 | > 0 |"
    assert card.read_text() == TEXT.replace("old", table)
    assert limits == [3]


def test_missing_codes_are_named_before_anything_is_made(card, tmp_path, capsys):
    with_codes(tmp_path, train_shards=6)
    with pytest.raises(SystemExit, match="2"):
        model_card.main()
    assert "lacks the codes of 2 train shards; run python -m" in capsys.readouterr().err
    assert card.read_text() == TEXT


def test_each_part_is_measured_on_its_own_takes(monkeypatch, tmp_path):
    """The rows are in the order of the table, and the takes of a part reach its function."""
    pieces = [piece(noise(10.0, seed=i)) for i in range(3)]
    monkeypatch.setattr(model_card, "load_pieces", lambda model, out, count: pieces[:count])
    monkeypatch.setattr(model_card, "render_leads", lambda given: [one.rendered for one in given])
    monkeypatch.setattr(model_card, "held_out_pairs", lambda *_: "pairs")
    monkeypatch.setattr(model_card, "codec_rows", lambda pairs: [(pairs, "", "")])
    monkeypatch.setattr(model_card, "speed_rows", lambda model: [("speed", "", "")])
    monkeypatch.setattr(model_card.evaluate, "train_instrument_classifier", lambda *_: "network")
    monkeypatch.setattr(model_card, "decoded_corpus", lambda *_: "audio")
    monkeypatch.setattr(model_card, "load_labels", lambda *_: ())

    @contextmanager
    def planted(trials, model, out, settings):
        assert settings.limit is None and out == tmp_path
        records = [
            {"stage": part, **trial.facts} for part, planned in trials.items() for trial in planned
        ]
        yield Found(records, lambda _: silence())

    monkeypatch.setattr(model_card, "card_takes", planted)
    for name in ("take_rows", "label_rows", "continuation_rows", "melody_rows", "extension_rows"):

        def rows(*given, name=name):
            lists = [one for one in given if isinstance(one, list) and one]
            records = [one for one in lists if isinstance(one[0], dict)]
            stages = [{record["stage"] for record in one} for one in records]
            return [(name, ", ".join(stage for (stage,) in stages), "")]

        monkeypatch.setattr(card_rows, name, rows)
    assert [row[:2] for row in model_card.measure(None, tmp_path, 2, 1)] == [
        ("pairs", ""),
        ("take_rows", "words, numbers"),
        ("label_rows", "labels"),
        ("continuation_rows", "continuation"),
        ("melody_rows", "melody"),
        ("extension_rows", "extension"),
        ("speed", ""),
    ]
