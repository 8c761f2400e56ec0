"""Settings of trainings, and the numbers that follow from them."""

import pytest

from tonearm.errors import TonearmError
from tonearm.features.settings import TrainingSettings


def test_the_learning_rate_warms_up_and_falls_with_the_number_of_features():
    settings = TrainingSettings(rows=2048 * 1000)
    rates = [settings.learning_rate(16_384, step) for step in (0, 24, 49, 999)]
    assert rates == pytest.approx([2e-4 / 50, 1e-4, 2e-4, 2e-4])
    assert settings.learning_rate(4 * 16_384, 999) == pytest.approx(1e-4)


def test_the_warm_up_of_a_long_run_has_1000_steps():
    settings = TrainingSettings(rows=2048 * 100_000)
    assert settings.learning_rate(16_384, 999) == pytest.approx(2e-4)
    assert settings.learning_rate(16_384, 499) == pytest.approx(1e-4)


@pytest.mark.parametrize(("rows", "dead_after"), [(64, 64), (64 * 100, 5 * 64), (10**9, 5 * 10**7)])
def test_a_feature_is_dead_after_5_percent_of_the_rows(rows, dead_after):
    settings = TrainingSettings(rows=rows, batch_rows=64)
    assert settings.dead_after == pytest.approx(dead_after, abs=64)


def test_prefixes_are_numbers_of_features():
    settings = TrainingSettings(prefixes=(0.125, 0.5, 1.0))
    assert settings.prefix_sizes(64) == (8, 32, 64)
    assert settings.prefix_sizes(2) == (1, 2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(prefixes=(0.5, 0.25, 1.0)), "have to rise to 1"),
        (dict(prefixes=(0.5,)), "have to rise to 1"),
        (dict(rows=100), "fewer than the 2048 of one step"),
        (dict(k=0), "greater than or equal to 1"),
        (dict(validation_share=0.9), "less than or equal to 0.5"),
    ],
)
def test_impossible_settings_are_refused(settings, message):
    with pytest.raises(TonearmError, match=message):
        TrainingSettings(**settings)
