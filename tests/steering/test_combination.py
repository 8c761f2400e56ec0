"""Rules of combination: strengths that are divided, directions made orthogonal, one knob twice."""

import json
from math import sqrt

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.steering.test_amounts import calibrated
from tests.steering.vectors import random_vector, vector_of
from tonearm import Schedule, Steer, Steering, TonearmError
from tonearm.steering import SteeringVector, as_steering
from tonearm.steering.combination import one_knobs, share_of, with_combined_strengths
from tonearm.steering.orthogonal import remainder
from tonearm.steering.resolve import resolve

SILENT = Schedule(points=((0, 0), (1, 0)))
MIXED = (
    Steer(vector="v", strength=0.6),
    Steer(vector="w", strength=-0.4, operator="rotate", schedule=Schedule.ramp(0, 1)),
    Steer(vector="w", strength=0.0),
    Steer(vector="w", strength=1.0, schedule=SILENT),
    Steer(vector="v", operator="remove"),
)


def combined(steers, rule, live=False, vectors=None, **options):
    steering = Steering(steers=tuple(steers), combine=rule)
    return with_combined_strengths(steering, vectors or {}, live=live, **options)


@pytest.mark.parametrize(
    ("rule", "live", "share"),
    [
        ("none", False, 1),
        ("none", True, 1),
        ("sqrt", False, 1 / sqrt(3)),  # three steers act
        ("sqrt", True, 1 / sqrt(5)),
        ("mean", False, 1 / 3),
        ("mean", True, 1 / 5),
        ("orthogonal", True, 1),
    ],
)
def test_strengths_of_operators_that_push_are_divided(rule, live, share):
    assert share_of(Steering(steers=MIXED, combine=rule), live) == share
    found = combined(MIXED, rule, live)
    assert found.combine == ("orthogonal" if rule == "orthogonal" else "none")
    expected = [0.6 * share, -0.4 * share, 0, share, 1]  # remove keeps its own
    assert [steer.strength for steer in found.steers] == expected
    assert [steer.operator for steer in found.steers] == [one.operator for one in MIXED]
    # what is recorded is final
    assert with_combined_strengths(found, {}, recorded=True) == found


@pytest.mark.parametrize("operator", ["remove", "set", "clamp"])
def test_shares_of_the_way_to_an_end_are_not_divided(operator):
    own = {"set": {"level": 2, "strategy": "all-to-all"}, "clamp": {"low": 0}}
    ended = Steer(vector="w", strength=0.8, operator=operator, **own.get(operator, {}))
    push = Steer(vector="v", strength=0.8)
    assert [one.strength for one in combined((push, ended), "mean").steers] == [0.4, 0.8]


def test_amounts_are_divided_and_count_once():
    vectors = {"tempo": calibrated(), "jazz": random_vector(name="jazz")}
    steers = (Steer(vector="tempo", amount=0.5), Steer(vector="jazz", strength=3))
    crossing = Schedule(points=((0, 1), (4, -1)))
    assert [one.strength for one in combined(steers, "mean", vectors=vectors).steers] == [0.05, 1.5]
    both = (steers[0].model_copy(update={"schedule": crossing}), steers[1])
    found = combined(both, "mean", vectors=vectors).steers
    assert [one.strength for one in found] == pytest.approx([0.1, -0.025, 1.5])
    live = combined((Steer(vector="tempo", amount=0), steers[1]), "sqrt", True, vectors).steers
    assert [one.strength for one in live] == pytest.approx([0, 0, 3 / sqrt(2)])


def test_steers_that_never_act_leave_the_list_where_others_depend_on_it():
    assert combined(MIXED, "orthogonal").steers == (MIXED[0], MIXED[1], MIXED[4])
    for options in ({"live": True}, {"recorded": True}):
        assert combined(MIXED, "orthogonal", **options).steers == MIXED


def planes(seed, count, width=12):
    generator = torch.Generator().manual_seed(seed)
    return list(torch.randn(count, width, generator=generator))


@given(st.integers(0, 1000), st.integers(1, 5))
def test_a_remainder_is_orthogonal_and_what_was_taken_is_spanned(seed, count):
    direction, *others = planes(seed, count + 1)
    rest = remainder(direction, others)
    for other in others:
        assert abs(float(rest @ other)) < 1e-5 * float(other.norm())
    taken = (direction - rest).double()
    spanned = torch.stack(others).double().T
    solution = torch.linalg.lstsq(spanned, taken[:, None]).solution
    assert torch.allclose(spanned @ solution, taken[:, None], atol=1e-5)
    twice = [*others, 3 * others[0], sum(others)]  # a span with more vectors than dimensions
    assert torch.allclose(remainder(direction, twice), rest, atol=1e-5)


def test_a_direction_that_is_spanned_leaves_nothing():
    first, second, _ = planes(0, 3)
    for direction in (first, -2 * first, first + 3 * second, torch.zeros(12)):
        assert not remainder(direction, [first, second]).any()
    assert torch.equal(remainder(first, []), first)


def plan_of(model, *steers, vectors=None, rule="orthogonal", live=False):
    vectors = vectors or {n: vector_of(model, n, seed=i) for i, n in enumerate("uvw")}
    steering = Steering(steers=steers, combine=rule)
    device = model.checkpoint.device
    return resolve([steering], vectors, model.shape, 10, device, live=live), vectors


def directions(intervention):
    """Direction [D] by target layer."""
    return {layer: intervention.directions[i, 0] for layer, i in intervention.layers.items()}


def test_directions_are_orthogonal_in_order_at_every_layer(small):
    steers = (
        Steer(vector="u", source_layer=0),
        Steer(vector="v", source_layer=2),
        Steer(vector="w", strategy="all-to-all", layers=(1, 2)),
    )
    (first, second, third), vectors = plan_of(small, *steers)
    assert first.layers == {0: 0, 1: 0, 2: 0} and torch.equal(
        first.directions[0, 0], vectors["u"][0]
    )
    for layer, found in directions(second).items():
        assert abs(float(found @ directions(first)[layer])) < 1e-5
        assert torch.allclose(found, remainder(vectors["v"][2], [vectors["u"][0]]))
    for layer, found in directions(third).items():
        expected = remainder(vectors["w"][layer], [vectors["u"][0], vectors["v"][2]])
        assert torch.allclose(found, expected) and found.norm() < vectors["w"][layer].norm()
    untouched, _ = plan_of(small, *steers, rule="none")
    assert torch.equal(untouched[1].directions[0, 0], vectors["v"][2])


def test_other_sites_layers_and_steers_of_one_vector_are_left_alone(small):
    vectors = {
        "u": vector_of(small, "u"),
        "again": vector_of(small, "again"),  # the same directions under another name
        "heads": vector_of(small, "heads", seed=1, site="heads"),
        "w": vector_of(small, "w", seed=2),
    }
    steers = (
        Steer(vector="u", source_layer=0, layers=(0,)),
        Steer(vector="u", source_layer=1, layers=(0,), operator="rotate"),
        Steer(vector="again", source_layer=2, layers=(0,)),
        Steer(vector="heads", source_layer=1, layers=(0,)),
        Steer(vector="w", strategy="all-to-all"),
    )
    plan, _ = plan_of(small, *steers, vectors=vectors)
    for intervention, steer in zip(plan[:4], steers, strict=False):
        source = vectors[steer.vector][steer.source_layer]
        assert torch.equal(directions(intervention)[0], source)
    last = directions(plan[4])
    assert torch.equal(last[1], vectors["w"][1]) and torch.equal(last[2], vectors["w"][2])
    others = [vectors["u"][layer] for layer in range(3)]
    assert torch.allclose(last[0], remainder(vectors["w"][0], others))


@pytest.mark.parametrize(
    "projecting",
    [
        Steer(vector="v", operator="set", level=1, strategy="all-to-all"),
        Steer(vector="v", operator="clamp", low=0, strategy="all-to-all"),
    ],
)
def test_set_and_clamp_keep_their_direction_and_later_ones_are_orthogonal_to_it(small, projecting):
    steers = (Steer(vector="u", source_layer=0), projecting, Steer(vector="w", source_layer=1))
    (_, second, third), vectors = plan_of(small, *steers)
    for layer, found in directions(second).items():
        assert torch.equal(found, vectors["v"][layer])
        assert abs(float(directions(third)[layer] @ found)) < 1e-5


def test_steers_of_a_stream_count_also_at_0(small):
    steers = (Steer(vector="u", strength=0.0, source_layer=0), Steer(vector="v", source_layer=1))
    (_, live), vectors = plan_of(small, *steers, live=True)
    (recorded,), _ = plan_of(small, *steers)
    expected = remainder(vectors["v"][1], [vectors["u"][0]])
    for found in (live, recorded):
        assert torch.equal(directions(found)[2], expected)


def turned(vector, cosine, name="near"):
    """A vector whose directions have a cosine with those of another."""
    found = {}
    for layer, direction in vector.directions.items():
        noise = torch.randn(len(direction), generator=torch.Generator().manual_seed(99 + layer))
        across = remainder(noise, [direction])
        across *= direction.norm() / across.norm()
        found[layer] = 0.3 * (cosine * direction + sqrt(1 - cosine**2) * across)
    return SteeringVector(found, vector.info).renamed(name)


@pytest.mark.parametrize(("cosine", "warned"), [(0.85, True), (-0.9, True), (0.75, False)])
@pytest.mark.parametrize("strategy", ["one-to-all", "all-to-all"])
def test_nearly_equal_and_opposite_directions_are_one_knob(small, cosine, warned, strategy):
    vectors = {"v": vector_of(small), "u": vector_of(small, "u", seed=3)}
    vectors["near"] = turned(vectors["v"], cosine)
    steers = [Steer(vector=name, strategy=strategy) for name in ("u", "v", "near")]
    found = list(one_knobs(steers, vectors, small.shape))
    assert [(one.first, one.second) for one in found] == [("v", "near")] * warned
    if warned:
        assert found[0].cosine == pytest.approx(cosine, abs=1e-5)
        assert f"v and near are one knob: the cosine of their directions is {cosine:+.2f}" in str(
            found[0]
        )


def test_directions_at_other_places_and_one_vector_twice_are_not_one_knob(small):
    vectors = {"v": vector_of(small), "heads": vector_of(small, "heads", site="heads")}
    vectors["near"] = turned(vectors["v"], 0.99)
    for steers in (
        [Steer(vector="v"), Steer(vector="v", operator="rotate")],
        [Steer(vector="v"), Steer(vector="heads")],
        [Steer(vector="v", layers=(0,)), Steer(vector="near", layers=(1, 2))],
    ):
        assert not list(one_knobs(steers, vectors, small.shape))


def test_the_rule_is_part_of_every_form(tmp_path):
    steers = as_steering("tempo=1,jazz=raw:0.4")[0].steers
    steering = Steering(steers=steers, combine="mean")
    assert str(steering) == "tempo +1, jazz raw +0.4 (mean)"
    assert str(Steering(steers=steers[:1], combine="mean")) == "tempo +1"
    file = tmp_path / "x.json"
    file.write_text(steering.model_dump_json())
    assert Steering.from_file(file) == steering
    file.write_text(json.dumps({"kind": "tonearm take", "steering": steering.model_dump()}))
    assert Steering.from_file(file) == steering
    for form in ("tempo=1,jazz=raw:0.4", {"tempo": 1, "jazz": "raw:0.4"}, Steering(steers=steers)):
        assert as_steering(form, "mean")[0] == steering
    assert as_steering(steering)[0] == as_steering([steering])[0] == steering
    assert as_steering(steering, "none")[0].combine == "none"
    more = as_steering([steering, "mode=1"])[0]
    assert more.combine == "mean" and len(more.steers) == 3


def test_two_rules_and_an_unknown_one_are_one_line():
    two = [Steering(steers=(Steer(vector="v"),), combine=rule) for rule in ("mean", "sqrt")]
    with pytest.raises(TonearmError, match="two rules of combination, mean and sqrt; give one"):
        as_steering(two)
    for call in (
        lambda: as_steering("v=1", "sum"),
        lambda: Steering(steers=(), combine="sum"),
    ):
        with pytest.raises(TonearmError, match=r"'none', 'sqrt', 'mean' or 'orthogonal'") as error:
            call()
        assert "\n" not in str(error.value)
