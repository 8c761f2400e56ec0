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


def test_one_row_has_no_spread_and_no_rows_have_no_mean():
    moments = RunningMoments()
    with pytest.raises(ValueError, match="no rows"):
        moments.mean  # noqa: B018
    moments.add(torch.ones(1, 4))
    assert moments.mean.tolist() == [1] * 4 and moments.variance.tolist() == [0] * 4
