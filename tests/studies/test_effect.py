"""Effect of a condition: planted changes are found, and intervals have their coverage."""

import numpy as np
import pytest

from tonearm.studies.effect import effect


def test_a_planted_change_is_found_with_its_interval():
    rng = np.random.default_rng(0)
    plain = rng.normal(100, 10, 50)
    found = effect(list(plain), list(1.3 * plain + rng.normal(0, 2, 50)))
    assert found.low < 0.3 < found.high and found.high - found.low < 0.03
    assert abs(found.change - 0.3) < 0.01 and found.n == 50


def test_no_change_is_not_found_and_undefined_values_are_left_out():
    rng = np.random.default_rng(1)
    plain, other = rng.normal(100, 10, (2, 50))
    found = effect([None, *plain], [50.0, *other])
    assert found.low < 0 < found.high and found.n == 50


@pytest.mark.parametrize("relative", [True, False])
def test_the_interval_of_ten_prompts_has_the_change_in_95_percent_of_studies(relative):
    """A bootstrap of ten has it in about 90 %."""
    rng, studies, covered = np.random.default_rng(5), 600, 0
    for _ in range(studies):
        plain = rng.normal(100, 15, 10)
        steered = 1.3 * plain + rng.normal(0, 20, 10)
        found = effect(list(plain), list(steered), relative)
        covered += found.low < (0.3 if relative else 30) < found.high
    assert 0.93 < covered / studies < 0.97


def test_a_difference_has_the_unit_of_the_measure_and_one_pair_has_no_effect():
    rng = np.random.default_rng(2)
    plain = rng.normal(0, 0.1, 50)
    found = effect(list(plain), list(plain + 0.2 + rng.normal(0, 0.01, 50)), relative=False)
    assert abs(found.change - 0.2) < 0.01 and 0 < found.low < 0.2 < found.high < 0.21
    alone = effect([1.0, None], [2.0, 3.0])
    assert alone.n == 1 and np.isnan([alone.mean, alone.change, alone.low, alone.high]).all()
