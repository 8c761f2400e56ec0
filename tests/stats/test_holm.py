"""Holm's adjustment."""

import numpy as np
import pytest

from tonearm.stats.holm import holm


def test_adjusted_p_are_those_of_the_rule():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1] and holm([]) == []


def test_tests_that_were_not_made_do_not_count():
    found = holm([0.02, np.nan, 0.03])
    assert (
        found[0] == pytest.approx(0.04) and np.isnan(found[1]) and found[2] == pytest.approx(0.04)
    )


def test_any_false_rejection_is_as_rare_as_the_level():
    rng = np.random.default_rng(0)
    any_rejected = np.mean([min(holm(list(rng.uniform(size=6)))) < 0.05 for _ in range(2000)])
    assert 0.035 < any_rejected < 0.065
