"""Model: generate and generate_batch, and refusal of mistakes before decoding."""

from itertools import pairwise

import numpy as np
import pytest

from tests.musicgen.decode_requests import reshaped
from tests.steering.vectors import vector_of
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.request import TakeRequest
from tonearm.generation.take import Take
from tonearm.model import load
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Schedule, Steer, Steering

NAN, INF = float("nan"), float("inf")
EVEN = ["a fast folk tune", "slow dark jazz piece", "loud bright piano tune"]  # not padded
UNEVEN = ["a fast folk tune", "slow jazz piece with flute and piano", "calm"]


def same(a: Take, b: Take) -> bool:
    return np.array_equal(a.codes, b.codes)


def requests_of(prompts, seed=3, seconds=0.4):
    return [TakeRequest(text, seed + i, seconds=seconds) for i, text in enumerate(prompts)]


def test_generate_returns_one_take_and_a_batch_yields_takes_in_order(small):
    one = small.generate("calm", seconds=0.2, seed=3)
    assert isinstance(one, Take) and one.codes.shape == (4, 5) and one.codes.dtype == np.int64
    assert one.clip.samples.shape == (1, 320) and one.seconds == 0.2
    several = list(small.generate_batch(requests_of(["calm", "calm", "loud", "loud"], seconds=0.2)))
    assert [(t.provenance.prompt, t.provenance.seed) for t in several] == [
        ("calm", 3),
        ("calm", 4),
        ("loud", 5),
        ("loud", 6),
    ]
    assert same(several[0], one) and not same(several[0], several[1])
    with pytest.raises(TonearmError, match="several as TakeRequests to generate_batch"):
        small.generate(["calm", "loud"], seconds=0.2)


def test_a_seed_determines_the_take_and_the_default_is_random(small):
    takes = [small.generate("calm", seconds=0.4, seed=7) for _ in range(2)]
    assert same(*takes) and not same(takes[0], small.generate("calm", seconds=0.4, seed=8))
    first, second = (small.generate("calm", seconds=0.4) for _ in range(2))
    assert first.provenance.seed != second.provenance.seed
    assert same(first, small.generate("calm", seconds=0.4, seed=first.provenance.seed))
    small.generate("calm", seconds=0.2, seed=2**63 - 1)


@pytest.mark.parametrize(
    ("variant", "prompts"), [("small", UNEVEN), ("melody", EVEN), ("stereo-small", UNEVEN)]
)
def test_takes_do_not_depend_on_the_division_into_batches(model_of, variant, prompts):
    model = model_of(variant)
    requests = requests_of(prompts)
    together = list(model.generate_batch(requests, batch_size=3))
    for size in (1, 2, None):
        others = model.generate_batch(requests, batch_size=size)
        assert all(same(a, b) for a, b in zip(together, others, strict=True))


def test_all_forms_of_a_steer_give_the_same_take(melody):
    vector = vector_of(melody, "bright")
    melody.vectors["bright"] = vector
    steer = Steer(vector="bright", strength=1.5)
    forms = [
        {"bright": "raw:1.5"},
        {vector: "raw:1.5"},
        "bright=raw:1.5",
        steer,
        [steer],
        ["bright=raw:1.5"],
        Steering(steers=(steer,)),
    ]
    takes = [melody.generate("calm", steer=form, seconds=0.4, seed=1) for form in forms]
    assert all(same(takes[0], take) for take in takes)
    assert len({take.provenance.steering.model_dump_json() for take in takes}) == 1
    plain = melody.generate("calm", seconds=0.4, seed=1)
    assert not same(plain, takes[0])
    for nothing in (None, {}, [], {"bright": "raw:0"}, Steering()):
        assert same(plain, melody.generate("calm", steer=nothing, seconds=0.4, seed=1))


def test_requests_of_one_batch_may_differ_in_all_settings(small):
    small.vectors["w"] = vector_of(small, "w")
    steering = Steering(steers=(Steer(vector="w", strength=2),))
    requests = [
        TakeRequest("calm", 1, steering, Sampling(guidance=1.0), seconds=0.4),
        TakeRequest("loud", 2, sampling=Sampling(temperature=0), negative="calm", seconds=0.8),
        TakeRequest("fast", 3, sampling=Sampling(guidance=5), seconds=0.52),
    ]
    together = list(small.generate_batch(requests))
    for request, take in zip(requests, together, strict=True):
        assert same(take, next(small.generate_batch([request])))
        provenance = take.provenance
        assert provenance.new_seconds == request.seconds
        assert provenance.negative == request.negative
        assert provenance.sampling.guidance == request.sampling.guidance


def test_temperature_0_does_not_depend_on_the_seed(small):
    assert same(*(small.generate("calm", seconds=0.4, seed=seed, temperature=0) for seed in (1, 2)))


def test_progress_counts_the_frames_of_all_requests(small):
    reports = []
    requests = requests_of(UNEVEN)
    list(
        small.generate_batch(
            requests, batch_size=2, progress=lambda *report: reports.append(report)
        )
    )
    assert reports[-1] == (30, 30) and all(b[0] >= a[0] for a, b in pairwise(reports))
    assert {total for _, total in reports} == {30}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (dict(seconds=0), "0 s is not possible"),
        (dict(seconds=-1), "-1 s"),
        (dict(seconds=NAN), "nan s"),
        (dict(seconds=INF), "inf s"),
        (dict(seconds=3601), "3601 s is not"),
        (dict(seconds=0.01), "ask for 0.12 to 3600 s"),
        (dict(guidance=NAN), "guidance nan"),
        (dict(guidance=-1), "guidance -1"),
        (dict(guidance=INF), "guidance inf"),
        (dict(temperature=NAN), "temperature nan"),
        (dict(temperature=-0.1), "temperature -0.1"),
        (dict(temperature=INF), "temperature inf"),
        (dict(top_p=NAN), "top_p nan"),
        (dict(top_p=0), "top_p 0"),
        (dict(top_p=1.1), "top_p 1.1"),
        (dict(top_k=-1), "top_k -1"),
        (dict(top_k=NAN), "top_k nan"),
        (dict(seed=-1), "seed -1"),
        (dict(seed=2**63), "seed 9223372036854775808"),
        (dict(steer={"nope": "raw:1.0"}), "no vector 'nope'"),
        (dict(steer={"nope": NAN}), "finite"),
        (dict(steer="nope"), "NAME=AMOUNT"),
        (dict(steer=3), "give a dict"),
        (dict(continue_from="/nowhere.wav"), "no audio file"),
        (dict(melody="/nowhere.wav"), "no audio file"),
    ],
)
def test_impossible_settings_are_refused_in_one_line(small, settings, message):
    with pytest.raises(TonearmError) as error:
        small.generate("calm", **(dict(seconds=0.2) | settings))
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("prompt", ["", "  \n", [], 3])
def test_an_empty_prompt_is_refused(small, prompt):
    with pytest.raises(TonearmError, match="prompt"):
        small.generate(prompt, seconds=0.2)


@pytest.mark.parametrize(
    ("steer", "message"),
    [
        (Steer(vector="x", source_layer=3), r"layer 3 does not exist; .* has layers 0\.\.2"),
        (Steer(vector="x", layers=(0, 9)), "layer 9"),
        (Steer(vector="lost"), "no best layer"),
        (Steer(vector="foreign"), "was made for"),
    ],
)
def test_a_steer_that_does_not_fit_is_refused_before_decoding(
    small, melody, steer, message, monkeypatch
):
    vectors = {
        "x": vector_of(small, "x"),
        "lost": vector_of(small, "lost", best_layer=None),
        "foreign": vector_of(melody),
    }
    monkeypatch.setattr(
        "tonearm.musicgen.engine.DecoderEngine.rows", lambda *_: pytest.fail("decoding began")
    )
    with pytest.raises(TonearmError, match=message):
        small.generate_batch(
            [TakeRequest("calm", 1, Steering(steers=(steer,)), seconds=0.2)], vectors=vectors
        )


def test_a_schedule_that_does_not_act_within_the_clip_is_refused(melody):
    def play(schedule: Schedule, seconds: float):
        steering = Steering(steers=(Steer(vector="x", strength=8, schedule=schedule),))
        return next(
            melody.generate_batch(
                [TakeRequest("calm", 1, steering, seconds=seconds)],
                vectors={"x": vector_of(melody, "x")},
            )
        )

    with pytest.raises(
        TonearmError, match=r"schedule of x is zero until 0\.4 s, when the clip of 0\.4 s is over"
    ):
        play(Schedule.window(0.4, 0.6), 0.4)
    assert not same(
        play(Schedule.window(0.2, 0.6), 0.4), melody.generate("calm", seconds=0.4, seed=1)
    )
    play(Schedule(points=((0.0, 0.0),)), 0.4)  # zero throughout is accepted


def test_default_settings_are_those_of_the_checkpoint(small):
    model = reshaped(small, guidance=2.0)
    default, given = (model.generate("calm", seconds=0.4, seed=1, guidance=g) for g in (None, 3.0))
    request = next(model.generate_batch([TakeRequest("calm", 1, seconds=0.4)]))
    guidance = [take.provenance.sampling.guidance for take in (default, given, request)]
    assert guidance == [2.0, 3.0, 2.0]
    assert same(default, request) and not same(default, given)
    assert model.stream("calm", seconds=0.4, seed=1).sampling.guidance == 2.0


def test_provenance_records_all_settings(small):
    vector = vector_of(small, "x")
    take = small.generate(
        "calm",
        steer={vector: "raw:1.5"},
        seconds=0.4,
        seed=4,
        guidance=2.0,
        top_k=30,
        negative="loud",
    )
    p = take.provenance
    assert (p.prompt, p.negative, p.new_seconds, p.frames, p.seed) == ("calm", "loud", 0.4, 10, 4)
    assert p.sampling.model_dump() == dict(
        guidance=2.0,
        temperature=1.0,
        top_k=30,
        top_p=1.0,
        guidance_schedule=None,
        temperature_schedule=None,
    )
    assert p.steering.steers[0].source_layer == 1  # the vector's best layer, written out
    assert p.vectors["x"].content_hash == vector.content_hash() and not p.vectors["x"].bundled
    assert p.checkpoint.fingerprint == small.shape.fingerprint and "/" not in p.checkpoint.name


def test_a_negative_prompt_and_the_unconditional_branch_need_guidance(melody):
    with pytest.raises(TonearmError, match="negative prompt acts through guidance"):
        melody.generate("calm", seconds=0.4, guidance=1.0, negative="loud")
    steer = Steer(vector="x", branch="unconditional", source_layer=0)
    with pytest.raises(TonearmError, match="branch unconditional needs guidance"):
        melody.generate("calm", seconds=0.4, guidance=0.0, steer=steer)


def test_a_take_does_not_depend_on_the_text_length_of_other_rows(melody):
    texts = ["calm", "slow jazz piece with flute and piano", "a fast folk tune"]
    together = list(melody.generate_batch(requests_of(texts)))
    for i, text in enumerate(texts):
        assert (together[i].codes == melody.generate(text, seconds=0.4, seed=3 + i).codes).all()


def test_an_unusable_melody_is_refused_before_decoding(small, melody):
    silent = Clip(np.zeros(32_000), 32_000)
    with pytest.raises(TonearmError, match="the melody is silent"):
        melody.generate_batch([TakeRequest("calm", 1, seconds=0.4, melody=silent)])
    with pytest.raises(TonearmError, match="takes no melody"):
        small.generate_batch([TakeRequest("calm", 1, seconds=0.4, melody=silent)])


def test_an_unknown_engine_is_refused_before_loading():
    with pytest.raises(
        TonearmError, match="engine 'warp' is not known; use one of decoder, reference"
    ):
        load("nowhere/at-all", engine="warp")


def test_another_engine_shares_the_vector_library(small):
    twin = small.with_engine("reference")
    assert twin.vectors is small.vectors and twin.engine.name == "reference"
    assert small.with_engine("decoder") is small
