"""Scales of generated frames against hooks on whole takes, and their use by operator set."""

import pytest
import torch

from tests.activations.test_capture import EVEN, PROMPTS, SITES, states_by_hand
from tests.steering.vectors import random_vector, vector_of
from tonearm.activations import RunningMoments, measure_frame_scales, measure_scales_of_several
from tonearm.errors import TonearmError
from tonearm.musicgen.engine import whole_positions
from tonearm.steering import SteeringVector
from tonearm.steering.operators import unit

SECONDS = 0.6


def projections_by_hand(model, vector, prompts, seed):
    """Projections of all takes and whole positions, float64 [n, L]."""
    site = vector.info.site
    positions = list(whole_positions(model.shape, round(SECONDS * model.shape.frame_rate)))
    rows = []
    for index, prompt in enumerate(prompts):
        states, prefix = states_by_hand(model, prompt, site, SECONDS, seed + index)
        codes = states[:, prefix:][:, positions].double()  # [L, S, D]
        units = torch.stack([unit(vector[layer]) for layer in vector.layers]).double()
        rows.append(torch.einsum("lsd,ld->sl", codes, units))
    return torch.cat(rows)


@pytest.mark.parametrize(("variant", "site"), SITES)
def test_scales_are_those_of_the_frames_of_plain_takes(model_of, variant, site):
    model = model_of(variant)
    vector = vector_of(model, site=site, frame_scales=None)
    measured = measure_frame_scales(model.engine, vector, EVEN, seconds=SECONDS, seed=4)
    scales, expected = measured.info.frame_scales, projections_by_hand(model, vector, EVEN, 4)
    layers = range(model.shape.layer_count)
    means = torch.tensor([scales.means[layer] for layer in layers])
    deviations = torch.tensor([scales.deviations[layer] for layer in layers])
    assert torch.allclose(means.double(), expected.mean(0), rtol=1e-4, atol=1e-4)
    assert torch.allclose(
        deviations.double(), expected.std(0, unbiased=False), rtol=1e-4, atol=1e-4
    )
    assert measured.content_hash() == vector.content_hash() and vector.info.frame_scales is None
    assert "3 takes of 0.6 s, seeds from 4, guidance 3, temperature 1" in scales.protocol
    assert scales.protocol.endswith(f", {len(expected)} frames")


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_both_engines_give_equal_scales_whatever_the_batches(model_of, variant):
    model, done = model_of(variant), []
    vector = vector_of(model)
    prompts = [*PROMPTS, *EVEN]
    whole, parts, reference = (
        measure_frame_scales(engine, vector, prompts, seconds=SECONDS, **settings)
        for engine, settings in (
            (model.engine, {"progress": lambda *counts: done.append(counts)}),
            (model.engine, {"batch_size": 1}),
            (model.with_engine("reference").engine, {}),
        )
    )
    for other in (parts, reference):
        for name in ("means", "deviations"):
            found, expected = (getattr(v.info.frame_scales, name) for v in (other, whole))
            assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert done[-1] == (6, 6) and [count for count, _ in done] == sorted(c for c, _ in done)


def test_a_negated_vector_has_the_negated_scales(melody):
    vector = vector_of(melody)
    found, negated = (
        measure_frame_scales(melody.engine, one, EVEN, seconds=SECONDS) for one in (vector, -vector)
    )
    assert negated.info.frame_scales == (-found).info.frame_scales


def test_level_0_is_the_mean_and_levels_are_standard_deviations_of_generated_frames(melody):
    """The projection right after the steer, read while a steered take is generated."""
    vector = measure_frame_scales(melody.engine, vector_of(melody), EVEN, seconds=SECONDS)
    melody.vectors["v"] = vector
    scales = vector.info.frame_scales
    for level in (0.0, 3.0, -2.0):
        seen = RunningMoments()
        take = melody.generate(EVEN[0], steer=f"v={level}@set", seconds=SECONDS, seed=1)
        read = {
            ("residual", 2): [
                lambda h, span, seen=seen: seen.add(h[:, -1] @ unit(vector[2])[:, None])
            ]
        }
        forced(melody, take, read)
        expected = scales.means[2] + level * scales.deviations[2]
        assert float(seen.mean) == pytest.approx(expected, abs=1e-4)
        assert float(seen.variance) < 1e-8


def forced(model, take, read):
    """Decode a take again, with taps that see the activations as steered."""
    from tonearm.generation.encode import encode_batch
    from tonearm.generation.request import TakeRequest

    provenance = take.provenance
    request = TakeRequest(
        provenance.prompt, provenance.seed, provenance.steering, seconds=provenance.new_seconds
    )
    prepared, vectors = model._prepare([request], {})
    codes = model.engine.decode(encode_batch(model.checkpoint, prepared, vectors), read=read)
    assert (codes[0].numpy() == take.codes).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(prompts=[]), "no prompts were given"),
        (dict(prompts="calm"), "give a list of texts"),
        (dict(seconds=0.0), "takes of 0 s are not possible; use 0.16 to 30 s"),
        (dict(seconds=31.0), "takes of 31 s are not possible"),
        (dict(seconds=float("nan")), "not possible"),
        (dict(seed=-1), "seed -1 is not possible"),
        (dict(batch_size=0), "batch size 0 is not possible"),
        (dict(vector=random_vector()), "was made for toy"),
        (dict(vector=3), "give a SteeringVector"),
    ],
)
def test_mistakes_are_one_line(melody, change, message):
    arguments = dict(vector=vector_of(melody), prompts=EVEN, seconds=SECONDS) | change
    with pytest.raises(TonearmError, match=message) as error:
        measure_frame_scales(melody.engine, **arguments)
    assert "\n" not in str(error.value)


def test_several_vectors_are_measured_on_the_same_takes(melody):
    vectors = [
        vector_of(melody),
        vector_of(melody, "heads", seed=1, site="heads"),
        SteeringVector({1: vector_of(melody)[0]}, vector_of(melody).info),
    ]
    together = measure_scales_of_several(melody.engine, vectors, EVEN, seconds=SECONDS)
    for vector, found in zip(vectors, together, strict=True):
        alone = measure_frame_scales(melody.engine, vector, EVEN, seconds=SECONDS)
        assert alone.info == found.info and alone.content_hash() == found.content_hash()


def test_only_the_layers_of_the_vector_are_measured(melody):
    vector = vector_of(melody)
    sparse = SteeringVector({2: vector[2]}, vector.info)
    scales = measure_frame_scales(melody.engine, sparse, EVEN, seconds=SECONDS).info.frame_scales
    assert list(scales.means) == list(scales.deviations) == [2]
