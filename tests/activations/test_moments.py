"""Running moments against numpy over all rows at once."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tonearm.activations import RunningMoments


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 1000), st.floats(-1e3, 1e3)
)
def test_any_split_into_batches_equals_numpy_over_all_rows(sizes, seed, offset):
    rows = torch.randn(sum(sizes), 3, 5, generator=torch.Generator().manual_seed(seed)) + offset
    moments = RunningMoments()
    for batch in rows.split(sizes):
        moments.add(batch)
    exact = rows.numpy().astype(np.float64)
    assert moments.count == len(rows)
    np.testing.assert_allclose(moments.mean.numpy(), exact.mean(0), rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(moments.variance.numpy(), exact.var(0), rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(
        moments.mean_norm.numpy(), np.linalg.norm(exact, axis=-1).mean(0), rtol=1e-10
    )


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.integers(0, 1000))
def test_merged_moments_are_those_of_all_rows(sizes, seed):
    rows = torch.randn(sum(sizes), 3, 5, generator=torch.Generator().manual_seed(seed))
    whole, merged = RunningMoments(), RunningMoments()
    for part in rows.split(sizes):
        moments = RunningMoments()
        if len(part):
            moments.add(part)
        merged.merge(moments)
    if not len(rows):
        assert merged.count == 0
        return
    whole.add(rows)
    assert merged.count == whole.count
    for name in ("mean", "variance", "mean_norm"):
        assert torch.allclose(getattr(merged, name), getattr(whole, name)), name


def test_merging_leaves_the_other_moments_as_they_were():
    first, second = RunningMoments(), RunningMoments()
    second.add(torch.ones(2, 4))
    first.merge(second)
    first.add(torch.zeros(2, 4))
    assert (second.count, second.mean.tolist()) == (2, [1] * 4)
    assert (first.count, first.mean.tolist()) == (4, [0.5] * 4)


def test_one_row_has_no_spread_and_no_rows_have_no_mean():
    moments = RunningMoments()
    with pytest.raises(ValueError, match="no rows"):
        moments.mean  # noqa: B018
    moments.add(torch.ones(1, 4))
    assert moments.mean.tolist() == [1] * 4 and moments.variance.tolist() == [0] * 4
