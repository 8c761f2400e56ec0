"""Batches whose rows are steered differently: each row is decoded as it is alone."""

import random

import pytest
import torch

from tests.checkpoints import VARIANTS
from tests.musicgen.decode_requests import PROMPTS
from tests.steering.vectors import vector_of
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.engine import DecoderEngine
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Schedule, Steer, Steering
from tonearm.steering.resolve import resolve

ROWS, FRAMES = 6, 4
STRENGTHS = (0.0, 0.4, 1.5, 3.0)


def random_steer(rng: random.Random, names: list[str], layers: int) -> Steer:
    operator = rng.choice(
        ["add", "add", "blend", "rotate", "slerp", "remove", "set", "clamp", "feature"]
    )
    strategy = rng.choice(["one-to-all", "one-to-all", "all-to-all", "one-to-one"])
    fields = dict(
        vector=rng.choice(names),
        strength=rng.choice(STRENGTHS),
        operator=operator,
        strategy=strategy,
    )
    if operator == "set":
        fields |= {"strength": rng.choice((0.0, 0.5, 1.0)), "level": rng.choice((-3.0, 0.0, 4.0))}
        fields["strategy"] = strategy = rng.choice(["all-to-all", "one-to-one"])
        if rng.random() < 0.5:
            fields["level_schedule"] = Schedule.ramp(0.0, 0.1)
    if operator == "feature":
        fields["strategy"] = strategy = rng.choice(["all-to-all", "one-to-one"])
        fields["strength"] = rng.choice((0.0, -1.0, 0.6, 2.0))
        if rng.random() < 0.5:
            fields |= {"strength": rng.choice((0.0, 0.5, 1.0)), "level": rng.choice((0.0, 1.5))}
    if operator == "slerp":
        fields["strength"] = rng.choice((0.0, 0.2, -0.6, 1.0))
    if operator == "clamp":
        fields["low"] = rng.choice([0.5, 2.0])
    if operator == "blend":
        fields["scale"] = rng.choice(["unit", "activation"])
    if strategy != "all-to-all":
        fields["source_layer"] = rng.randrange(layers)
    if strategy != "one-to-one" and rng.random() < 0.4:
        fields["layers"] = tuple(sorted(rng.sample(range(layers), rng.randint(1, layers))))
    if rng.random() < 0.3:
        fields["schedule"] = Schedule.ramp(0.0, 0.1)
    fields["branch"] = rng.choice(["both", "both", "conditional", "unconditional"])
    fields["positions"] = rng.choice(["generated", "audio", "all"])
    fields["gate"] = rng.choice([1.0, 1.0, 0.3, 0.7])
    return Steer(**fields)


def check_batch(model, seed: int) -> None:
    rng, c = random.Random(seed), model.checkpoint
    vectors = {
        f"{site}-{i}": vector_of(model, site=site, name=f"{site}-{i}", seed=i, size=4.0)
        for site in c.shape.sites
        for i in range(2)
    }
    names = list(vectors)
    steerings = [
        Steering(
            steers=tuple(
                random_steer(rng, names, c.shape.layer_count) for _ in range(rng.randint(1, 3))
            )
        )
        for _ in range(ROWS)
    ]
    engine, seeds = DecoderEngine(c), list(range(ROWS))

    def decode(rows: list[int]) -> torch.Tensor:
        plan = resolve([steerings[row] for row in rows], vectors, c.shape, FRAMES, c.device)
        conditioning = condition(c, [PROMPTS[0]] * len(rows), guided=True)
        sampling = [Sampling(top_k=20)] * len(rows)
        return engine.decode(
            DecodeRequest(conditioning, FRAMES, sampling, [seeds[row] for row in rows], plan)
        )

    together = decode(list(range(ROWS)))
    for row in range(ROWS):
        assert torch.equal(together[row], decode([row])[0]), (
            f"seed {seed}, row {row}: {steerings[row]!r}"
        )


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_rows_of_a_random_mixed_batch_equal_each_row_alone(loaded_model, variant):
    for seed in range(8):
        check_batch(loaded_model(variant), seed)


@pytest.mark.slow
@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_rows_of_many_random_mixed_batches_equal_each_row_alone(loaded_model, variant):
    for seed in range(8, 52):
        check_batch(loaded_model(variant), seed)


def test_each_setting_of_a_shared_vector_acts(model_of):
    """A cache keyed by the direction's identity would give the first setting to all rows."""
    model = model_of("melody")
    c, vectors = model.checkpoint, {"v": vector_of(model, size=6.0)}
    base = dict(vector="v", strength=2.0, source_layer=1)
    steerings = [
        Steering(),
        *(
            Steering(steers=(Steer(**base, **change),))
            for change in (
                {},
                {"branch": "conditional"},
                {"layers": (1, 2)},
                {"operator": "rotate"},
            )
        ),
    ]
    count = len(steerings)
    conditioning = condition(c, [PROMPTS[0]] * count, guided=True)
    plan = resolve(steerings, vectors, c.shape, 8, c.device)
    codes = DecoderEngine(c).decode(
        DecodeRequest(conditioning, 8, [Sampling(top_k=20)] * count, [5] * count, plan)
    )
    different = {tuple(row.flatten().tolist()) for row in codes}
    assert len(different) == count


def test_features_with_and_without_a_level_share_a_batch(melody):
    """Both act at the same layers by the same operator, and only one of them has a target."""
    c, vectors = melody.checkpoint, {"v": vector_of(melody, size=6.0)}
    base = dict(vector="v", operator="feature", strategy="all-to-all")
    steerings = [
        Steering(steers=(Steer(**base, **change),))
        for change in ({"strength": 2.0}, {"level": 3.0, "strength": 1.0})
    ]

    def decode(rows: list[int]) -> torch.Tensor:
        plan = resolve([steerings[row] for row in rows], vectors, c.shape, 8, c.device)
        conditioning = condition(c, [PROMPTS[0]] * len(rows), guided=True)
        sampling = [Sampling(top_k=20)] * len(rows)
        return DecoderEngine(c).decode(DecodeRequest(conditioning, 8, sampling, rows, plan))

    together = decode([0, 1])
    for row in range(2):
        assert torch.equal(together[row], decode([row])[0])
