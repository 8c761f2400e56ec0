import mir_eval
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score

from tonearm.errors import TonearmError
from tonearm.measures import is_right_tempo, tempo_accuracy
from tonearm.measures.tempo_accuracy import TOLERANCE
from tonearm.stats.share import Share


@pytest.mark.parametrize(
    ("estimated", "first", "second"),
    [
        (100.0, True, True),
        (104.0, True, True),
        (96.0, True, True),
        (104.1, False, False),
        (200.0, False, True),
        (208.0, False, True),
        (208.2, False, False),
        (300.0, False, True),
        (50.0, False, True),
        (33.4, False, True),
        (150.0, False, False),
        (None, False, False),
    ],
)
def test_estimates_of_100_bpm(estimated: float | None, first: bool, second: bool) -> None:
    assert is_right_tempo(estimated, 100.0) is first
    if estimated is not None:
        _, one_correct, _ = mir_eval.tempo.detection(
            np.array([100.0, 100.0]), 0.5, np.array([estimated, estimated]), tol=TOLERANCE
        )
        assert one_correct is first
    assert is_right_tempo(estimated, 100.0, any_octave=True) is second


@given(st.lists(st.tuples(st.floats(40, 240), st.floats(40, 240)), min_size=1, max_size=20))
def test_accuracies_are_shares_of_the_clips_and_the_second_is_never_lower(
    pairs: list[tuple[float, float]],
) -> None:
    estimated, true = zip(*pairs, strict=True)
    accuracy = tempo_accuracy(estimated, true)
    right = [is_right_tempo(*pair) for pair in pairs]
    assert accuracy.accuracy_1.value == pytest.approx(accuracy_score([True] * len(right), right))
    assert accuracy.accuracy_1.value <= accuracy.accuracy_2.value
    assert accuracy.accuracy_1.n == len(pairs)


def test_no_clips_and_unequal_lists_are_refused() -> None:
    with pytest.raises(TonearmError):
        tempo_accuracy([], [])
    with pytest.raises(TonearmError):
        tempo_accuracy([100.0], [])


def test_the_interval_is_wilsons() -> None:
    # Newcombe 1998, "Two-sided confidence intervals for the single proportion", Table I:
    # 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    for count, n, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        share = Share.of(count, n)
        assert (share.low, share.high) == pytest.approx((low, high), abs=5e-5)
    assert str(Share.of(1, 2)) == "50 % [9, 91] of 2"


@pytest.mark.parametrize(("count", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_a_count_beyond_n_is_refused(count: float, n: int) -> None:
    with pytest.raises(ValueError, match="no share"):
        Share.of(count, n)
