"""Algebra, hashes and random controls of steering vectors."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.steering.vectors import random_vector, scales_of, vector_of
from tonearm.errors import TonearmError
from tonearm.steering import FrameScales, SteeringVector

factors = st.floats(-100, 100)


def same(a: SteeringVector, b: SteeringVector) -> bool:
    return a.layers == b.layers and all(torch.equal(a[i], b[i]) for i in a.layers)


def near(a: SteeringVector, b: SteeringVector) -> bool:
    return a.layers == b.layers and all(torch.allclose(a[i], b[i], atol=1e-4) for i in a.layers)


def test_algebra_of_vectors():
    v, w = random_vector(), random_vector(seed=1, name="w")
    assert not any((v - v)[i].any() or (0 * v)[i].any() for i in v.layers)
    assert same(-(v * -20), 20 * v) and same(v * 1, v)
    assert same(v + w, w + v) and near((v + w) - w, v) and same(v - w, v + -w)


@given(factors, factors)
@settings(max_examples=50)
def test_scaling_is_distributive(a, b):
    v, w = random_vector(), random_vector(seed=1, name="w")
    assert near(a * (v + w), a * v + a * w)
    assert near((a + b) * v, a * v + b * v)


def test_labels_and_names_follow_the_sign():
    v = random_vector(
        positive_label="fast", negative_label="slow", positive_count=8, negative_count=50
    )
    assert ((-v).info.positive_count, (-v).info.negative_count) == (50, 8)
    assert ((-v).info.positive_label, (-v).info.negative_label) == ("slow", "fast")
    assert ((v * 2).info.positive_label, (v * 2).info.negative_label) == ("fast", "slow")
    assert (-v).name == "-v" and (v * 2).name == "2 * v" and (v + v).name == "(v + v)"
    assert v.renamed("w").name == "w" and same(v.renamed("w"), v)


def test_the_hash_depends_on_directions_checkpoint_site_and_layers():
    v = random_vector()
    assert v.content_hash() == random_vector().content_hash() == v.renamed("other").content_hash()
    changed = dict(v.directions)
    changed[2] = torch.nextafter(changed[2], torch.tensor(torch.inf))
    others = [
        SteeringVector(changed, v.info),
        SteeringVector({0: v[0], 1: v[1]}, v.info),
        random_vector(fingerprint="0" * 16),
        random_vector(site="heads"),
        random_vector(seed=1),
        SteeringVector({0: v[1], 1: v[0], 2: v[2]}, v.info),
        random_vector(layers=3, layer_count=4),
    ]
    assert len({v.content_hash(), *(other.content_hash() for other in others)}) == len(others) + 1
    # Sidecars of earlier releases record it.
    ones = SteeringVector({0: torch.ones(8)}, v.info)
    assert ones.content_hash() == GOLDEN_HASH


GOLDEN_HASH = "54cf4d6e2414eb2de039e7f4eead92f81b71f49609ca63a4c9516b1d920afb7a"


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (random_vector(fingerprint="0" * 16, name="w"), "fingerprint"),
        (random_vector(site="heads", name="w"), "site"),
        (random_vector(width=4, name="w"), "width"),
        (
            SteeringVector({0: torch.ones(8), 2: torch.ones(8)}, random_vector(name="w").info),
            r"layers 0\.\.2 and 0, 2 differ",
        ),
    ],
)
def test_incompatible_vectors_are_not_joined(other, message):
    for join in (lambda: random_vector() + other, lambda: random_vector() - other):
        with pytest.raises(TonearmError, match=message) as error:
            join()
        assert "v and w" in str(error.value)


def test_the_random_control_has_the_same_norms_and_one_direction():
    v = random_vector(layers=4, width=64)
    control = v.random_like(7)
    assert control.norms() == pytest.approx(v.norms(), rel=1e-5)
    assert all(torch.cosine_similarity(control[0], control[i], dim=0) > 1 - 1e-5 for i in v.layers)
    assert same(control, v.random_like(7)) and not same(control, v.random_like(8))
    assert all(abs(v.cosine(control, i)) < 0.6 for i in v.layers)
    assert control.info.method == "random" and control.info.seed == 7


def test_projections_follow_the_direction_and_are_no_part_of_its_identity():
    """The means of h·r change places and signs with r; directions that were not learned have none."""
    above, below = {0: 4.0, 1: 2.5}, {0: 1.0, 1: -0.5}
    v = random_vector(positive_projections=above, negative_projections=below)
    assert v.content_hash() == random_vector().content_hash()
    assert _projections(2.0 * v) == (above, below)
    assert _projections(-v) == ({0: -1.0, 1: 0.5}, {0: -4.0, 1: -2.5})
    for other in (0 * v, v + v, v - 0.5 * v, v.random_like(1)):
        assert _projections(other) == ({}, {})


def _projections(vector):
    return vector.info.positive_projections, vector.info.negative_projections


def test_frame_scales_follow_the_direction_and_are_no_part_of_its_identity():
    scales = scales_of(3)
    v = random_vector(frame_scales=scales)
    assert v.content_hash() == random_vector().content_hash()
    assert not v.steers_like(random_vector()) and v.steers_like(v.renamed("w"))
    assert (2 * v).info.frame_scales == scales == (-1 * -v).info.frame_scales
    assert (-v).info.frame_scales.means == {layer: -m for layer, m in scales.means.items()}
    assert (-v).info.frame_scales.deviations == scales.deviations
    for other in (0 * v, v + v, v - 0.5 * v, v.random_like(1)):
        assert other.info.frame_scales is None
    again = random_vector().with_frame_scales(scales)
    assert again.steers_like(v) and again.info == v.info


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(means={0: 1.0}, deviations={1: 1.0}), "not of the same layers"),
        (dict(means={0: 1.0}, deviations={0: -1.0}), "deviations"),
        (dict(means={0: float("nan")}, deviations={0: 1.0}), "finite"),
        (dict(means={0: 1.0}, deviations={0: float("inf")}), "finite"),
        (dict(means={-1: 1.0}, deviations={-1: 1.0}), "means"),
    ],
)
def test_impossible_frame_scales_are_one_line(fields, message):
    with pytest.raises(TonearmError, match=message) as error:
        FrameScales(**fields)
    assert "\n" not in str(error.value)


def test_the_hash_of_frame_scales_depends_on_their_numbers_alone():
    scales, negated = scales_of(3), -scales_of(3)
    noted = scales.model_copy(update={"protocol": "50 takes"})
    assert scales.content_hash() == noted.content_hash() == (-negated).content_hash()
    others = [negated, scales_of(2), scales_of(3, seed=1)]
    assert len({scales.content_hash(), *(one.content_hash() for one in others)}) == 4


def test_directions_are_kept_as_float32_in_layer_order():
    info = random_vector().info
    vector = SteeringVector(
        {2: torch.ones(8, dtype=torch.float64), 0: torch.ones(8, dtype=torch.bfloat16)}, info
    )
    assert vector.layers == (0, 2) and vector[2].dtype == vector[0].dtype == torch.float32
    with pytest.raises(TonearmError, match="no direction for layer 1; it has layers 0, 2"):
        vector[1]


@pytest.mark.parametrize(
    ("directions", "message"),
    [
        ({}, "no layers"),
        ({0: torch.ones(7)}, "shape"),
        ({0: torch.ones(1, 8)}, "shape"),
        ({0: torch.full((8,), torch.nan)}, "NaN"),
        ({0: torch.full((8,), torch.inf)}, "NaN or infinite"),
        ({3: torch.ones(8)}, r"outside 0\.\.2"),
        ({-1: torch.ones(8)}, "outside"),
    ],
)
def test_impossible_directions_are_refused(directions, message):
    with pytest.raises(TonearmError, match=message):
        SteeringVector(directions, random_vector().info)


@pytest.mark.parametrize("factor", [float("nan"), float("inf"), 1e39])
def test_a_factor_that_gives_nan_or_infinity_is_refused(factor):
    with pytest.raises(TonearmError, match="NaN or infinite"):
        random_vector() * factor


@pytest.mark.parametrize(
    "call",
    [
        lambda v: v.random_like(-1),
        lambda v: v.random_like(2**64),
        lambda v: v.random_like("3"),
        lambda v: v.cosine(3, 0),
        lambda v: v.cosine(v, "0"),
        lambda v: v.renamed(3),
        lambda v: v.renamed("a\0b"),
        lambda v: SteeringVector(3, v.info),
        lambda v: SteeringVector(v.directions, {"name": "v"}),
        lambda v: SteeringVector({"0": v[0]}, v.info),
        lambda v: SteeringVector({0: None}, v.info),
        lambda v: SteeringVector({0: object()}, v.info),
        lambda v: SteeringVector({0: ["a"]}, v.info),
    ],
)
def test_arguments_of_wrong_types_are_one_line(call):
    with pytest.raises(TonearmError) as error:
        call(random_vector())
    assert "\n" not in str(error.value)


def test_a_vector_that_is_for_an_operator_steers_by_no_other(melody):
    vector = vector_of(melody, "v", operator="remove")
    with pytest.raises(
        TonearmError, match=r"is for operator remove, .* not for add; write v=1@rem"
    ):
        melody.generate("a tune", steer={vector: "raw:1"}, seconds=0.2, seed=1)
    assert melody.generate("a tune", steer={vector: "raw:1@remove"}, seconds=0.2, seed=1)


def test_vectors_that_are_for_an_operator_are_not_summed():
    removed, added = random_vector(operator="remove"), random_vector(seed=1)
    for join in (lambda: removed + added, lambda: added - removed):
        with pytest.raises(TonearmError, match="not removing their sum"):
            join()
    assert (removed * 2).info.operator == "remove"
