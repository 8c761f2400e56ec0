"""Packed products: error of each precision, and independence of rows."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from tonearm.musicgen.packed_linear import pack


def error(weight, x, **options):
    exact = F.linear(x.double(), weight.double())
    return float((pack(weight, **options)(x).double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("shape", [(2, 96), (3, 5, 96), (1, 96), (40, 96)])
@pytest.mark.parametrize(
    ("dtype", "int8", "bound"),
    [
        (torch.float32, False, 1e-6),
        (
            torch.float16,
            False,
            1e-6,
        ),  # computed in float32, so exact for the weights as they are stored
        (torch.bfloat16, False, 4e-3),  # 8 bits: 2^-9 for each rounding
        (torch.float32, True, 2e-2),  # half a step of 1/127 of the largest, weights and activations
    ],
)
def test_products_are_within_the_rounding_of_their_weights(shape, dtype, int8, bound):
    torch.manual_seed(0)
    weight, x = torch.randn(64, 96).to(dtype), torch.randn(shape)
    y = pack(weight, int8)(x)
    assert y.shape == (*shape[:-1], 64) and y.dtype == torch.float32
    assert 0 < error(weight, x, int8=int8) < bound


def test_int8_is_exact_for_whole_numbers():
    generator = torch.Generator().manual_seed(1)
    weight = torch.randint(-127, 128, (16, 32), generator=generator).float()
    x = torch.randint(-127, 128, (4, 32), generator=generator).float()
    weight[:, 0] = x[:, 0] = 127  # the largest of each row: the step is 1
    torch.testing.assert_close(pack(weight, int8=True)(x), x @ weight.T, rtol=1e-6, atol=0)


def test_int8_of_zeros_is_zero():
    y = pack(torch.randn(8, 16), int8=True)(torch.stack([torch.zeros(16), torch.ones(16)]))
    assert (y[0] == 0).all() and (y[1] != 0).all()
    assert (pack(torch.zeros(8, 16), int8=True)(torch.ones(2, 16)) == 0).all()


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 40),
    row=st.integers(0, 39),
    factor=st.floats(1e-3, 1e3),
    seed=st.integers(0, 2**31),
)
def test_an_int8_row_is_bit_identical_in_every_batch(rows, row, factor, seed):
    generator = torch.Generator().manual_seed(seed)
    product = pack(torch.randn(24, 40, generator=generator), int8=True)
    x = torch.randn(rows, 40, generator=generator)
    row %= rows
    neighbours = x * factor
    neighbours[row] = x[row]
    assert torch.equal(product(x[row : row + 1])[0], product(neighbours)[row])
