"""Noise, filters, guidance and draws against formulas and transformers' warpers."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from tonearm.errors import TonearmError
from tonearm.musicgen import noise
from tonearm.musicgen.sampling import Filter, RowSampler, Sampling, check_sampling, guided
from tonearm.steering import Schedule

SEEDS = torch.arange(4)
CPU = torch.device("cpu")


def uniform(seeds, step, codebooks, entries):
    return noise.uniform(seeds, torch.tensor([step]), codebooks, entries)[0]


def draw(logits, sampling, seeds, step):
    temperature = torch.tensor([float(s.temperature) for s in sampling])
    return RowSampler(sampling, seeds.tolist(), CPU).draw(logits, step, temperature)


def test_uniform_noise_is_uniform_and_exponential_noise_has_mean_and_variance_1():
    u = uniform(torch.arange(20), 3, 4, 2048).flatten().double()
    assert u.min() > 0 and u.max() < 1
    assert stats.kstest(u.numpy(), "uniform").pvalue > 0.01
    e = noise.ExponentialNoise(torch.arange(20), 4, 2048).at(3).flatten().double()
    assert float(e.mean()) == pytest.approx(1, abs=0.01) and float(e.var()) == pytest.approx(
        1, abs=0.03
    )


@pytest.mark.parametrize("bits", [0, -1])  # all zero and all one
def test_extreme_noise_is_inside_0_and_1(monkeypatch, bits):
    """Noise of 0 would select codes that top-k removed: 0 / 0 is NaN, which argmax returns."""
    monkeypatch.setattr(noise, "_scramble", lambda x: torch.full_like(x, bits))
    u = uniform(SEEDS, 0, 1, 2)
    assert (u > 0).all() and (u < 1).all()
    assert (noise.ExponentialNoise(SEEDS, 1, 2).at(0) > 0).all()
    codes = draw(
        torch.tensor([[[0.0, 5.0, -1.0]]]).expand(4, -1, -1), [Sampling(top_k=1)] * 4, SEEDS, 0
    )
    assert (codes == 1).all()


def test_noise_does_not_repeat_over_seeds_steps_books_or_entries():
    cells = torch.stack(
        [uniform(torch.tensor([0, 1, 2, 2**62]), step, 4, 16) for step in (0, 1, 2, 500)]
    )
    assert cells.unique().numel() == cells.numel()
    flat = uniform(torch.arange(8), 0, 8, 4096).flatten(0, 1)
    correlation = torch.corrcoef(flat) - torch.eye(64)
    assert correlation.abs().max() < 0.09  # 5.6 standard errors
    along = torch.stack([uniform(torch.tensor([9]), step, 1, 4096).flatten() for step in range(32)])
    assert (torch.corrcoef(along) - torch.eye(32)).abs().max() < 0.09


def test_the_noise_of_a_row_does_not_depend_on_other_rows_or_on_the_number_of_books():
    together = uniform(SEEDS, 7, 4, 64)
    for row, seed in enumerate(SEEDS):
        assert torch.equal(uniform(seed[None], 7, 4, 64)[0], together[row])
    assert torch.equal(uniform(SEEDS, 7, 2, 32), together[:, :2, :32])


def test_noise_generated_in_runs_equals_the_noise_of_each_step_in_any_order():
    runs = noise.ExponentialNoise(SEEDS, 2, 8)
    for step in (0, 5, runs.length - 1, runs.length, 3 * runs.length + 1, 2):
        assert torch.equal(runs.at(step), -torch.log(uniform(SEEDS, step, 2, 8)))
    assert noise.ExponentialNoise(SEEDS, 8, noise.MAX_RUN_CELLS).length == 1


def test_the_noise_is_a_fixed_function_of_its_seed():
    """With other noise, no recorded sidecar would replay. Expected values are from `by_hand`."""
    u = uniform(torch.tensor([0, 7, 2**63 - 1]), 5, 2, 3)
    expected = [
        [[by_hand(seed, 5, book, entry) for entry in range(3)] for book in range(2)]
        for seed in (0, 7, 2**63 - 1)
    ]
    assert u.tolist() == expected
    assert (u[0, 0] * 2**24).int().tolist() == GOLDEN


GOLDEN = [13277943, 9978395, 16511039]


def by_hand(seed: int, step: int, book: int, entry: int) -> float:
    """The counter and SplitMix64's finaliser in plain Python integers."""
    mask, golden = 2**64 - 1, 0x9E3779B97F4A7C15

    def scramble(x: int) -> int:
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
        return x ^ (x >> 31)

    row = scramble((seed * golden + step) & mask)
    cell = scramble(row ^ (((book + 1) * golden) & mask))
    bits = scramble((cell + (entry + 1) * golden) & mask)
    return ((bits >> 41) + 0.5) / 2**23


def test_draws_follow_the_softmax():
    logits = torch.tensor([[2.0, 1.0, 0.0, -1.0, 0.5, -30.0]])
    rows = 4000
    sampling = [Sampling(top_k=0, temperature=0.8)] * rows
    for step in (1, 2):
        codes = draw(logits[None].expand(rows, 2, -1), sampling, torch.arange(rows), step)
        expected = (logits[0] / 0.8).softmax(-1).double()[:5] * rows
        for book in range(2):
            counts = codes[:, book].bincount(minlength=6)
            assert counts[5] == 0
            assert (
                stats.chisquare(
                    counts[:5].numpy(), (expected / expected.sum() * rows).numpy()
                ).pvalue
                > 0.001
            )


def test_a_draw_is_the_same_for_a_row_alone():
    logits = torch.randn(4, 4, 32, generator=torch.Generator().manual_seed(0))
    sampling = [Sampling(), Sampling(top_k=3), Sampling(top_p=0.5), Sampling(temperature=0)]
    together = draw(logits, sampling, SEEDS, 9)
    for row in range(4):
        assert torch.equal(
            draw(logits[row : row + 1], [sampling[row]], SEEDS[row : row + 1], 9)[0], together[row]
        )


logit_rows = st.integers(0, 10_000).map(
    lambda seed: torch.randn(3, 2, 40, generator=torch.Generator().manual_seed(seed))
)
tied_rows = st.integers(0, 10_000).map(
    lambda seed: torch.randint(
        -2, 3, (3, 2, 40), generator=torch.Generator().manual_seed(seed)
    ).float()
)


@given(st.one_of(logit_rows, tied_rows), st.floats(0.1, 3), st.integers(1, 60), st.floats(0.01, 1))
@settings(max_examples=150)
def test_filters_equal_transformers_warpers(logits, temperature, top_k, top_p):
    settings = [Sampling(top_k=top_k, top_p=top_p)] * 3
    ours = Filter(settings, CPU)(logits, torch.full((3,), temperature))
    flat = logits.flatten(0, 1)
    for warper in (
        TemperatureLogitsWarper(temperature),
        TopKLogitsWarper(top_k),
        TopPLogitsWarper(top_p),
    ):
        flat = warper(None, flat)
    assert torch.allclose(ours.flatten(0, 1), flat, rtol=1e-6)  # and -inf in the same places
    assert torch.equal(ours.flatten(0, 1).isinf(), flat.isinf())


def test_each_row_is_filtered_by_its_own_settings():
    logits = torch.randn(4, 2, 40, generator=torch.Generator().manual_seed(1))
    sampling = [
        Sampling(top_k=0),
        Sampling(top_k=5),
        Sampling(top_k=0, top_p=0.3),
        Sampling(temperature=0.5, top_k=40),
    ]
    temperature = torch.tensor([s.temperature for s in sampling])
    mixed = Filter(sampling, CPU)(logits, temperature)
    for row in range(4):
        one = slice(row, row + 1)
        alone = Filter(sampling[one], CPU)(logits[one], temperature[one])
        assert torch.equal(mixed[row], alone[0])
    assert torch.equal(mixed[0], logits[0]) and torch.equal(mixed[3], logits[3] / 0.5)
    assert (mixed[1].isfinite().sum(-1) == 5).all()


def test_temperature_0_takes_the_most_likely_code():
    logits = torch.randn(4, 4, 32, generator=torch.Generator().manual_seed(2))
    assert torch.equal(draw(logits, [Sampling(temperature=0)] * 4, SEEDS, 1), logits.argmax(-1))


def test_guidance_is_the_formula_row_by_row_and_off_at_1():
    generator = torch.Generator().manual_seed(3)
    c, u = torch.randn(4, 2, 8, generator=generator), torch.randn(4, 2, 8, generator=generator)
    mixed = guided(c, u, torch.tensor([3.0, 1.0, 0.0, 7.5]))
    assert torch.allclose(mixed[0], u[0] + 3 * (c[0] - u[0])) and torch.allclose(
        mixed[3], u[3] + 7.5 * (c[3] - u[3])
    )
    assert torch.equal(mixed[1], c[1]) and torch.equal(mixed[2], c[2])


@pytest.mark.parametrize("factor", [-0.1, 40.0])
@pytest.mark.parametrize("name", ["guidance", "temperature"])
def test_a_schedule_stays_within_the_range_of_its_setting(name, factor):
    schedule = Schedule.ramp(0, 1, 1.0, factor)
    with pytest.raises(TonearmError, match=f"the schedule of {name} has factor"):
        check_sampling(Sampling(**{f"{name}_schedule": schedule}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"top_k": 2**31},
        {"top_k": -1},
        {"guidance": float("nan")},
        {"temperature": float("inf")},
        {"top_p": float("nan")},
    ],
)
def test_sampling_that_is_not_possible_is_refused_at_once(wrong):
    with pytest.raises(TonearmError, match="is not possible"):
        Sampling(**wrong)
