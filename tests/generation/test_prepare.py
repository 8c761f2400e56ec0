"""Preparation of requests: inputs read once, texts tokenised once, checks without tensors."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.steering.vectors import scales_of, vector_of
from tonearm import Clip, Schedule, Steer, Steering, TakeRequest, TonearmError
from tonearm.generation import inputs, prepare
from tonearm.generation.batching import Limits, pack
from tonearm.generation.check import check_settings, check_steerings
from tonearm.model import Model
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import parse_short

ALL_TO_ALL = Steering(steers=(Steer(vector="push", strength=0.5, strategy="all-to-all"),))


class CountingTokenizer:
    """A tokenizer that counts its calls."""

    def __init__(self, tokenizer):
        self.tokenizer, self.calls = tokenizer, 0

    def __call__(self, *args, **kwargs):
        self.calls += 1
        return self.tokenizer(*args, **kwargs)

    def __getattr__(self, name):
        return getattr(self.tokenizer, name)


def counting(model: Model) -> Model:
    """The model with a tokenizer that counts from here on."""
    tokenizer = CountingTokenizer(model.checkpoint.tokenizer)
    counted = Model(dataclasses.replace(model.checkpoint, tokenizer=tokenizer))
    tokenizer.calls = 0
    return counted


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_the_tokenizer_is_called_once_for_any_number_of_requests(model_of, variant):
    model = counting(model_of(variant))
    for count in (1, 10, 1000):
        requests = [
            TakeRequest(
                f"a fast tune {'with flute ' * (i % 5)}", i, negative="calm" if i % 2 else None
            )
            for i in range(count)
        ]
        model.checkpoint.tokenizer.calls = 0
        model.generate_batch(requests)  # prepared and packed, not decoded
        assert model.checkpoint.tokenizer.calls == 1


def test_20000_requests_are_prepared_and_packed_without_tensors(small, monkeypatch):
    model = counting(small)
    vectors = {"push": vector_of(model, "push")}
    requests = [
        TakeRequest(f"a {'fast ' * (i % 7)}tune", i, ALL_TO_ALL, seconds=0.4) for i in range(20_000)
    ]

    def fail(*_args, **_kwargs):
        pytest.fail("a tensor was built")

    for name in ("stack", "cat", "tensor", "as_tensor", "zeros", "empty", "arange"):
        monkeypatch.setattr(torch, name, fail)
    monkeypatch.setattr("tonearm.generation.encode.resolve", fail)
    rows, _ = model._prepare(requests, vectors)
    batches = model._pack(rows, "completion", None, 1.0)
    assert model.checkpoint.tokenizer.calls == 1
    assert sum(map(len, batches)) == len(rows) == 20_000
    # Equal steerings are resolved once and shared.
    assert len({id(row.steering) for row in rows}) == 1


@pytest.mark.parametrize(
    ("steer", "message"),
    [
        (Steer(vector="push", source_layer=3), "layer 3 does not exist"),
        (Steer(vector="push", layers=(0, 9), strategy="all-to-all"), "layer 9 does not exist"),
        (Steer(vector="sparse", source_layer=1), "no direction for layer 1"),
        (Steer(vector="sparse", strategy="all-to-all", layers=(1,)), "no direction for layer 1"),
        (Steer(vector="lost"), "no best layer"),
        (
            parse_short("unmeasured=2@set"),
            r"no frame scales.*tonearm calibrate unmeasured --scales",
        ),
        (parse_short("partly=2@set"), "no frame scale of layer 1; measure them again"),
    ],
)
def test_steerings_are_checked_without_tensors(small, steer, message, monkeypatch):
    push = vector_of(small, "push")
    vectors = {
        "push": push,
        "sparse": dataclasses.replace(push, directions={0: push[0], 2: push[2]}, readers={}),
        "lost": vector_of(small, "lost", best_layer=None),
        "unmeasured": vector_of(small, "unmeasured", frame_scales=None),
        "partly": vector_of(small, "partly", frame_scales=scales_of(1)),
    }
    for name in ("stack", "cat", "tensor", "as_tensor"):
        monkeypatch.setattr(torch, name, lambda *_, **__: pytest.fail("a tensor was built"))
    with pytest.raises(TonearmError, match=message):
        check_steerings([ALL_TO_ALL, Steering(steers=(steer,))], vectors, small.shape)


def test_a_file_is_read_and_encoded_once_for_all_requests(small, tmp_path, monkeypatch):
    samples = 1e4 * np.random.default_rng(0).standard_normal((1, 640))
    file = Clip(samples, 1600).write(tmp_path / "prompt.wav")
    read, encoded = [], []
    real_read, real_encode = Clip.read, prepare.encode_audio
    monkeypatch.setattr(inputs.Clip, "read", lambda path: (read.append(path), real_read(path))[1])
    monkeypatch.setattr(
        prepare, "encode_audio", lambda c, clip: (encoded.append(clip), real_encode(c, clip))[1]
    )
    requests = [TakeRequest("calm", i, seconds=0.4, continue_from=str(file)) for i in range(5)]
    rows, _ = small._prepare(requests, {})
    assert len(read) == len(encoded) == 1
    assert [row.prompt_frames for row in rows] == [10] * 5
    assert [row.frames for row in rows] == [20] * 5


def test_settings_are_checked_before_inputs_are_read(small, monkeypatch):
    monkeypatch.setattr(Clip, "read", lambda *_: pytest.fail("a file was read"))
    request = TakeRequest("calm", 1, continue_from="/nowhere.wav")
    for change, message in (
        ({"seconds": 0}, "0 s is not possible"),
        ({"prompt": " "}, "prompt is empty"),
        ({"negative": "loud", "sampling": Sampling(guidance=1)}, "acts through guidance"),
    ):
        with pytest.raises(TonearmError, match=message):
            check_settings(
                [request, dataclasses.replace(request, **change)], Sampling(), small.shape
            )


def test_an_open_ended_request_has_no_length(small):
    (row,), _ = small._prepare([TakeRequest("calm", 1)], {}, open_ended=True)
    assert row.frames is None
    late = Steering(steers=(Steer(vector="push", schedule=Schedule.window(60, 70)),))
    vectors = {"push": vector_of(small, "push")}
    small._prepare([TakeRequest("calm", 1, late)], vectors, open_ended=True)
    with pytest.raises(TonearmError, match="schedule of push is zero until 60 s"):
        small._prepare([TakeRequest("calm", 1, late)], vectors)


def test_a_schedule_within_the_audio_prompt_steers_nothing_but_audio(small):
    """Its seconds count from the start of the audio prompt, of which a user may not think."""
    vectors, steer = {"push": vector_of(small, "push")}, Steer(vector="push", strength=1.0)
    audio = Clip(np.random.default_rng(0).uniform(-0.1, 0.1, 16_000), 16_000)

    def prepared(seconds, open_ended=False, **fields):
        one = steer.model_copy(update={"schedule": Schedule.window(0.2, seconds), **fields})
        request = TakeRequest("calm", 1, Steering(steers=(one,)), seconds=0.4, continue_from=audio)
        return small._prepare([request], vectors, open_ended=open_ended)

    for open_ended in (False, True):
        with pytest.raises(TonearmError, match="zero from 1 s on, where the new music begins"):
            prepared(0.6, open_ended)
        prepared(1.2, open_ended)
    prepared(1.2)
    prepared(0.6, positions="audio")


@pytest.mark.parametrize(("rows", "first"), [(64, 64), (4096, 128)])
def test_a_long_request_at_the_end_does_not_shrink_earlier_batches(small, rows, first):
    requests = [TakeRequest("calm", seed, seconds=0.4) for seed in range(130)]
    requests.append(TakeRequest("calm", 130, seconds=20))
    prepared, _ = small._prepare(requests, {})
    limits = Limits(
        window=750,
        overlap=300,
        uniform=False,
        rows=rows,
        fit=lambda one: 1 if one.frames > 100 else one.rows,
        check=lambda one: None,
    )
    sizes = [len(batch) for batch in pack(prepared, "input", None, limits)]
    assert sizes[0] == first and sum(sizes) == 131 and sizes[-1] == 1
