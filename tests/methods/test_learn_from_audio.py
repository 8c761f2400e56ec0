"""learn_from_audio and probe_corpus: vectors from labelled audio, with their provenance."""

from typing import ClassVar

import numpy as np
import pytest
import torch

from tests.activations.sounds import RATE, noise_clip
from tests.methods.planted import assert_projections
from tonearm.activations import ActivationStore, AudioSpec, capture_segments
from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import LabelledFile, read_corpus
from tonearm.datasets.recordings import Recording, contrast, recordings_of
from tonearm.errors import TonearmError
from tonearm.hashing import hash_clip, hash_texts
from tonearm.methods import base as methods_base
from tonearm.methods import register
from tonearm.methods.base import Activations, Fit
from tonearm.methods.corpus_probes import LabelCount, probe_corpus
from tonearm.methods.learn_from_audio import learn_from_audio
from tonearm.methods.splits import grouped_folds, rotations
from tonearm.steering import load_vector, save_vector

SHORT = dict(segment_seconds=0.4, batch_size=2)
POSITIVE = [noise_clip(0.5, seed) for seed in (1, 2)]
NEGATIVE = [noise_clip(0.9, 3)]


class WatchedRows:
    """A method that takes its rows layer by layer, and keeps what it was given."""

    name: ClassVar[str] = "watched"
    needs: ClassVar[str] = "rows"

    def __init__(self) -> None:
        self.given: list[Activations] = []

    def fit(self, activations: Activations) -> Fit:
        self.given.append(activations)
        rows, labels = activations.rows, activations.labels
        layers = [rows[:, layer] for layer in range(rows.shape[1])]
        directions = [one[labels == 1].mean(0) - one[labels == 0].mean(0) for one in layers]
        scores = {"auc": torch.arange(len(layers)) / 10, "accuracy": torch.ones(len(layers))}
        return Fit(torch.stack(directions), len(layers) - 1, scores)


@pytest.fixture
def watched(monkeypatch) -> WatchedRows:
    monkeypatch.setattr(methods_base, "_METHODS", dict(methods_base._METHODS))
    return register(WatchedRows())


def rows_of(model, clips: list[Clip], site="residual", **settings) -> torch.Tensor:
    spec = AudioSpec((site,), **SHORT | settings).resolved(model.checkpoint)
    size = spec.format(model.shape).samples
    parts = [
        Clip(clip.samples[:, start : start + size], RATE)
        for clip in clips
        for start in range(0, clip.samples.shape[1] - size + 1, size)
    ]
    return capture_segments(model.engine, parts, spec)[site].flatten(0, 1)


@pytest.mark.parametrize("method", ["diffmean", "watched"])
@pytest.mark.parametrize(
    ("variant", "site", "pooling", "text"),
    [
        ("melody", "residual", "last", None),
        ("small", "cross_attention", "mean", "a fast tune"),
        ("stereo-small", "attention", "at:0.2,0.4", None),
    ],
)
def test_a_vector_is_the_difference_of_means_with_its_provenance(
    model_of, watched, method, variant, site, pooling, text, tmp_path
):
    model, reports = model_of(variant), []
    vector = learn_from_audio(
        model,
        POSITIVE,
        NEGATIVE,
        "jazz",
        method=method,
        site=site,
        pooling=pooling,
        text=text,
        positive_label="jazz",
        negative_label="rock",
        progress=lambda *report: reports.append(report),
        **SHORT,
    )
    settings = dict(site=site, pooling=pooling, text=text)
    above, below = (rows_of(model, side, **settings).double() for side in (POSITIVE, NEGATIVE))
    for layer in range(model.shape.layer_count):
        expected = (above.mean(0) - below.mean(0))[layer].float()
        assert torch.allclose(vector[layer], expected, atol=1e-5)
        norm = float(torch.cat([above, below]).norm(dim=-1).mean(0)[layer])
        assert vector.info.activation_norms[layer] == pytest.approx(norm, abs=1e-4)
    assert_projections(vector, above, below)
    info = vector.info
    assert (info.name, info.site, info.method, info.pooling) == ("jazz", site, method, pooling)
    assert (info.source, info.segment_seconds, info.text) == ("audio", 0.4, text or "")
    assert (info.positive_label, info.negative_label) == ("jazz", "rock")
    assert (info.positive_count, info.negative_count, info.seed) == (2, 2, None)
    assert reports[-1] == (3, 3)
    assert load_vector(save_vector(vector, tmp_path / "jazz")).info == info
    assert "jazz" not in model.vectors


def test_rows_of_a_method_are_those_of_both_sets_with_tracks_as_groups(melody, watched, tmp_path):
    for side, clips in (("jazz", POSITIVE), ("rock", NEGATIVE)):
        for index, clip in enumerate(clips):
            clip.write(tmp_path / side / f"{index}.wav")
    learn_from_audio(
        melody, [tmp_path / "jazz"], [tmp_path / "rock"], "jazz", method="watched", **SHORT
    )
    (given,) = watched.given
    assert given.rows.shape == (4, melody.shape.layer_count, melody.shape.width)
    assert len(given.rows) == 4
    assert given.labels.tolist() == [1, 1, 0, 0] and given.groups.tolist() == [0, 1, 2, 2]
    assert (given.positive.count, given.negative.count) == (2, 2)


def test_recordings_of_one_piece_in_both_sets_are_one_group(melody, watched, tmp_path):
    def recordings(name: str, clips: list[Clip]) -> list[Recording]:
        return [
            Recording.of_clip(clip, "", f"{name} {index}", piece=f"piece {index}")
            for index, clip in enumerate(clips)
        ]

    sides = recordings("with drums", POSITIVE), recordings("without", [*NEGATIVE, *POSITIVE[1:]])
    learn_from_audio(melody, *sides, "x", method="watched", **SHORT)
    (given,) = watched.given
    assert given.labels.tolist() == [1, 1, 0, 0, 0] and given.groups.tolist() == [0, 1, 0, 0, 1]
    for split in rotations(grouped_folds(given.labels.numpy(), given.groups.numpy(), 2, 0)):
        tested = set(given.groups.numpy()[split.test])
        assert not tested & set(given.groups.numpy()[~split.test])


def test_a_table_of_a_corpus_states_the_piece(melody, watched, tmp_path):
    rows = ["file_name,label,track,piece"]
    for name, clip, label in (
        ("a", POSITIVE[0], "drums"),
        ("b", POSITIVE[1], "bare"),
        ("c", NEGATIVE[0], "bare"),
    ):
        clip.write(tmp_path / f"{name}.wav")
        rows.append(f"{name}.wav,{label},,{'' if name == 'c' else 'one'}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    positive, negative = contrast(read_corpus([tmp_path]), "drums", [])
    learn_from_audio(melody, positive, negative, "x", method="watched", **SHORT)
    (given,) = watched.given
    assert given.labels.tolist() == [1, 0, 0, 0] and given.groups.tolist() == [0, 0, 1, 1]


def test_audio_may_be_paths_clips_takes_arrays_and_recordings(melody, tmp_path):
    path = POSITIVE[0].write(tmp_path / "a.wav")
    take = melody.generate("a fast tune", seconds=0.6, seed=1)
    (recording,) = recordings_of([LabelledFile(path, "any", "piece")])
    sources = [path, str(path), tmp_path, POSITIVE[0], (POSITIVE[0].samples, RATE), recording]
    for source in sources:
        vector = learn_from_audio(melody, [source], NEGATIVE, "x", **SHORT)
        expected = hash_clip(Clip(POSITIVE[0].samples[:, :640], RATE))
        below = [hash_clip(Clip(NEGATIVE[0].samples[:, i : i + 640], RATE)) for i in (0, 640)]
        assert vector.info.data_hash == hash_texts([expected], below)
    loud = Clip(take.clip.samples / np.abs(take.clip.samples).max(), take.clip.sample_rate)
    assert learn_from_audio(melody, [loud], NEGATIVE, "x", **SHORT).info.positive_count == 1


def test_audio_that_cannot_be_used_is_left_out_with_a_warning(melody, caplog):
    quiet = Clip(np.zeros(RATE), RATE)
    vector = learn_from_audio(melody, [quiet, *POSITIVE, noise_clip(0.1)], NEGATIVE, "x", **SHORT)
    assert vector.info.positive_count == 2
    (record,) = caplog.records
    assert record.getMessage().startswith("left out 2 silent (positive[0] from 0 s is silent")
    assert record.getMessage().endswith("1 too short (positive[3] is 0.10 s long, a segment 0.4 s)")


def test_audio_with_two_labels_is_a_warning(melody, caplog):
    learn_from_audio(melody, [*POSITIVE, NEGATIVE[0]], NEGATIVE, "x", **SHORT)
    (record,) = caplog.records
    assert "the same audio has two labels in 2 segments: positive[2] as" in record.getMessage()


def test_a_store_is_kept_and_used_again(melody, tmp_path, monkeypatch):
    first = learn_from_audio(melody, POSITIVE, NEGATIVE, "x", store=tmp_path / "s", **SHORT)
    assert len(ActivationStore.read(tmp_path / "s").segments) == 4

    def work(*_):
        raise AssertionError("captured again")

    monkeypatch.setattr("tonearm.activations.corpus.capture_segments", work)
    again = learn_from_audio(melody, POSITIVE, NEGATIVE, "x", store=tmp_path / "s", **SHORT)
    assert first.content_hash() == again.content_hash()


def test_a_store_of_other_pieces_is_refused(melody, tmp_path):
    learn_from_audio(melody, POSITIVE, NEGATIVE, "x", store=tmp_path / "s", **SHORT)
    pieces = [
        Recording.of_clip(clip, "", f"positive[{index}]", piece="one")
        for index, clip in enumerate(POSITIVE)
    ]
    with pytest.raises(TonearmError, match="other or changed recordings"):
        learn_from_audio(melody, pieces, NEGATIVE, "x", store=tmp_path / "s", **SHORT)


def test_without_a_store_no_file_is_left(melody, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    learn_from_audio(melody, POSITIVE, NEGATIVE, "x", **SHORT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(positive=[]), "positive is empty"),
        (dict(negative=[]), "negative is empty"),
        (dict(positive="folder"), r"positive .* give a list of paths"),
        (dict(positive=[3]), r"positive\[0\] 3 is of type int"),
        (dict(positive=["nowhere.wav"]), "no audio of the positive set .*no audio file at nowhere"),
        (dict(positive=[noise_clip(0.1)]), r"positive set .*is 0\.10 s long, a segment 0\.4 s"),
        (dict(negative=[Clip(np.zeros(RATE), RATE)]), r"negative set .*is silent"),
        (dict(name="  "), "name is empty"),
        (dict(method="magic"), "use one of diffmean"),
        (dict(site="roof"), "no site 'roof'"),
        (dict(pooling="eos"), "use last, first, mean"),
        (dict(segment_seconds=99), "segments of 99 s"),
        (dict(text=""), "the text is empty"),
        (dict(batch_size=0), "batch size"),
    ],
)
def test_impossible_arguments_are_refused(melody, tmp_path, change, message):
    arguments = dict(positive=POSITIVE, negative=NEGATIVE, name="never") | SHORT | change
    with pytest.raises(TonearmError, match=message) as error:
        learn_from_audio(melody, **arguments)
    assert "\n" not in str(error.value)


def test_a_track_in_both_sets_is_refused(melody, tmp_path):
    files = [
        LabelledFile(noise_clip(0.5, i).write(tmp_path / f"{i}.wav"), "x", "one") for i in (1, 2)
    ]
    first, second = recordings_of(files)
    with pytest.raises(TonearmError, match=r"track one is in both sets \(1\.wav as positive, 2"):
        learn_from_audio(melody, [first], [second], "x", **SHORT)


def test_a_folder_without_audio_is_refused(melody, tmp_path):
    with pytest.raises(TonearmError, match="no audio in"):
        learn_from_audio(melody, [tmp_path], NEGATIVE, "x", **SHORT)


@pytest.fixture
def corpus(tmp_path):
    """corpus/{folk,jazz,rock}, two files of two segments each; folk has one track."""
    rows = []
    for number, label in enumerate(("folk", "jazz", "rock")):
        for index in range(2):
            name = f"{label}/{index}.wav"
            noise_clip(0.9, 10 * number + index).write(tmp_path / "corpus" / name)
            rows.append(f"{name},{label},{'one' if label == 'folk' else name}")
    table = "\n".join(["file_name,label,track", *rows])
    (tmp_path / "corpus" / "metadata.csv").write_text(table + "\n")
    return tmp_path / "corpus"


@pytest.mark.parametrize("method", ["diffmean", "watched"])
def test_probes_fit_each_label_against_the_others_at_every_site(small, watched, corpus, method):
    sites = ("residual", "heads")
    reports = []
    probes = probe_corpus(
        small,
        [corpus],
        method=method,
        sites=sites,
        progress=lambda *report: reports.append(report),
        **SHORT,
    )
    assert reports[-7:] == [(done, 12) for done in range(6, 13)]  # 6 recordings and 6 fits
    assert tuple(probes.vectors) == sites
    assert probes.counts == {
        "folk": LabelCount(4, 1),
        "jazz": LabelCount(4, 2),
        "rock": LabelCount(4, 2),
    }
    for site in sites:
        rows = {
            label: rows_of(small, [Clip.read(corpus / label / f"{i}.wav") for i in (0, 1)], site)
            for label in probes.counts
        }
        for label, vector in probes.vectors[site].items():
            rest = torch.cat([of_label for other, of_label in rows.items() if other != label])
            for layer in range(small.shape.layer_count):
                expected = rows[label][:, layer].mean(0) - rest[:, layer].mean(0)
                assert torch.allclose(vector[layer], expected, atol=1e-4)
            info = vector.info
            assert (info.name, info.site, info.method) == (label, site, method)
            assert (info.positive_label, info.negative_label) == (label, "the rest")
            assert (info.positive_count, info.negative_count) == (4, 8)
    if method == "watched":
        assert probes.score_names == ("auc", "accuracy")
        assert probes.mean_scores("heads", "auc") == pytest.approx([0, 0.1, 0.2])


def test_a_column_may_give_the_labels_and_choose_items(small, tmp_path):
    rows = ["file_name,label,mood"]
    for number in range(8):
        name = f"{number}.wav"
        noise_clip(0.5, number).write(tmp_path / "c" / name)
        rows.append(f"{name},{'ab'[number % 2]},{'calm' if number < 4 else 'loud'}")
    (tmp_path / "c" / "metadata.csv").write_text("\n".join(rows) + "\n")
    settings = dict(method="diffmean") | SHORT
    by_mood = probe_corpus(small, [tmp_path / "c"], column="mood", **settings)
    assert by_mood.counts == {"calm": LabelCount(4, 4), "loud": LabelCount(4, 4)}
    calm = probe_corpus(small, [tmp_path / "c"], where={"mood": "calm"}, **settings)
    assert calm.counts == {"a": LabelCount(2, 2), "b": LabelCount(2, 2)}


def test_probes_with_held_out_scores_find_planted_labels(small, tmp_path):
    """Ten tracks a label of a tone in noise, loud enough for the codes of the tiny random codec."""
    for label, step in (("low", 0.3), ("high", 1.3)):
        for number in range(10):
            noise = noise_clip(0.4, number + 100 * (label == "high")).samples
            tone = 3e4 * np.sin(step * np.arange(noise.shape[1]))
            Clip(0.1 * noise + tone, RATE).write(tmp_path / label / f"{number}.wav")
    probes = probe_corpus(small, [tmp_path / "low", tmp_path / "high"], **SHORT)
    assert {"auc", "accuracy", "split_half_cosine"} <= set(probes.score_names)
    for vector in probes.vectors["residual"].values():
        assert vector.info.method == "lda" and vector.info.statistics["p_value"] < 0.05
        assert vector.info.scores["auc"][vector.info.best_layer] > 0.9
    for method in ("mse-probe", "pca", "rfm", "mean-centred"):
        vector = learn_from_audio(
            small, [tmp_path / "high"], [tmp_path / "low"], "high", method=method, **SHORT
        )
        assert vector.info.method == method and vector.info.statistics["best_auc"] > 0.9
        assert vector.info.scores["d_prime"][vector.info.best_layer] > 1


@pytest.mark.parametrize("method", ["iti:2", "smitin"])
def test_heads_are_learned_from_audio_without_its_silent_segments(small, tmp_path, caplog, method):
    """Ten tracks a label; half of the segments of one label are silent, which would be a label of
    its own.
    """
    for label, step in (("low", 0.3), ("high", 1.3)):
        for number in range(10):
            noise = noise_clip(0.4, number + 100 * (label == "high")).samples
            sound = 0.1 * noise + 3e4 * np.sin(step * np.arange(noise.shape[1]))
            silence = np.zeros_like(sound) if label == "high" else sound
            Clip(np.concatenate([sound, silence], axis=1), RATE).write(
                tmp_path / label / f"{number}.wav"
            )
    sides = [tmp_path / "high"], [tmp_path / "low"]
    vector = learn_from_audio(small, *sides, "high", method=method, **SHORT)
    assert "left out 10 silent" in caplog.text
    info = vector.info
    assert (info.positive_count, info.negative_count) == (10, 20)
    assert (info.site, info.method, info.source) == ("heads", method, "audio")
    assert info.statistics["best_auc"] > 0.9 and len(vector.monitor) == 1
    probes = probe_corpus(small, [tmp_path / "high", tmp_path / "low"], method=method, **SHORT)
    assert tuple(probes.vectors) == ("heads",)
    assert probes.score_names == ("auc", "accuracy")
    assert probes.vectors["heads"]["high"].content_hash() == vector.content_hash()
    with pytest.raises(TonearmError, match="reads site heads, not 'residual'"):
        probe_corpus(small, sides[0] + sides[1], method=method, sites=("residual",), **SHORT)


def test_a_direction_within_its_null_is_refused(small):
    clips = [noise_clip(0.4, seed) for seed in range(16)]
    with pytest.raises(TonearmError, match="method lda finds no direction"):
        learn_from_audio(small, clips[:8], clips[8:], "nothing", method="lda", **SHORT)


def test_probes_of_another_store_resume(small, corpus, tmp_path, monkeypatch):
    settings = dict(method="diffmean", store=tmp_path / "s") | SHORT
    first = probe_corpus(small, [corpus], **settings)
    monkeypatch.setattr("tonearm.activations.corpus.capture_segments", None)
    again = probe_corpus(small, [corpus], **settings)
    for label, vector in first.vectors["residual"].items():
        assert vector.content_hash() == again.vectors["residual"][label].content_hash()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(folders=[]), "folders is empty"),
        (dict(folders=["nowhere"]), "no folder at nowhere"),
        (dict(sites=()), r"sites \(none\)"),
        (dict(sites=("residual", "roof")), "no site 'roof'"),
        (dict(method="magic"), "use one of diffmean"),
        (dict(pooling="eos"), "use last"),
        (dict(segment_seconds=0.8), "no audio of the positive set .folk."),
        (dict(column="mood"), "mood"),
        (dict(where={"mood": "calm"}), "mood"),
        (dict(layout="roof"), "roof"),
        (dict(method="lda"), "needs 6 or more"),
    ],
)
def test_impossible_probes_are_refused(small, corpus, change, message):
    if "segment_seconds" in change:
        for index in (0, 1):
            noise_clip(0.5, index).write(corpus / "folk" / f"{index}.wav")
    arguments = dict(folders=[corpus], method="diffmean") | SHORT | change
    with pytest.raises(TonearmError, match=message):
        probe_corpus(small, **arguments)
