"""Tonearm's decoder against the reference engine: equal codes for all settings."""

import numpy as np
import pytest
import torch

from tests.checkpoints import VARIANTS
from tests.musicgen.decode_requests import FRAMES, PROMPTS, STEERS, request_for
from tests.steering.vectors import vector_of
from tonearm.audio import Clip
from tonearm.generation.request import TakeRequest
from tonearm.musicgen import packed_linear
from tonearm.musicgen.conditioning import condition, largest_text_group
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.decoder import Decoder
from tonearm.musicgen.engine import DecoderEngine, ReferenceEngine
from tonearm.musicgen.sampling import Sampling
from tonearm.steering import Schedule, Steer, Steering
from tonearm.steering.resolve import resolve


def checked_codes(model, request):
    """Codes of the decoder, checked against those of the reference."""
    ours = DecoderEngine(model.checkpoint).decode(request)
    assert torch.equal(ours, ReferenceEngine(model.checkpoint).decode(request))
    return ours


@pytest.mark.parametrize("guidance", [3.0, 1.0])
@pytest.mark.parametrize("shared", [True, False], ids=["one generator", "noise by row"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_unsteered_codes_equal_those_of_generate(model_of, variant, shared, guidance):
    checked_codes(
        model_of(variant), request_for(model_of(variant), guidance=guidance, shared_noise=shared)
    )


@pytest.mark.parametrize("name", STEERS)
@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small", "stereo-melody"])
def test_steered_codes_equal_those_of_the_reference(model_of, variant, name):
    model = model_of(variant)
    steered = checked_codes(
        model, request_for(model, Steering(steers=(STEERS[name],)), {"v": vector_of(model)})
    )
    assert not torch.equal(steered, DecoderEngine(model.checkpoint).decode(request_for(model)))


@pytest.mark.parametrize("operator", ["add", "blend", "rotate", "slerp", "remove"])
@pytest.mark.parametrize(
    ("variant", "site"),
    [
        (v, s)
        for v in ("small", "melody")
        for s in ("residual", "attention", "cross_attention", "heads")
        if (v, s) != ("melody", "cross_attention")
    ],
)
def test_codes_equal_the_reference_at_every_site_with_every_operator(
    model_of, variant, site, operator
):
    model = model_of(variant)
    steering = Steering(
        steers=(Steer(vector="v", strength=0.8, operator=operator, source_layer=1),)
    )
    steered = checked_codes(model, request_for(model, steering, {"v": vector_of(model, site=site)}))
    assert not torch.equal(steered, DecoderEngine(model.checkpoint).decode(request_for(model)))


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_many_vectors_are_applied_in_order(model_of, variant):
    model = model_of(variant)
    vectors = {name: vector_of(model, name=name, seed=seed) for seed, name in enumerate("uvwxyz")}
    steers = (
        Steer(vector="u", strength=0.5, source_layer=0),
        Steer(vector="v", strength=0.4, strategy="all-to-all", schedule=Schedule.ramp(0, 0.3)),
        Steer(vector="w", operator="remove", source_layer=2),
        Steer(vector="x", strength=0.3, source_layer=1, branch="conditional"),
        Steer(vector="y", strength=0.4, operator="rotate", source_layer=1, layers=(0, 2)),
        Steer(vector="z", strength=-0.6, source_layer=1, positions="audio"),
    )
    checked_codes(model, request_for(model, Steering(steers=steers), vectors))


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-melody"])
def test_rows_may_differ_in_all_settings(model_of, variant):
    c = model_of(variant).checkpoint
    vectors = {
        "v": vector_of(model_of(variant)),
        "w": vector_of(model_of(variant), name="w", seed=1),
    }
    steerings = [
        Steering(steers=(Steer(vector="v", strength=1.5, source_layer=1),)),
        Steering(),
        Steering(
            steers=(
                Steer(vector="w", strength=-1.0, source_layer=2, schedule=Schedule.ramp(0, 0.4)),
            )
        ),
    ]
    sampling = [
        Sampling(top_k=20),
        Sampling(guidance=1.0, temperature=0.5, top_p=0.5),
        Sampling(guidance=5.0, temperature=0.0, top_k=0),
    ]
    conditioning = condition(
        c, [*PROMPTS, PROMPTS[0]], guided=True, negatives=[None, None, "calm piano"]
    )
    checked_codes(
        model_of(variant),
        DecodeRequest(
            conditioning,
            FRAMES,
            sampling,
            [5, 99, 7],
            resolve(steerings, vectors, c.shape, FRAMES, c.device),
        ),
    )


@pytest.mark.parametrize("positions", ["generated", "audio", "all"])
@pytest.mark.parametrize("variant", ["small", "melody", "stereo-small"])
def test_an_audio_prompt_is_continued_as_by_the_reference(model_of, variant, positions):
    model, c = model_of(variant), model_of(variant).checkpoint
    prompt = torch.randint(
        0, 64, (2, c.shape.codebooks, 5), generator=torch.Generator().manual_seed(0)
    )
    steering = Steering(
        steers=(Steer(vector="v", strength=1.0, source_layer=1, positions=positions),)
    )
    plan = resolve([steering] * 2, {"v": vector_of(model)}, c.shape, FRAMES, c.device)
    request = DecodeRequest(
        condition(c, PROMPTS, guided=True), FRAMES, [Sampling(top_k=20)] * 2, [5, 6], plan, prompt
    )
    assert torch.equal(checked_codes(model, request)[..., :5], prompt)


def test_a_melody_is_followed_as_by_the_reference(melody):
    tone = Clip(np.sin(2 * np.pi * 440 * np.arange(3200) / 1600).astype(np.float32), 1600)
    conditioning = condition(melody.checkpoint, PROMPTS, guided=True, melody=tone)
    checked_codes(melody, DecodeRequest(conditioning, FRAMES, [Sampling(top_k=20)] * 2, [5, 6], ()))


@pytest.mark.parametrize(
    ("texts", "guided"), [(PROMPTS, True), ([None, None], False), ([PROMPTS[0], None], False)]
)
def test_activations_equal_those_of_hooks(model_of, texts, guided):
    for variant in ("small", "melody"):
        model = model_of(variant)
        sites = model.checkpoint.shape.sites
        seen = {}
        for engine in (DecoderEngine(model.checkpoint), ReferenceEngine(model.checkpoint)):
            kept = {(site, layer): [] for site in sites for layer in range(model.shape.layer_count)}
            taps = {
                place: [lambda h, span, to=to: to.append((span, h.clone()))]
                for place, to in kept.items()
            }
            engine.read(condition(model.checkpoint, texts, guided=guided), taps)
            seen[engine.name] = kept
        for place, calls in seen["decoder"].items():
            (span, ours), (their_span, theirs) = calls[-1], seen["reference"][place][-1]
            assert span == their_span
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_rows_of_one_prompt_share_its_text():
    states, mask = torch.randn(3, 4, 8), torch.ones(3, 4, dtype=torch.bool)
    for order, group in (
        ([0, 0, 1, 1], 2),
        ([0, 0, 0, 0, 1, 1], 2),
        ([0, 1, 2], 1),
        ([0, 0, 1], 1),
        ([2] * 5, 5),
    ):
        found = largest_text_group(states[order], mask[order])
        kept = states[order][::found]
        assert found == group and torch.equal(kept.repeat_interleave(group, 0), states[order])


def test_many_rows_of_one_prompt_equal_the_reference(small):
    c = small.checkpoint
    conditioning = condition(c, [PROMPTS[0]] * 4 + [PROMPTS[1]] * 2, guided=True)
    checked_codes(
        small, DecodeRequest(conditioning, FRAMES, [Sampling(top_k=20)] * 6, range(6), ())
    )


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_a_row_does_not_depend_on_its_batch(model_of, variant):
    model = model_of(variant)
    rows = [TakeRequest("a fast folk tune", seed, seconds=0.5) for seed in range(5)]
    together = list(model.generate_batch(rows, batch_size=5))
    for row, take in zip(rows, together, strict=True):
        (alone,) = model.generate_batch([row])
        assert (alone.codes == take.codes).all()


def test_an_interrupted_decoding_does_not_affect_later_ones(melody):
    engine = DecoderEngine(melody.checkpoint)
    before = engine.decode(request_for(melody))

    def interrupt(done, _all):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        engine.decode(
            request_for(melody, Steering(steers=(STEERS["add"],)), {"v": vector_of(melody)}),
            interrupt,
        )
    assert torch.equal(engine.decode(request_for(melody)), before)


def test_two_decodings_may_alternate_on_one_decoder(melody):
    decoder = Decoder(melody.checkpoint)
    requests = [
        request_for(melody),
        request_for(melody, Steering(steers=(STEERS["add"],)), {"v": vector_of(melody)}),
    ]
    running = [Decoding(decoder, request) for request in requests]
    while not all(decoding.done for decoding in running):
        for decoding in running:
            decoding.step()
    for decoding, request in zip(running, requests, strict=True):
        assert torch.equal(decoding.codes, DecoderEngine(melody.checkpoint).decode(request))


def test_unpacked_weights_give_equal_codes(melody, monkeypatch):
    expected = DecoderEngine(melody.checkpoint).decode(request_for(melody))
    monkeypatch.setattr(packed_linear, "_can_pack", lambda: False)
    assert torch.equal(DecoderEngine(melody.checkpoint).decode(request_for(melody)), expected)


def test_frames_done_count_whole_frames(melody):
    c = melody.checkpoint
    counts = list(Decoding(Decoder(c), request_for(melody)))
    assert counts == [0] * c.shape.delay_frames + list(range(1, FRAMES + 1))
