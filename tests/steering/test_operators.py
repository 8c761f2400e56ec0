"""Algebra of the operators."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tonearm.steering.operators import apply, unit

OPERATORS = ("add", "blend", "rotate", "slerp", "remove", "set", "clamp")
strengths = st.floats(-3, 3).filter(lambda s: abs(s) > 1e-3)
seeds = st.integers(0, 10_000)


def random_pair(seed: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """Activations [2, 3, 16] and a direction [16] of different lengths."""
    generator = torch.Generator().manual_seed(seed)
    h = 5 * torch.randn(2, 3, 16, generator=generator)
    v = 0.3 * torch.randn(16, generator=generator)
    return h.to(dtype), v


def scalar(s: float) -> torch.Tensor:
    return torch.tensor(s)


@given(seeds, strengths)
def test_add_is_the_formula_and_linear_in_strength(seed, s):
    h, v = random_pair(seed)
    assert torch.equal(apply("add", h, v, scalar(s)), h + scalar(s) * v)
    twice = apply("add", apply("add", h, v, scalar(s)), v, scalar(s))
    assert torch.allclose(twice, apply("add", h, v, scalar(2 * s)), atol=1e-5)
    assert torch.allclose(apply("add", apply("add", h, v, scalar(s)), v, scalar(-s)), h, atol=1e-5)


@given(seeds, st.floats(0.01, 3))
def test_blend_is_the_formula_of_the_paper(seed, s):
    h, v = random_pair(seed)
    r = v / v.norm()
    assert torch.allclose(apply("blend", h, v, scalar(s)), (h + s * r) / (1 + s), atol=1e-6)
    by_activation = apply("blend", h, v, scalar(s), scale="activation")
    assert torch.allclose(
        by_activation, (h + s * r * h.norm(dim=-1, keepdim=True)) / (1 + s), atol=1e-5
    )
    assert (by_activation.norm(dim=-1) <= h.norm(dim=-1) * (1 + 1e-5)).all()  # bounded, not kept


@given(seeds, st.floats(0.01, 30))
@pytest.mark.parametrize("scale", ["unit", "activation"])
def test_a_negative_blend_is_that_of_the_negated_direction(scale, seed, s):
    """Its two signs are mirror images, also at s = -1 and beyond."""
    h, v = random_pair(seed)
    negated = apply("blend", h, -v, scalar(s), scale=scale)
    assert torch.equal(apply("blend", h, v, scalar(-s), scale=scale), negated)
    at_one = apply("blend", h, v, scalar(-1.0))
    assert torch.allclose(at_one, (h - unit(v)) / 2, atol=1e-6)


@given(seeds, strengths)
def test_rotate_keeps_the_norm_and_rotates_towards_the_direction(seed, s):
    h, v = random_pair(seed)
    rotated = apply("rotate", h, v, scalar(s))
    assert torch.allclose(rotated.norm(dim=-1), h.norm(dim=-1), rtol=1e-6, atol=0)
    gain = (rotated - h) @ unit(v)
    assert (gain.sign() == torch.tensor(s).sign()).all()
    # The rotation is in the plane of h and v: the component orthogonal to v keeps its direction.
    orthogonal, orthogonal_before = (x - (x @ unit(v))[..., None] * unit(v) for x in (rotated, h))
    assert torch.cosine_similarity(orthogonal, orthogonal_before, dim=-1).min() > 1 - 1e-4


def angles(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Angles between the vectors of a and b, in radians, float64."""
    a, b = (x.double() / x.double().norm(dim=-1, keepdim=True) for x in (a, b))
    return 2 * torch.atan2((a - b).norm(dim=-1), (a + b).norm(dim=-1))


@given(seeds, st.floats(-1, 1).filter(lambda s: abs(s) > 1e-3))
def test_slerp_turns_by_a_share_of_the_angle_in_the_plane_and_keeps_the_norm(seed, s):
    h, v = random_pair(seed)
    end = unit(v) if s > 0 else -unit(v)
    turned = apply("slerp", h, v, scalar(s))
    assert torch.allclose(turned.norm(dim=-1), h.norm(dim=-1), rtol=1e-6, atol=0)
    angle = angles(h, end.expand_as(h))
    assert torch.allclose(angles(h, turned), abs(s) * angle, atol=1e-5)
    assert torch.allclose(angles(turned, end.expand_as(h)), (1 - abs(s)) * angle, atol=1e-5)


@given(seeds, st.sampled_from([-1.0, 1.0]))
def test_equal_steps_of_slerp_are_equal_angles_and_end_on_the_direction(seed, sign):
    h, v = random_pair(seed)
    path = [h, *(apply("slerp", h, v, scalar(sign * step / 5)) for step in range(1, 6))]
    steps = torch.stack([angles(a, b) for a, b in pairwise(path)])
    assert torch.allclose(steps, steps.mean(0, keepdim=True).expand_as(steps), atol=1e-5)
    assert torch.allclose(path[-1], sign * unit(v) * h.norm(dim=-1, keepdim=True), atol=1e-5)


@given(seeds, st.floats(-1, 1))
def test_slerp_of_the_negated_direction_at_the_negated_strength_is_identical(seed, s):
    h, v = random_pair(seed)
    assert torch.equal(apply("slerp", h, -v, scalar(-s)), apply("slerp", h, v, scalar(s)))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("sine", [0.0, 1e-6, 5e-5])
def test_slerp_keeps_an_activation_that_is_parallel_to_the_direction(sign, sine):
    _, v = random_pair(6)
    across = torch.randn(16, generator=torch.Generator().manual_seed(0))
    across -= (across @ unit(v)) * unit(v)
    h = 4 * (sign * unit(v) + sine * unit(across))
    for s in (-1.0, -0.4, 0.4, 1.0):
        assert torch.equal(apply("slerp", h, v, scalar(s)), h)
    near = h + 4 * 0.01 * unit(across)
    assert not torch.equal(apply("slerp", near, v, scalar(0.4)), near)


@given(seeds)
def test_remove_zeroes_the_projection_and_is_idempotent(seed):
    h, v = random_pair(seed)
    removed = apply("remove", h, v, scalar(1.0))
    assert (removed @ unit(v)).abs().max() < 1e-5
    assert torch.allclose(apply("remove", removed, v, scalar(1.0)), removed, atol=1e-5)
    assert torch.allclose(
        apply("remove", h, 1000 * v, scalar(1.0)), removed, atol=1e-5
    )  # length does not matter
    half = apply("remove", h, v, scalar(0.5))
    assert torch.allclose(half, (h + removed) / 2, atol=1e-5)


@given(seeds, st.floats(-50, 50), st.floats(0.01, 1))
def test_set_moves_the_projection_its_share_of_the_way_and_nothing_else(seed, target, s):
    h, v = random_pair(seed)
    r = unit(v)
    whole = apply("set", h, v, scalar(1.0), target=target)
    assert torch.allclose(whole @ r, torch.full((2, 3), target), rtol=1e-6, atol=1e-5)
    assert torch.allclose(whole - (whole @ r)[..., None] * r, h - (h @ r)[..., None] * r, atol=2e-5)
    part = apply("set", h, v, scalar(s), target=target)
    assert torch.allclose(part @ r, h @ r + s * (target - h @ r), rtol=1e-5, atol=1e-5)


@given(seeds, st.floats(-50, 50), st.floats(0.01, 1))
def test_set_of_the_negated_direction_to_the_negated_target_is_identical(seed, target, s):
    h, v = random_pair(seed)
    expected = apply("set", h, v, scalar(s), target=target)
    assert torch.equal(apply("set", h, -v, scalar(s), target=-target), expected)


def test_each_row_of_set_has_its_own_target():
    h, v = random_pair(7)
    targets = torch.tensor([-3.0, 8.0])[:, None, None]
    found = apply("set", h, v, torch.ones(2, 1, 1), target=targets) @ unit(v)
    assert torch.allclose(found, targets[..., 0].expand_as(found), atol=1e-5)


@given(seeds, st.floats(-4, 4), st.floats(0, 4))
def test_clamp_moves_the_projection_into_its_bounds_and_nothing_else(seed, low, width):
    h, v = random_pair(seed)
    r, high = unit(v), low + width
    clamped = apply("clamp", h, v, scalar(1.0), low=low, high=high)
    before, after = h @ r, clamped @ r
    assert torch.allclose(after, before.clamp(low, high), atol=1e-5)
    assert torch.allclose(clamped - after[..., None] * r, h - before[..., None] * r, atol=1e-5)
    inside = (before > low) & (before < high)
    assert torch.allclose(clamped[inside], h[inside], atol=1e-6)


def test_clamp_may_have_one_bound():
    h, v = random_pair(0)
    r = unit(v)
    assert torch.allclose(
        apply("clamp", h, v, scalar(1.0), low=2.0) @ r, (h @ r).clamp(min=2.0), atol=1e-5
    )
    assert torch.allclose(
        apply("clamp", h, v, scalar(1.0), high=-1.0) @ r, (h @ r).clamp(max=-1.0), atol=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("operator", OPERATORS)
def test_strength_0_returns_the_same_bits(operator, dtype):
    h, v = random_pair(1, dtype)
    h[0, 0, 0], h[0, 0, 1] = -0.0, 0.0
    kept = apply(operator, h, v, torch.zeros(2, 3, 1), low=100.0)
    assert torch.equal(kept, h) and torch.equal(torch.signbit(kept), torch.signbit(h))
    mixed = apply(operator, h, v, torch.tensor([0.0, 0.5])[:, None, None], low=100.0)
    assert torch.equal(mixed[0], h[0]) and torch.equal(torch.signbit(mixed[0]), torch.signbit(h[0]))
    assert not torch.equal(mixed[1], h[1])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("operator", OPERATORS)
def test_half_precision_keeps_its_dtype_and_is_near_float32(operator, dtype):
    h, v = random_pair(2, dtype)
    narrow = apply(operator, h, v, scalar(0.75), low=3.0)
    wide = apply(operator, h.float(), v, scalar(0.75), low=3.0)
    assert narrow.dtype == dtype
    assert torch.allclose(
        narrow.float(), wide, rtol=4 * torch.finfo(dtype).eps, atol=4 * torch.finfo(dtype).eps
    )


@pytest.mark.parametrize("operator", ["add", "rotate", "slerp", "remove"])
def test_a_zero_direction_changes_nothing(operator):
    h, v = random_pair(3)
    assert torch.allclose(apply(operator, h, torch.zeros_like(v), scalar(0.7)), h, rtol=1e-6)


@pytest.mark.parametrize("operator", OPERATORS)
def test_a_zero_activation_stays_finite(operator):
    _, v = random_pair(4)
    for scale in ("unit", "activation"):
        assert torch.isfinite(
            apply(operator, torch.zeros(2, 3, 16), v, scalar(0.5), scale=scale, low=1.0)
        ).all()


@pytest.mark.parametrize("operator", OPERATORS)
def test_each_row_has_its_own_direction_and_strength(operator):
    h, v = random_pair(5)
    directions, s = torch.stack([v, v.flip(0)])[:, None], torch.tensor([[[0.5]], [[0.9]]])
    together = apply(operator, h, directions, s, low=1.0, high=2.0)
    for row in range(2):
        alone = apply(operator, h[row], directions[row], s[row], low=1.0, high=2.0)
        assert torch.allclose(together[row], alone, atol=1e-6)


def reading(h: torch.Tensor, seed: int = 0) -> torch.Tensor:
    """Values of a feature, 0 for some of the activations."""
    generator = torch.Generator().manual_seed(seed)
    return torch.relu(torch.randn(*h.shape[:-1], 1, generator=generator))


@given(seeds, st.floats(-1, 3).filter(lambda s: abs(s) > 1e-3))
def test_feature_scales_the_part_of_the_activation_that_the_feature_writes(seed, s):
    h, v = random_pair(seed)
    z = reading(h, seed)
    moved = apply("feature", h, v, scalar(s), reading=z)
    assert torch.allclose(moved, h + s * z * unit(v), atol=1e-5)
    assert torch.equal(moved[z[..., 0] == 0], h[z[..., 0] == 0])
    rest = moved - (1 + s) * z * unit(v)  # without the scaled feature
    assert torch.allclose(rest, h - z * unit(v), atol=1e-5)


@given(seeds, st.floats(0.01, 1))
def test_feature_with_a_target_sets_the_value(seed, s):
    h, v = random_pair(seed)
    z = reading(h, seed)
    moved = apply("feature", h, v, scalar(s), reading=z, target=torch.tensor(0.7))
    assert torch.allclose(moved, h + s * (0.7 - z) * unit(v), atol=1e-5)
    whole = apply("feature", h, v, scalar(1.0), reading=z, target=torch.tensor(0.7))
    assert torch.allclose(whole - h + z * unit(v), (0.7 * unit(v)).expand_as(h), atol=1e-5)


@given(seeds)
def test_feature_at_strength_0_gives_back_the_activation(seed):
    h, v = random_pair(seed)
    for target in (None, torch.tensor(2.0)):
        assert torch.equal(
            apply("feature", h, v, scalar(0.0), reading=reading(h), target=target), h
        )
