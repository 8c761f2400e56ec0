"""Random gates: their share, their independence, and that they change nothing but strengths."""

from dataclasses import replace

import pytest
import torch

from tests.musicgen.decode_requests import request_for, with_window
from tests.steering.vectors import vector_of
from tonearm import Steer, Steering, TakeRequest
from tonearm.backend import Span
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.engine import DecoderEngine, ReferenceEngine
from tonearm.musicgen.noise import uniform, uniform_gates
from tonearm.musicgen.steering_buffers import SteeringBuffers
from tonearm.musicgen.steering_gates import RUN_FRAMES

FRAMES = torch.arange(4000)[None]
LAYERS = torch.arange(48)
GATED = Steer(vector="v", strength=1.5, source_layer=1, gate=0.4)


def noise(seed=7, position=0, frames=FRAMES, layers=LAYERS):
    """[L, S]"""
    return uniform_gates(torch.tensor([seed]), frames, layers, position)[:, 0]


@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
def test_the_share_of_open_gates_is_the_probability(p):
    opened = (noise() < p).double()
    for share, count in (
        (opened.mean(), opened.numel()),
        (opened.mean(0).max(), len(LAYERS)),  # of a frame
        (opened.mean(1).max(), FRAMES.numel()),  # of a layer
    ):
        assert abs(float(share) - p) < 5.5 * (p * (1 - p) / count) ** 0.5


def test_gates_of_steers_layers_frames_and_seeds_are_independent():
    first = noise()
    others = {
        "steer": noise(position=1),
        "seed": noise(seed=8),
        "layer": first.roll(1, 0),
        "frame": first.roll(1, 1),
        "frame and seed": noise(seed=8).roll(1, 1),
    }
    for name, other in others.items():
        correlation = torch.corrcoef(torch.stack([first.flatten(), other.flatten()]))[0, 1]
        assert abs(correlation) < 5 / first.numel() ** 0.5, name
    sampled = uniform(torch.tensor([7]), FRAMES[0], 4, 48)[:, 0]  # [S, K, V]
    for book in sampled.unbind(1):
        correlation = torch.corrcoef(torch.stack([first.flatten(), book.T.flatten()]))[0, 1]
        assert abs(correlation) < 5 / first.numel() ** 0.5


def test_noise_is_a_function_of_its_counters():
    part = noise(frames=FRAMES[:, 50:60], layers=LAYERS[[3, 40]])
    assert torch.equal(part, noise()[[3, 40], 50:60])
    assert noise().min() > 0 and noise().max() < 1


def buffers_of(model, steers, seeds=(5, 6)):
    request = request_for(
        model, Steering(steers=steers), {"v": vector_of(model)}, seeds=seeds, live=True
    )
    return SteeringBuffers(request.plan, request.conditioning, 0, torch.float32, seeds)


@pytest.mark.parametrize("start", [0, RUN_FRAMES - 3, 10**12])
def test_values_of_steps_are_those_of_the_noise_at_any_frame(small, start):
    steer = GATED.model_copy(update={"layers": (0, 2)})
    buffers = buffers_of(small, (Steer(vector="v"), steer))
    gate = buffers.tracks[1].gate
    assert buffers.tracks[0].gate is None
    for frame in range(start, start + 6):
        buffers.seek(frame)
        for index, layer in enumerate((0, 2)):
            own = uniform_gates(
                torch.tensor([5, 6]), torch.full((2, 1), frame), torch.tensor([layer]), 1
            )
            values = gate.at(index, Span(0, frame, 1)).flatten()
            assert values.tolist() == (own[0] < 0.4).float().repeat(2, 1).flatten().tolist()
            spanned = gate.at(index, Span(2, frame, 5))  # a prefix of 2, and 3 frames
            assert torch.equal(spanned[:, 0], spanned[:, 2]) and torch.equal(
                spanned[:, 2, 0], values
            )


def test_values_are_held_after_the_last_frame_of_a_row(small):
    buffers = buffers_of(small, (GATED,))
    buffers.hold_after([4, 100])
    gate, held = buffers.tracks[0].gate, []
    for frame in range(40):
        buffers.seek(frame)
        held.append(gate.at(0, Span(0, frame, 1))[:2, 0, 0].clone())
    values = torch.stack(held)
    assert (values[3:, 0] == values[3, 0]).all() and values[3:, 1].unique().numel() == 2


def codes_of(model, steers, engine=DecoderEngine, **changes):
    request = request_for(model, Steering(steers=steers), {"v": vector_of(model)}, **changes)
    return engine(model.checkpoint).decode(request)


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_a_gate_acts_and_one_that_is_always_open_is_none(model_of, variant):
    model = model_of(variant)
    plain, open_, gated = (
        codes_of(model, steers)
        for steers in ((), (GATED.model_copy(update={"gate": 1.0}),), (GATED,))
    )
    assert not torch.equal(gated, plain) and not torch.equal(gated, open_)
    nearly = codes_of(model, (GATED.model_copy(update={"gate": 1 - 1e-12}),))
    assert torch.equal(nearly, open_)
    never = codes_of(model, (GATED.model_copy(update={"gate": 1e-12}),))
    assert torch.equal(never, plain)
    other = codes_of(model, (GATED,), seeds=(5, 7))
    assert torch.equal(other[0], gated[0]) and not torch.equal(other[1], gated[1])


@pytest.mark.parametrize("operator", ["add", "blend", "rotate", "slerp", "remove"])
@pytest.mark.parametrize("variant", ["small", "melody"])
def test_every_operator_is_gated_as_by_the_reference(model_of, variant, operator):
    model = model_of(variant)
    steers = (
        Steer(vector="v", strength=0.9, operator=operator, source_layer=1, gate=0.5),
        GATED.model_copy(update={"branch": "conditional", "positions": "all"}),
    )
    found = codes_of(model, steers)
    assert torch.equal(found, codes_of(model, steers, ReferenceEngine))
    open_ = tuple(steer.model_copy(update={"gate": 1.0}) for steer in steers)
    assert not torch.equal(found, codes_of(model, open_))


@pytest.mark.parametrize("operator", ["add", "blend", "rotate", "slerp", "remove"])
def test_strength_0_with_a_gate_is_bit_identical_to_no_steering(melody, operator):
    still = Steer(vector="v", strength=0.0, operator=operator, source_layer=1, gate=0.5)
    seen = []
    for steers in ((), (still,)):
        request = request_for(melody, Steering(steers=steers), {"v": vector_of(melody)}, live=True)
        states = []
        taps = {("residual", 2): [lambda h, span, states=states: states.append(h.clone())]}
        DecoderEngine(melody.checkpoint).decode(request, read=taps)
        seen.append(torch.cat(states, dim=1))
    assert torch.equal(*seen)


def requests(seconds=0.6):
    gated = Steering(steers=(GATED, GATED.model_copy(update={"operator": "rotate"})))
    return [
        TakeRequest("calm", 1, seconds=seconds),
        TakeRequest("calm", 1, gated, seconds=seconds),
        TakeRequest("calm", 2, gated, seconds=2 * seconds),
        TakeRequest("calm", 1, replace_gate(gated, 0.8), seconds=seconds),
    ]


def replace_gate(steering, gate):
    steers = tuple(steer.model_copy(update={"gate": gate}) for steer in steering.steers)
    return Steering(steers=steers)


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_a_take_does_not_depend_on_its_batch_and_its_plain_twin_has_no_gates(model_of, variant):
    model = with_window(model_of(variant), 20)
    model.vectors["v"] = vector_of(model)
    together = list(model.generate_batch(requests(), batch_size=4))
    alone = [next(iter(model.generate_batch([one]))) for one in requests()]
    for first, second in zip(together, alone, strict=True):
        assert (first.codes == second.codes).all()
    assert (together[0].codes == model.generate("calm", seconds=0.6, seed=1).codes).all()
    assert len({take.codes.tobytes() for take in together}) == 4


def test_a_gated_take_is_replayed_bit_for_bit(melody, tmp_path):
    from tonearm import replay

    melody.vectors["v"] = vector_of(melody)
    for number, take in enumerate(melody.generate_batch(requests(), batch_size=4)):
        sidecar = take.save(tmp_path / f"{number}.wav")
        assert replay(sidecar, model=melody).identical


def test_gates_open_further_with_the_probability_at_one_seed(melody):
    """A/B of two probabilities: every gate that is open at the lower one is open at the higher."""
    opened = []
    for gate in (0.3, 0.6):
        buffers = buffers_of(melody, (GATED.model_copy(update={"gate": gate}),))
        track = buffers.tracks[0].gate
        opened.append(torch.stack([track.at(i, Span(0, 0, 200)) for i in range(3)]))
    assert (opened[0] <= opened[1]).all() and (opened[0] < opened[1]).any()


def test_a_decoding_of_an_endless_row_reads_gates_of_absolute_frames(small):
    """Its second window continues the gates of the first."""
    request = replace(
        request_for(small, Steering(steers=(GATED,)), {"v": vector_of(small)}, frames=44),
        window=20,
        overlap=8,
    )
    fixed = DecoderEngine(small.checkpoint).decode(request)
    endless = Decoding(Decoder(small.checkpoint), replace(request, frames=None))
    while endless.frame < 44:
        endless.step()
    endless.stop()
    for _ in endless:
        pass
    assert torch.equal(endless.codes, fixed)
