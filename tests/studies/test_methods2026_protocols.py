"""Protocols of MusicRFM and SMITIN: planted takes give the planted shares, and claims follow their tests."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.features.planted import autoencoder_of
from tests.steering.vectors import random_vector
from tests.studies.miniature_methods import TINY, plant
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.features.trained import TrainedAutoencoder
from tonearm.methods.base import NoDirection
from tonearm.methods.layer_weights import layer_weights
from tonearm.model import Model
from tonearm.studies.label_scores import Classifier
from tonearm.studies.methods2026 import variants
from tonearm.studies.methods2026.examples import DrumExamples
from tonearm.studies.methods2026.materials import music_of_drum_piece
from tonearm.studies.methods2026.note_probes import Probe, weighted
from tonearm.studies.methods2026.note_report import note_claims
from tonearm.studies.methods2026.note_steering import (
    duration_share,
    note_results,
    strongest_share,
)
from tonearm.studies.methods2026.readings import DRUMS, Evaluators
from tonearm.studies.methods2026.stem_report import stem_claims
from tonearm.studies.methods2026.stem_steering import PUBLISHED, ROWS, label_share, stem_results
from tonearm.studies.methods2026.variants import Candidate, candidates
from tonearm.studies.methods2026.vectors import make_vectors

PROMPTS = 12


def take(prompt, key=4, *, drums=0.9, text=0.3, shift=0.0, **facts):
    """A take whose notes and chroma are of one pitch class."""
    rng = np.random.default_rng(prompt)
    chroma = np.full(12, 0.1)
    chroma[key] = 1.0
    return {
        "prompt": prompt,
        "mean_chroma": chroma.tolist(),
        "notes": [[0.0, 2.0, 60.0 + key], [2.0, 3.0, 69.0]],
        "tags": {"drums": drums},
        "clap_score": {"value": text + 0.01 * rng.normal()},
        "high_onset_level": {"value": -30.0 + rng.normal()},
        "embedding": (rng.normal(size=3) + shift).tolist(),
        "embedder": "planted",
        "faulty": False,
        "split": "held-out",
        **facts,
    }


def plain():
    found = [take(i, experiment="plain", round=k) for i in range(PROMPTS) for k in range(2)]
    return found + [take(i, experiment="other seeds") for i in range(PROMPTS)]


def of_notes(pitch_class, count, method="rfm", **facts):
    """Takes of which the first `count` have the pitch class of C."""
    common = {"experiment": "note steering", "pitch_class": pitch_class, "method": method}
    return [
        take(i, 0 if i < count else 4, divergence={"value": 0.3}, size=0.1, **common, **facts)
        for i in range(PROMPTS)
    ]


def test_the_strongest_pitch_class_and_the_share_of_notes_are_those_of_the_takes():
    takes = [take(0, 0), take(1, 4), {**take(2), "mean_chroma": None}]
    assert strongest_share(takes, 0).value == pytest.approx(1 / 3)
    assert duration_share(takes[0], 0) == pytest.approx(2 / 3)
    assert duration_share(takes[0], 9) == pytest.approx(1 / 3)  # A, 69
    assert duration_share({"notes": []}, 0) is None is duration_share({"notes": None}, 0)


def test_steering_to_a_note_is_compared_with_plain_takes():
    records = [*plain(), *of_notes("C", 10, eta=0.6), *of_notes("C", 2, "diffmean", nats=0.3)]
    own, other = note_results(records)
    assert (own.plain.value, own.strongest.value) == (0, pytest.approx(10 / 12))
    assert own.share.low > 0 and own.facts["eta"] == 0.6 and own.nats == pytest.approx(0.3)
    assert other.facts["method"] == "diffmean" and other.facts["eta"] is None
    (_, claim) = note_claims([], [own, other])
    assert claim.verdict == "holds"  # DiffMean does not enter
    lost = note_results([*plain(), *of_notes("C", 10, eta=0.6, text=0.2)])
    assert note_claims([], lost)[1].verdict == "does not hold"
    assert note_claims([], [])[1].verdict == "not testable here"


def probe(method, score, task="tempo"):
    return Probe(task=task, method=method, metric="auc", score=score, null=0.6, layer=1, clips=10)


def test_probes_of_rfm_have_to_beat_every_linear_one():
    better = [probe("rfm, predictor", 0.9), probe("rfm, axis", 0.5), probe("lda", 0.8)]
    assert note_claims(better, [])[0].verdict == "holds"
    assert note_claims([*better, probe("diffmean", 0.95)], [])[0].verdict == "holds in part"


def test_vectors_of_notes_are_unit_directions_times_the_weights_of_their_layers():
    scores = {0: 0.6, 1: 0.9, 2: 0.7}
    vector = random_vector(scores={"validation_auc": scores})
    found = weighted(vector)
    expected = layer_weights(torch.tensor(list(scores.values())))
    assert [float(found[i].norm()) for i in range(3)] == pytest.approx(expected.tolist(), abs=1e-5)
    assert torch.allclose(found[1], torch.nn.functional.normalize(vector[1], dim=0), atol=1e-6)


class Drums:
    """A classifier that reads the tag."""

    def probability(self, record, label):
        return record["tags"]["drums"] if label == "with drums" else 1 - record["tags"]["drums"]


EVALUATORS = Evaluators(None, {DRUMS: Drums()})


def of_stems(row, drums, shift, label="without drums"):
    common = {"experiment": "stem steering", "label": label, "row": row}
    return [take(i, drums=drums(i), shift=shift, **common) for i in range(PROMPTS)]


def test_success_and_fidelity_of_stems_are_those_of_the_takes():
    iti = of_stems(PUBLISHED["iti"], lambda i: 0.1, 2.0)
    loop = of_stems(PUBLISHED["smitin"], lambda i: 0.1 if i < 3 else 0.9, 0.2)
    found = stem_results([*plain(), *iti, *loop], EVALUATORS)
    by_row = {(one.label, one.row): one for one in found}
    assert by_row["without drums", PUBLISHED["iti"]].success.value == 1
    assert by_row["without drums", PUBLISHED["smitin"]].success.value == pytest.approx(0.25)
    assert by_row["without drums", ""].plain.value == 0 == by_row["without drums", ""].success.value
    assert by_row["with drums", ""].plain.value == 1
    fad = {row: one.fad for (_, row), one in by_row.items()}
    assert fad[PUBLISHED["iti"]] > fad[PUBLISHED["smitin"]] > 0
    (claim,) = stem_claims(found)
    assert claim.verdict == "holds" and "success 25 %" in claim.numbers
    swapped = of_stems(PUBLISHED["smitin"], lambda i: 0.1, 4.0)
    (claim,) = stem_claims(stem_results([*plain(), *iti, *swapped], EVALUATORS))
    assert claim.verdict == "does not hold"
    assert stem_results(plain(), EVALUATORS) == []
    assert stem_claims([])[0].verdict == "not testable here"


def test_rows_of_the_claim_exist_and_only_the_loop_is_monitored():
    names = {row.name: row for row in ROWS}
    assert set(PUBLISHED.values()) <= set(names) and len(names) == 6
    assert {name for name, row in names.items() if row.monitored} == {
        "smitin, α = 5",
        "smitin, α = 10",
    }
    assert names["iti, α = 15"].steer(-1).strength == -15


def test_features_act_in_their_own_layer(melody, tmp_path, monkeypatch):
    plant(monkeypatch)
    model = Model(melody.checkpoint)
    autoencoder = autoencoder_of(model.shape, layer=1, length=3.0)
    (features,) = [one for one in candidates(autoencoder, 8) if one.name == "sae"]
    made = SimpleNamespace(vector=random_vector(width=model.shape.width, activation_norms={1: 3.0}))
    made.vector = type(made.vector)({1: made.vector[1]}, made.vector.info)
    calls = []

    def contrast(model, trained, positive, negative, name):
        assert isinstance(trained, TrainedAutoencoder)
        calls.append((len(positive), len(negative)))
        return SimpleNamespace(vector=made.vector.renamed(name))

    monkeypatch.setattr(variants, "contrast_features", contrast)
    examples = {"without drums": DrumExamples(10, 3.0, tmp_path)}
    found = make_vectors(model, examples, [features], TINY, tmp_path)
    vector = found.by_name["without drums, sae"]
    assert vector.layers == (1,) and calls == [(8, 8)] and not found.left_out
    assert float(vector[1].norm()) == pytest.approx(3.0, rel=1e-5)
    (absent,) = [one for one in candidates(None, 8) if one.name == "sae"]
    left = make_vectors(model, examples, [absent], TINY, tmp_path).left_out
    assert "no autoencoder was given" in left["without drums, sae"]


def test_pieces_have_no_background_of_their_own(melody, tmp_path, monkeypatch):
    plant(monkeypatch)
    examples = DrumExamples(10, 3.0, tmp_path)
    assert all(isinstance(one, Clip) for side in examples.sides for one in side)
    (centred,) = [one for one in candidates(None, 8) if one.name == "mean-centred"]
    with pytest.raises(NoDirection, match="have no background"):
        centred.fit(Model(melody.checkpoint), examples, "v")


@pytest.mark.parametrize("error", [NoDirection("within its null"), TonearmError("disk is full")])
def test_only_a_method_without_a_direction_is_left_out(melody, tmp_path, error):
    def fit(*_):
        raise error

    examples, method = {"tempo": SimpleNamespace(identity="")}, Candidate("method", "planted", fit)
    if isinstance(error, NoDirection):
        found = make_vectors(melody, examples, [method], TINY, tmp_path)
        assert found.left_out == {"tempo, method": "within its null"} and not found.by_name
    else:
        with pytest.raises(TonearmError, match="disk is full"):
            make_vectors(melody, examples, [method], TINY, tmp_path)


def test_the_unit_of_a_share_is_the_prompt():
    """Two plain takes of each prompt are no two independent cases."""
    plain_takes = [take(i, 0 if i < 3 else 4, round=k) for i in range(PROMPTS) for k in range(2)]
    found = strongest_share(plain_takes, 0)
    assert (found.value, found.n) == (pytest.approx(3 / 12), PROMPTS)
    assert label_share(plain_takes, "with drums", EVALUATORS).n == PROMPTS


def test_both_renderings_of_a_piece_are_in_one_fold():
    """A classifier that remembers each piece and gives its other rendering the opposite label, as
    nearest to it: without groups it is never right, with groups it guesses.
    """
    rng = np.random.default_rng(0)
    pieces = [
        {"name": f"{label} {number}", DRUMS: label, "row": row + 0.01 * rng.normal(size=40)}
        for number in range(40)
        for row in [rng.normal(size=40)]
        for label in ("with drums", "without drums")
    ]

    def accuracy(music):
        trained = Classifier.trained(pieces, DRUMS, lambda one: one["row"], music)
        return np.mean([share.value for share in trained.accuracy.values()])

    assert accuracy(music_of_drum_piece) == pytest.approx(0.5, abs=0.15)
    assert accuracy(None) < 0.3
