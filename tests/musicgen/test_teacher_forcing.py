"""Divergence of steered from plain predictions, teacher-forced."""

from dataclasses import replace

import pytest
import torch

from tests.steering.vectors import vector_of
from tonearm import Schedule, Steer, Steering, TakeRequest, TonearmError
from tonearm.generation import divergence
from tonearm.generation.encode import encode_batch
from tonearm.musicgen.delay import delay
from tonearm.musicgen.memory_estimate import BatchShape, decoding_bytes
from tonearm.musicgen.teacher_forcing import forced_log_probabilities

PROMPTS = ["calm", "a fast folk tune"]
SECONDS = 0.6


def requests_of(strength=None, vector=None):
    steers = () if strength is None else (Steer(vector="push", strength=strength, source_layer=1),)
    return [
        TakeRequest(text, seed=i, seconds=SECONDS, steering=Steering(steers=steers))
        for i, text in enumerate(PROMPTS)
    ]


RAMP = Schedule.ramp(0.0, 0.4)


@pytest.mark.parametrize(
    "steer",
    [
        None,
        {"strength": 2.0, "schedule": RAMP},
        {"operator": "clamp", "low": 3.0},
        {"strength": 2.0, "gate": 0.5},
        {"operator": "slerp", "strength": 0.5, "gate": 0.5},
        {"operator": "set", "level": 5.0, "level_schedule": RAMP, "strategy": "one-to-one"},
    ],
    ids=["plain", "ramp", "clamp", "gate", "slerp, gate", "set"],
)
@pytest.mark.parametrize("variant", ["small", "melody", "stereo-melody"])
def test_greedy_codes_are_the_most_likely_of_the_forced_distributions(variant, steer, model_of):
    """In one pass over all positions, as step by step."""
    model = model_of(variant)
    greedy = model.sampling(temperature=0, guidance=2.0)
    vectors = {"push": vector_of(model, "push")}
    steers = () if steer is None else (Steer(vector="push", source_layer=1, **steer),)
    steering = Steering(steers=steers)
    one = TakeRequest(PROMPTS[1], 0, steering, greedy, seconds=SECONDS)
    (take,) = model.generate_batch([one], vectors=vectors)
    prepared, found = model._prepare([one], vectors)
    codes = torch.from_numpy(take.codes)[None]
    tokens = delay(codes, model.checkpoint.bos, model.shape.channels)
    decoded = encode_batch(model.checkpoint, prepared, found)
    for position, found in enumerate(
        forced_log_probabilities(model.engine.decoder, decoded, codes), start=1
    ):
        assert torch.allclose(found.exp().sum(-1), torch.ones(found.shape[:2]), atol=1e-5)
        known = tokens[0, :, position]
        drawn = known != model.checkpoint.bos
        assert (found.argmax(-1)[0][drawn] == known[drawn]).all()


def test_divergence_is_of_the_steering_with_its_gates_and_levels(melody):
    melody.vectors["push"] = vector_of(melody, "push")
    takes = list(melody.generate_batch(requests_of()))
    gated = [{"strength": 0.4, "gate": gate} for gate in (0.2, 0.5, 1.0)]
    levels = [{"operator": "set", "level": level, "strategy": "one-to-one"} for level in (1.0, 3.0)]
    found = []
    for fields in (*gated, *levels):
        steering = Steering(steers=(Steer(vector="push", source_layer=1, **fields),))
        steered = [replace(one, steering=steering) for one in requests_of()]
        found.append(melody.divergence(steered, takes))
        assert melody.divergence(steered, takes) == found[-1]
        reseeded = [replace(one, seed=one.seed + 9) for one in steered]
        assert (melody.divergence(reseeded, takes) == found[-1]) == (fields.get("gate", 1) == 1)
    assert len({tuple(values) for values in found}) == len(found)


def test_divergence_is_0_without_steering_and_grows_with_the_strength(melody):
    melody.vectors["push"] = vector_of(melody, "push")
    takes = list(melody.generate_batch(requests_of()))
    divergences = [melody.divergence(requests_of(s), takes) for s in (0, 0.1, 0.4, -0.4)]
    codes = [take.codes for take in takes]
    assert melody.divergence(requests_of(0.4), codes) == divergences[2]
    assert divergences[0] == [0, 0]
    for small, large, opposite in zip(*divergences[1:], strict=True):
        assert 0 < small < large and opposite > 0


def of_one_text(strength=None):
    """Requests of one batch key."""
    return [replace(one, prompt=PROMPTS[0]) for one in requests_of(strength)]


def test_passes_are_as_large_as_the_memory(melody, monkeypatch):
    melody.vectors["push"] = vector_of(melody, "push")
    takes = list(melody.generate_batch(of_one_text()))
    sizes, batch = [], divergence.encode_batch

    def counted(checkpoint, rows, vectors):
        sizes.append(len(rows))
        return batch(checkpoint, rows, vectors)

    monkeypatch.setattr(divergence, "encode_batch", counted)
    together = melody.divergence(of_one_text(0.4), takes)
    assert sizes == [len(takes)] * 2
    sizes.clear()
    frames = takes[0].codes.shape[1]
    shape = BatchShape(1, True, frames, melody.shape.window_frames, known_frames=frames)
    room = 1.5 * decoding_bytes(melody.checkpoint, shape)
    monkeypatch.setattr(divergence, "memory_budget", lambda *_, **__: 2 * room)
    apart = melody.divergence(of_one_text(0.4), takes)
    assert sizes == [1, 1] * len(takes) and apart == pytest.approx(together, rel=1e-4)
    monkeypatch.setattr(divergence, "memory_budget", lambda *_, **__: 1.0)
    with pytest.raises(TonearmError, match="GiB beside the weights"):
        melody.divergence(of_one_text(0.4), takes)


def test_takes_of_another_length_and_another_engine_are_refused(melody):
    melody.vectors["push"] = vector_of(melody, "push")
    takes = list(melody.generate_batch(requests_of()))
    for wrong, message in (
        (takes[0].codes[:2], "not 4 rows of 0 to"),
        (takes[0].codes + 10**6, "not 4 rows of 0 to"),
        (takes[0].codes * 0.5, "give a Take, or its codes"),
    ):
        with pytest.raises(TonearmError, match=message):
            melody.divergence(requests_of(0.1), [wrong, wrong])
    with pytest.raises(TonearmError, match="differ in length"):
        melody.divergence(requests_of(0.1), takes[:1])
    with pytest.raises(TonearmError, match="engine reference has no divergence"):
        melody.with_engine("reference").divergence(requests_of(0.1), takes)
