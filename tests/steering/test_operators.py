"""The operators' algebra."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tonearm.steering.operators import apply, unit

OPERATORS = ("add", "blend", "rotate", "remove", "clamp")
strengths = st.floats(-3, 3).filter(lambda s: abs(s) > 1e-3)
seeds = st.integers(0, 10_000)


def drawn(seed: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Activations [2, 3, 16] and a direction [16], of unlike lengths."""
    generator = torch.Generator().manual_seed(seed)
    h = 5 * torch.randn(2, 3, 16, generator=generator)
    v = 0.3 * torch.randn(16, generator=generator)
    return h.to(dtype), v


def whole(s: float) -> torch.Tensor:
    return torch.tensor(s)


@given(seeds, strengths)
def test_add_is_the_formula_and_linear_in_strength(seed, s):
    h, v = drawn(seed)
    assert torch.equal(apply("add", h, v, whole(s)), h + whole(s) * v)
    twice = apply("add", apply("add", h, v, whole(s)), v, whole(s))
    assert torch.allclose(twice, apply("add", h, v, whole(2 * s)), atol=1e-5)
    assert torch.allclose(apply("add", apply("add", h, v, whole(s)), v, whole(-s)), h, atol=1e-5)


@given(seeds, st.floats(0.01, 3))
def test_blend_is_the_papers_formula_literally(seed, s):
    h, v = drawn(seed)
    r = v / v.norm()
    assert torch.allclose(apply("blend", h, v, whole(s)), (h + s * r) / (1 + s), atol=1e-6)
    by_activation = apply("blend", h, v, whole(s), scale="activation")
    assert torch.allclose(by_activation, (h + s * r * h.norm(dim=-1, keepdim=True)) / (1 + s), atol=1e-5)
    assert (by_activation.norm(dim=-1) <= h.norm(dim=-1) * (1 + 1e-5)).all()  # bounded, not kept


@given(seeds, strengths)
def test_rotate_keeps_the_norm_and_turns_towards_the_direction(seed, s):
    h, v = drawn(seed)
    turned = apply("rotate", h, v, whole(s))
    assert torch.allclose(turned.norm(dim=-1), h.norm(dim=-1), rtol=1e-6, atol=0)
    gain = (turned - h) @ unit(v)
    assert (gain.sign() == torch.tensor(s).sign()).all()
    # It moves within the plane of h and v: what lies outside that plane is only rescaled.
    aside, aside_before = turned - (turned @ unit(v))[..., None] * unit(v), h - (h @ unit(v))[..., None] * unit(v)
    assert torch.cosine_similarity(aside, aside_before, dim=-1).min() > 1 - 1e-4


@given(seeds)
def test_remove_leaves_nothing_along_the_direction_and_is_idempotent(seed):
    h, v = drawn(seed)
    removed = apply("remove", h, v, whole(1.0))
    assert (removed @ unit(v)).abs().max() < 1e-5
    assert torch.allclose(apply("remove", removed, v, whole(1.0)), removed, atol=1e-5)
    assert torch.allclose(apply("remove", h, 1000 * v, whole(1.0)), removed, atol=1e-5)  # length does not matter
    half = apply("remove", h, v, whole(0.5))
    assert torch.allclose(half, (h + removed) / 2, atol=1e-5)


@given(seeds, st.floats(-4, 4), st.floats(0, 4))
def test_clamp_puts_the_projection_inside_and_leaves_the_rest(seed, low, room):
    h, v = drawn(seed)
    r, high = unit(v), low + room
    clamped = apply("clamp", h, v, whole(1.0), low=low, high=high)
    before, after = h @ r, clamped @ r
    assert torch.allclose(after, before.clamp(low, high), atol=1e-5)
    assert torch.allclose(clamped - after[..., None] * r, h - before[..., None] * r, atol=1e-5)
    inside = (before > low) & (before < high)
    assert torch.allclose(clamped[inside], h[inside], atol=1e-6)


def test_clamp_may_be_open_on_one_side():
    h, v = drawn(0)
    r = unit(v)
    assert torch.allclose(apply("clamp", h, v, whole(1.0), low=2.0) @ r, (h @ r).clamp(min=2.0), atol=1e-5)
    assert torch.allclose(apply("clamp", h, v, whole(1.0), high=-1.0) @ r, (h @ r).clamp(max=-1.0), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("operator", OPERATORS)
def test_strength_0_gives_back_the_same_bits(operator, dtype):
    h, v = drawn(1, dtype)
    h[0, 0, 0], h[0, 0, 1] = -0.0, 0.0
    kept = apply(operator, h, v, torch.zeros(2, 3, 1), low=100.0)
    assert torch.equal(kept, h) and torch.equal(torch.signbit(kept), torch.signbit(h))
    mixed = apply(operator, h, v, torch.tensor([0.0, 0.5])[:, None, None], low=100.0)
    assert torch.equal(mixed[0], h[0]) and torch.equal(torch.signbit(mixed[0]), torch.signbit(h[0]))
    assert not torch.equal(mixed[1], h[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("operator", OPERATORS)
def test_half_precision_keeps_its_dtype_and_comes_near_the_wide_result(operator, dtype):
    h, v = drawn(2, dtype)
    narrow = apply(operator, h, v, whole(0.75), low=3.0)
    wide = apply(operator, h.float(), v, whole(0.75), low=3.0)
    assert narrow.dtype == dtype
    assert torch.allclose(narrow.float(), wide, rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("operator", ["add", "rotate", "remove"])
def test_a_zero_direction_moves_nothing(operator):
    h, v = drawn(3)
    assert torch.allclose(apply(operator, h, torch.zeros_like(v), whole(2.0)), h, rtol=1e-6)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_zero_activation_gives_no_nan(operator):
    _, v = drawn(4)
    for scale in ("unit", "activation"):
        assert torch.isfinite(apply(operator, torch.zeros(2, 3, 16), v, whole(0.5), scale=scale, low=1.0)).all()


@pytest.mark.parametrize("operator", OPERATORS)
def test_rows_have_their_own_direction_and_strength(operator):
    h, v = drawn(5)
    directions, s = torch.stack([v, v.flip(0)])[:, None], torch.tensor([[[0.5]], [[1.5]]])
    together = apply(operator, h, directions, s, low=1.0, high=2.0)
    for row in range(2):
        alone = apply(operator, h[row], directions[row], s[row], low=1.0, high=2.0)
        assert torch.allclose(together[row], alone, atol=1e-6)
