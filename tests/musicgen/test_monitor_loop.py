"""Monitored steers while decoding: engines agree, rows are independent, and what was recorded is
what acted.
"""

from dataclasses import replace

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.musicgen.decode_requests import PROMPTS, request_for
from tests.musicgen.recorded_graphs import NEEDS_VALUES, codes_of, recording_decoder
from tests.musicgen.test_windows import long_request
from tests.steering.vectors import monitored_vector, vector_of
from tonearm import Schedule, Steer, Steering, TonearmError
from tonearm.generation.request import TakeRequest
from tonearm.musicgen import reference
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import Decoder
from tonearm.steering.monitoring import Monitoring
from tonearm.steering.resolve import resolve

FRAMES = 24


def monitored(every=2, delta=0.5, **fields):
    """Steer all-to-all by vector "v" with a monitor."""
    settings = {"vector": "v", "strength": 1.5, "strategy": "all-to-all"} | fields
    return Steer(monitor={"every": every, "delta": delta}, **settings)


STEERS = {
    "every second frame": (monitored(),),
    "every frame": (monitored(every=1),),
    "removal": (monitored(strength=-1.5),),
    "some layers": (monitored(layers=(0,)),),
    "conditional": (monitored(branch="conditional"),),
    "schedule across 0": (monitored(schedule=Schedule.ramp(0, 1, first=-1.0)),),
    "gate": (monitored(gate=0.6),),
    "blend": (monitored(operator="blend"),),
    "two": (monitored(), monitored(every=3, delta=1, vector="w", strength=-1)),
    "after a plain one": (Steer(vector="p", strength=0.5, source_layer=1), monitored()),
}


def vectors_of(model, seed=2, **fields):
    return {
        "v": monitored_vector(model, "v", seed, **fields),
        "w": monitored_vector(model, "w", seed + 10, count=4),
        "p": vector_of(model, "p", seed + 20),
    }


def request_of(model, steers, seed=2, vectors=None, **changes):
    changes = {"frames": FRAMES} | changes
    return request_for(
        model, Steering(steers=steers), vectors or vectors_of(model, seed), **changes
    )


def completed(decoder, request):
    """Codes [B, K, T], and the strengths that acted of each row."""
    rows = sorted(
        (row, codes, acted)
        for one in Decoding(decoder, request).rows()
        for row, codes, acted in zip(one.members, one.codes, one.acted, strict=True)
    )
    return [codes for _, codes, _ in rows], [acted for *_, acted in rows]


def same_acted(first, second) -> bool:
    """Equal but for the last bits, which depend on the shapes of the batch and of the cache."""
    return all(
        one.keys() == other.keys()
        and all(torch.allclose(one[key], other[key], rtol=0, atol=1e-4) for key in one)
        for one, other in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("name", STEERS)
@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_codes_and_acted_strengths_equal_those_of_the_reference(model_of, variant, name):
    model = model_of(variant)
    request = request_of(model, STEERS[name])
    codes, acted = completed(Decoder(model.checkpoint), request)
    expected = reference.decode_rows(model.checkpoint, request)
    assert torch.equal(torch.stack(codes), expected.codes)
    assert same_acted(acted, expected.acted)
    assert not torch.equal(
        expected.codes, codes_of(Decoder(model.checkpoint), request_of(model, ()))
    )


@pytest.mark.parametrize("guidance", [3.0, 1.0])
@pytest.mark.parametrize("variant", ["small", "melody"])
def test_after_an_audio_prompt_the_loop_starts_at_the_first_new_frame(model_of, variant, guidance):
    model, known = model_of(variant), 7
    request = request_of(model, STEERS["every second frame"], guidance=guidance)
    generator = torch.Generator().manual_seed(0)
    size = (2, model.shape.codebooks, known)
    prompt = torch.randint(0, model.shape.codebook_size, size, generator=generator)
    request = replace(request, prompt_codes=prompt)
    codes, acted = completed(Decoder(model.checkpoint), request)
    expected = reference.decode_rows(model.checkpoint, request)
    assert torch.equal(torch.stack(codes), expected.codes)
    for ours, theirs in zip(acted, expected.acted, strict=True):
        torch.testing.assert_close(ours[0], theirs[0], atol=1e-4, rtol=1e-4)
        assert not ours[0][:known].any() and ours[0][known] == 1.5  # nothing was read before it
        assert not ours[0][known + 1 :: 2].any()


def test_the_loop_decides_by_what_it_reads(small):
    """Of two rows, one acts at times and rests at times; the strengths that act lie between."""
    _, acted = completed(Decoder(small.checkpoint), request_of(small, STEERS["every frame"]))
    strengths = torch.stack([one[0] for one in acted])
    assert (strengths[:, 1:] == 0).any() and (strengths[:, 1:] > 0).any()
    moving = strengths[:, 1:][strengths[:, 1:] > 0]
    assert moving.max() <= 1.5 and moving.min() >= 0.75 and moving.unique().numel() > 5


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_a_threshold_that_is_never_reached_and_no_shrinking_is_the_steer_without_a_monitor(
    model_of, variant
):
    model = model_of(variant)
    always = vectors_of(model, threshold=1.0, gain=1.0)
    steer = monitored(every=1, delta=0)
    open_loop = steer.model_copy(update={"monitor": None})
    decoder = Decoder(model.checkpoint)
    expected = codes_of(decoder, request_of(model, (open_loop,), vectors=always))
    codes, acted = completed(decoder, request_of(model, (steer,), vectors=always))
    assert torch.equal(torch.stack(codes), expected)
    assert all((one[0] == 1.5).all() for one in acted)
    never = vectors_of(model, threshold=0.0)
    _, acted = completed(decoder, request_of(model, (steer,), vectors=never))
    assert all(one[0].nonzero().flatten().tolist() == [0] for one in acted)


@pytest.mark.parametrize("every", [1, 3, 5])
def test_it_acts_at_every_s_th_frame_alone(small, every):
    vectors = vectors_of(small, threshold=1.0, gain=1.0)
    request = request_of(small, (monitored(every),), vectors=vectors)
    _, acted = completed(Decoder(small.checkpoint), request)
    due = list(range(0, FRAMES, every))
    assert all(one[0].nonzero().flatten().tolist() == due for one in acted)


def test_strengths_follow_from_the_readings_of_the_frame_before(small):
    """Recomputed from head outputs that a tap took at the first call of each frame, less the shift
    of the step, over three windows.
    """
    vectors, frames = vectors_of(small), 44
    monitor, heads = vectors["v"].monitor, small.shape.heads
    seen: dict[tuple[int, int], torch.Tensor] = {}  # outputs [2, D] by layer and frame

    def tap(layer):
        def keep(h, _span):
            frame = decoding.buffers.tracks[0].loop.frame
            seen.setdefault((layer, frame), h[:2, -1].clone())

        return keep

    request = long_request(small, frames, Steering(steers=STEERS["every frame"]), vectors)
    taps = {("heads", layer): [tap(layer)] for layer in range(small.shape.layer_count)}
    decoding = Decoding(Decoder(small.checkpoint), request, taps)
    for _ in decoding:
        pass
    for row in range(2):
        acted, acting = decoding.buffers.acted(row, frames)[0], True
        for frame in range(1, frames):
            outputs = []
            for layer, head in zip(monitor.layers.tolist(), monitor.heads.tolist(), strict=True):
                shift = acted[frame - 1] * vectors["v"][layer]
                outputs.append((seen[layer, frame - 1][row] - shift).view(heads, -1)[head])
            present = float(monitor.probabilities(torch.stack(outputs)).median())  # of 5
            acting = present < 0.5 - (0 if acting else 0.05)
            expected = 1.5 * (1 - 0.5 * present) if acting else 0.0
            assert float(acted[frame]) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_recorded_strengths_as_a_schedule_make_the_same_take_without_a_monitor(model_of, variant):
    """Over three windows, whose known frames are steered again, and rows of two lengths."""
    model = model_of(variant)
    decoder, rate = Decoder(model.checkpoint), model.shape.frame_rate
    replaying, _ = recording_decoder(model)
    vectors, frames = vectors_of(model), 44
    steering = Steering(steers=STEERS["every second frame"])
    request = long_request(model, frames, steering, vectors, lengths=[frames, 31])
    codes, acted = completed(decoder, request)
    open_loop = [
        Steering(
            steers=(
                Steer(
                    vector="v",
                    strategy="all-to-all",
                    schedule=Schedule.steps(one[0].double().numpy(), rate),
                ),
            )
        )
        for one in acted
    ]
    assert all(one[0].unique().numel() > 4 for one in acted)
    plan = resolve(open_loop, vectors, model.shape, frames, torch.device("cpu"))
    replayed, replayed_acted = completed(replaying, request)
    assert all(map(torch.equal, codes, replayed)) and same_acted(acted, replayed_acted)
    again, nothing = completed(decoder, replace(request, plan=plan))
    assert all(map(torch.equal, codes, again)) and nothing == [{}, {}]


def test_a_row_does_not_depend_on_its_batch(small):
    vectors = vectors_of(small) | {"u": monitored_vector(small, "u", 5, threshold=0.4)}
    other = monitored(vector="u", strength=2)
    steerings = [
        Steering(steers=STEERS["every second frame"]),
        Steering(),
        Steering(steers=(other,)),
        Steering(steers=STEERS["two"]),
    ]
    decoder, shape = Decoder(small.checkpoint), small.shape

    def decode(rows, lengths):
        request = request_for(
            small, prompts=[PROMPTS[0]] * len(rows), seeds=[10 + row for row in rows], frames=FRAMES
        )
        plan = resolve([steerings[r] for r in rows], vectors, shape, FRAMES, torch.device("cpu"))
        return completed(decoder, replace(request, plan=plan, lengths=lengths))

    lengths = [FRAMES, FRAMES, 13, 17]
    together, acted = decode([0, 1, 2, 3], lengths)
    for row, length in enumerate(lengths):
        if length == FRAMES:
            (alone,), (own,) = decode([row], [FRAMES])
            assert torch.equal(alone, together[row]) and same_acted([own], [acted[row]])
            continue
        plan = resolve([steerings[row]], vectors, shape, length, torch.device("cpu"))
        request = request_for(small, prompts=PROMPTS[:1], seeds=[10 + row], frames=length)
        (alone,), (own,) = completed(decoder, replace(request, plan=plan))
        assert torch.equal(alone, together[row]) and same_acted([own], [acted[row]])
    assert [sorted(one) for one in acted] == [[0], [], [0], [0, 1]]


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-melody"])
@pytest.mark.parametrize("name", ["every second frame", "removal", "gate", "two"])
def test_graphs_are_replayed_with_other_vectors_thresholds_and_settings(model_of, variant, name):
    model = model_of(variant)
    decoder, recorder = recording_decoder(model)
    for seed, every in enumerate((2, 1, 3)):
        settings = Monitoring(every=every, delta=0.3 * seed)
        steers = tuple(one.model_copy(update={"monitor": settings}) for one in STEERS[name])
        vectors = vectors_of(model, threshold=0.4 + 0.1 * seed)
        vectors["w"] = replace(vectors["w"], monitor=replace(vectors["w"].monitor, threshold=0.6))
        request = request_of(model, steers, vectors=vectors, seeds=(seed, 6))
        codes, acted = completed(decoder, request)
        plain, plain_acted = completed(Decoder(model.checkpoint), request)
        assert all(map(torch.equal, codes, plain)) and same_acted(acted, plain_acted)
    assert recorder.captures == 1


def test_another_number_of_heads_and_of_monitored_rows_is_captured_anew(small):
    decoder, recorder = recording_decoder(small)
    five = vectors_of(small)["v"]
    fewer = {
        name: getattr(five.monitor, name)[[0, 1, 2, 3]]
        for name in ("layers", "heads", "weights", "biases")
    }
    four = replace(five, monitor=replace(five.monitor, **fewer))
    assert set(four.monitor.layers.tolist()) == set(five.monitor.layers.tolist())
    own, none = Steering(steers=STEERS["every second frame"]), Steering()
    for vector, rows, captures in (
        (five, [own, own], 1),
        (four, [own, own], 2),
        (five, [none, own], 3),
        (five, [own, none], 3),
        (five, [own, own], 3),
    ):
        plan = resolve(rows, {"v": vector}, small.shape, FRAMES, torch.device("cpu"))
        request = replace(request_of(small, ()), plan=plan)
        codes, acted = completed(decoder, request)
        plain, plain_acted = completed(Decoder(small.checkpoint), request)
        assert all(map(torch.equal, codes, plain)) and same_acted(acted, plain_acted)
        assert recorder.captures == captures


def test_other_heads_are_not_captured_and_other_layers_are_captured_anew(small):
    decoder, recorder = recording_decoder(small)
    base = vectors_of(small)["v"]
    layers = torch.tensor([0, 0, 1, 1, 1])
    for changed, captures in (
        (dict(layers=layers, heads=torch.tensor([0, 1, 0, 1, 2])), 1),
        (dict(layers=layers.flip(0), heads=torch.tensor([3, 0, 2, 1, 0])), 1),
        (dict(layers=torch.tensor([2, 0, 1, 1, 1])), 2),
    ):
        monitor = replace(base.monitor, **changed)
        vectors = {"v": replace(base, monitor=monitor)}
        request = request_of(small, STEERS["every second frame"], vectors=vectors)
        codes, acted = completed(decoder, request)
        plain, plain_acted = completed(Decoder(small.checkpoint), request)
        assert all(map(torch.equal, codes, plain)) and same_acted(acted, plain_acted)
        assert recorder.captures == captures


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_a_strength_of_0_at_capture_can_be_set_later(model_of, variant):
    model = model_of(variant)
    silent = monitored(strength=0)
    decoder, recorder = recording_decoder(model)

    def decode(one, seed):
        vectors = vectors_of(model, seed, threshold=1.0)
        request = request_of(model, (silent,), vectors=vectors, live=True, seeds=(seed, 6))
        decoding = Decoding(one, request)
        for frames in decoding:
            if frames == 3:
                decoding.buffers.set_strength(0, 4.0, decoding.frame)
            if frames == 12:
                decoding.buffers.set_strength(0, -4.0, decoding.frame)
        return decoding.codes, [decoding.buffers.acted(row, FRAMES) for row in range(2)]

    for seed in range(2):
        codes, acted = decode(decoder, seed)
        expected, expected_acted = decode(Decoder(model.checkpoint), seed)
        assert torch.equal(codes, expected) and same_acted(acted, expected_acted)
        strengths = torch.stack([one[0] for one in acted])
        assert (strengths > 0).any() and (strengths < 0).any()
    assert recorder.captures == 1


class NoValues(TorchDispatchMode):
    """Refuses operators that read a value of a tensor, for which the host waits on CUDA."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func.overloadpacket.__name__ not in NEEDS_VALUES
        return func(*args, **kwargs or {})


def test_the_loop_reads_no_value_of_a_tensor(small):
    request = request_of(small, STEERS["two"])
    loops = [track.loop for track in Decoding(Decoder(small.checkpoint), request).buffers.tracks]
    with pytest.raises(AssertionError), NoValues():
        torch.ones(1).item()
    with NoValues():
        for frame in (*range(FRAMES), FRAMES - 1, FRAMES, FRAMES + 1):
            for loop in loops:
                loop.seek(frame, torch.ones(2))


def test_divergence_refuses_a_monitored_steer(small):
    small.vectors["v"] = monitored_vector(small)
    request = TakeRequest("a fast tune", 1, Steering(steers=(monitored(),)), seconds=0.4)
    plain = small.generate("a fast tune", seconds=0.4, seed=1)
    with pytest.raises(TonearmError, match="steer v: monitor reads one frame after the other"):
        small.divergence([request], [plain])
