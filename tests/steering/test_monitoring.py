"""Self-monitored steering: its rules, its schema and its place in specifications."""

from dataclasses import replace

import pytest
import torch

from tests.steering.vectors import monitored_vector, random_vector, vector_of
from tonearm.errors import TonearmError
from tonearm.steering import (
    Calibration,
    Configuration,
    SignCalibration,
    Steer,
    Steering,
    as_steering,
    parse_short,
    with_strengths,
)
from tonearm.steering.monitoring import Monitoring, factor, is_acting, presence
from tonearm.steering.resolve import check_steering, resolve


def test_presence_is_the_median_and_its_complement_for_removal():
    read = torch.tensor([[0.9, 0.1, 0.2], [0.9, 0.1, 0.2]])
    found = presence(read, torch.tensor([1.0, -2.0]))
    torch.testing.assert_close(found, torch.tensor([0.2, 0.8]))
    even = torch.tensor([[0.8, 0.1, 0.2, 0.4]])
    torch.testing.assert_close(presence(even, torch.ones(1)), torch.tensor([0.3]))
    torch.testing.assert_close(presence(even[:, :1], torch.zeros(1)), torch.tensor([0.8]))


def test_a_steer_rests_at_the_threshold_and_acts_again_below_it_by_the_hysteresis():
    present = torch.tensor([0.5, 0.71, 0.69, 0.66, 0.64, 0.69, 0.7, 0.66])
    acting, states = torch.ones(1, dtype=torch.bool), []
    for value in present:
        acting = is_acting(value[None], acting, torch.tensor([0.7]), 0.05)
        states.append(bool(acting))
    assert states == [True, False, False, False, True, True, False, False]


def test_the_strength_falls_with_presence_and_is_0_at_rest():
    present, acting = torch.tensor([0.0, 0.4, 1.0, 0.4]), torch.tensor([True, True, True, False])
    torch.testing.assert_close(factor(present, acting, 0.5), torch.tensor([1.0, 0.8, 0.5, 0.0]))
    torch.testing.assert_close(factor(present, acting, 0.0), torch.tensor([1.0, 1.0, 1.0, 0.0]))


def test_a_steer_may_state_that_it_is_monitored_or_how():
    assert Steer(vector="v").monitor is None and Steer(vector="v", monitor=False).monitor is None
    default = Monitoring(delta=0.5, every=5, hysteresis=0.05)
    assert Steer(vector="v", monitor=True).monitor == default
    assert Steer(vector="v", monitor={"every": 2}).monitor == Monitoring(every=2)
    steering = Steering(steers=(Steer(vector="v", monitor={"delta": 0.25}),))
    assert Steering.model_validate_json(steering.model_dump_json()) == steering
    assert "monitor" not in steering.steers[0].model_copy(update={"monitor": None}).model_dump_json(
        exclude_defaults=True
    )


@pytest.mark.parametrize(
    ("monitor", "message"),
    [
        ({"delta": 1.5}, "monitor.delta"),
        ({"delta": float("nan")}, "monitor.delta"),
        ({"every": 0}, "monitor.every"),
        ({"every": 1.5}, "monitor.every"),
        ({"hysteresis": -0.1}, "monitor.hysteresis"),
        ({"threshold": 1.1}, "monitor.threshold"),
        ({"window": 3}, "known are delta, every, hysteresis, threshold"),
        ("often", "monitor"),
        (3, "monitor"),
    ],
)
def test_impossible_settings_are_refused(monitor, message):
    with pytest.raises(TonearmError, match=message) as error:
        Steer(vector="v", monitor=monitor)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("positions", ["audio", "all"])
def test_positions_that_are_not_generated_are_refused(positions):
    with pytest.raises(TonearmError, match=f"positions is {positions}; omit positions"):
        Steer(vector="v", monitor=True, positions=positions)


def test_the_short_form_names_the_monitor():
    steer = parse_short("v=1@all-to-all@monitor@2-6")
    assert (steer.strength, steer.strategy, steer.monitor) == (1, "all-to-all", Monitoring())
    amount = parse_short("v=+1@monitor")
    assert (amount.amount, amount.monitor) == (1, Monitoring())
    assert as_steering({"v": "raw:2@monitor"})[0].steers[0].monitor == Monitoring()
    for text in ("v=1@monitor@monitor", "v=1@monitors"):
        with pytest.raises(TonearmError, match="is not understood"):
            parse_short(text)


def test_an_amount_keeps_its_monitor_in_both_signs():
    sign = SignCalibration(strength=2.0, configuration=Configuration(strategy="all-to-all"))
    info = random_vector(name="v", calibration=Calibration(positive=sign, negative=sign)).info
    vector = replace(random_vector(), info=info)
    steering = Steering(steers=(Steer(vector="v", amount=0.5, monitor={"every": 3}),))
    for live, count in ((False, 1), (True, 2)):
        steers = with_strengths(steering, {"v": vector}, live=live).steers
        assert [one.monitor for one in steers] == [Monitoring(every=3)] * count


STEERING = Steering(steers=(Steer(vector="v", strategy="all-to-all", monitor=True),))


def test_a_vector_without_a_monitor_or_with_one_of_other_heads_is_refused(small):
    def check(vector):
        check_steering(STEERING, {"v": vector}, small.shape)

    check(monitored_vector(small))
    with pytest.raises(TonearmError, match="steer v: the vector has no monitor; learn it with"):
        check(vector_of(small, site="heads"))
    vector = monitored_vector(small)
    half = vector.monitor.weights.shape[1] // 2
    other = replace(vector.monitor, weights=vector.monitor.weights[:, :half])
    with pytest.raises(TonearmError, match=f"the monitor reads heads of {half} outputs, and those"):
        check(replace(vector, monitor=other))


def test_rows_with_equal_settings_and_numbers_of_heads_share_an_intervention(small):
    vectors = {
        "a": monitored_vector(small, "a", 1, threshold=0.25),
        "b": monitored_vector(small, "b", 2),
        "c": monitored_vector(small, "c", 3, count=3),
    }
    names = ("a", "c", "b")
    steerings = [
        Steering(steers=(Steer(vector=v, strategy="all-to-all", monitor=True),)) for v in names
    ]
    plan = resolve(steerings, vectors, small.shape, 4, torch.device("cpu"))
    assert [one.rows.tolist() for one in plan] == [[0, 2], [1]]
    monitors = plan[0].monitors
    assert monitors.thresholds.tolist() == [0.25, 0.5]
    for index, name in enumerate(("a", "b")):
        monitor = vectors[name].monitor
        assert torch.equal(monitors.layers[index], monitor.layers)
        assert torch.equal(monitors.heads[index], monitor.heads)
        assert torch.equal(monitors.weights[index], monitor.weights)
        assert torch.equal(monitors.biases[index], monitor.biases)
    own = [
        Steering(steers=(steer.model_copy(update={"monitor": Monitoring(threshold=0.9)}),))
        for steering in steerings
        for steer in steering.steers
    ]
    plan = resolve(own, vectors, small.shape, 4, torch.device("cpu"))
    assert plan[0].monitors.thresholds.tolist() == [pytest.approx(0.9)] * 2
    assert vectors["a"].monitor.threshold == 0.25
    both = torch.cat([vectors[name].monitor.layers for name in ("a", "b")])
    assert monitors.all_layers == sorted(set(both.tolist()))
