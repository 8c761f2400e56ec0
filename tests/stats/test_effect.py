"""Effect of a condition: planted changes are found, and intervals have their coverage."""

import numpy as np
import pytest

from tonearm.stats.effect import effect


def test_a_planted_change_is_found_with_its_interval():
    rng = np.random.default_rng(0)
    plain = rng.normal(100, 10, 50)
    found = effect(list(plain), list(1.3 * plain + rng.normal(0, 2, 50)))
    assert found.low < 0.3 < found.high and found.high - found.low < 0.03
    assert abs(found.change - 0.3) < 0.01 and found.n == 50
    assert found.plain == pytest.approx(plain.mean())


def test_no_change_is_not_found_and_undefined_values_are_left_out():
    rng = np.random.default_rng(1)
    plain, other = rng.normal(100, 10, (2, 50))
    found = effect([None, *plain], [50.0, *other])
    assert found.low < 0 < found.high and found.n == 50
    assert not found.is_beyond(1) and not found.is_beyond(-1) and found.p > 0.05


def planted(rng, scale, n):
    """Plain and steered values with a true change of 30 %, or of 30."""
    if scale == "log":
        plain = np.exp(rng.normal(5, 0.3, n))
        return plain, 1.3 * plain * np.exp(rng.normal(0, 0.6, n))
    plain = rng.normal(100, 15, n)
    return plain, 1.3 * plain + rng.normal(0, 20, n)


@pytest.mark.parametrize("scale", ["log", "ratio", "difference"])
def test_the_interval_of_ten_prompts_has_the_change_in_95_percent_of_studies(scale):
    """A bootstrap of ten has it in about 90 %."""
    rng, studies, covered = np.random.default_rng(5), 600, 0
    for _ in range(studies):
        plain, steered = planted(rng, scale, 10)
        found = effect(list(plain), list(steered), scale)
        covered += found.low < (30 if scale == "difference" else 0.3) < found.high
    assert 0.93 < covered / studies < 0.97


def test_on_a_log_scale_halving_undoes_doubling_and_an_outlier_counts_by_its_octaves():
    found = effect([100.0, 100.0], [200.0, 50.0], "log")
    assert found.change == pytest.approx(0) and found.low < 0 < found.high
    up = effect([100.0, 100.0, 100.0], [120.0, 120.0, 480.0], "log")
    assert up.change == pytest.approx(1.2 * 4 ** (1 / 3) - 1)
    assert up.t == pytest.approx(np.log1p(up.change) / up.error)
    back = effect([120.0, 120.0, 480.0], [100.0, 100.0, 100.0], "log")
    assert back.t == pytest.approx(-up.t)
    with pytest.raises(ValueError, match="0 has no logarithm"):
        effect([1.0, 0.0], [1.0, 2.0], "log")


def test_a_difference_has_the_unit_of_the_measure_and_one_pair_has_no_effect():
    rng = np.random.default_rng(2)
    plain = rng.normal(0, 0.1, 50)
    found = effect(list(plain), list(plain + 0.2 + rng.normal(0, 0.01, 50)), "difference")
    assert abs(found.change - 0.2) < 0.01 and 0 < found.low < 0.2 < found.high < 0.21
    assert found.is_beyond(1) and not found.is_beyond(-1) and found.p < 1e-6
    alone = effect([1.0, None], [2.0, 3.0])
    assert (
        np.isnan(alone.p)
        and alone.n == 1
        and np.isnan([alone.mean, alone.change, alone.low, alone.high]).all()
    )


@pytest.mark.filterwarnings("error")
def test_a_ratio_to_a_mean_of_0_has_no_change():
    found = effect([0.0, 0.0, 0.0], [1.0, 2.0, 3.0])
    assert np.isnan([found.change, found.low, found.high, found.t]).all()
    assert (found.plain, found.mean, found.n) == (0, 2, 3)
