"""Reference engine against plain generate(), and steering against a loop written out by hand."""

from dataclasses import replace

import pytest
import torch
import transformers

from tests.checkpoints import VARIANTS
from tests.musicgen.decode_requests import FRAMES, PROMPTS, STEERS, request_for
from tests.steering.vectors import vector_of
from tonearm.backend import Span
from tonearm.errors import TonearmError
from tonearm.generation.request import TakeRequest
from tonearm.model import Model
from tonearm.musicgen import hooks, reference, self_check
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.delay import delay, undelay
from tonearm.musicgen.engine import ReferenceEngine
from tonearm.musicgen.hooks import tapped
from tonearm.musicgen.noise import uniform_gates
from tonearm.musicgen.reference import decode
from tonearm.musicgen.sampling import RowSampler, Sampling
from tonearm.steering import Schedule, Steer, Steering, SteeringVector
from tonearm.steering.operators import apply
from tonearm.steering.resolve import resolve


def plain_generate(model: Model, guidance: float = 3.0) -> torch.Tensor:
    """Codes of transformers' own generate() called with token ids."""
    c = model.checkpoint
    tokens = c.tokenizer(PROMPTS, padding=True, return_tensors="pt")
    caught = []
    real = c.model.audio_encoder.decode
    c.model.audio_encoder.decode = lambda codes, **kwargs: (
        caught.append(codes[0]),
        real(codes, **kwargs),
    )[1]
    try:
        torch.manual_seed(5)
        c.model.generate(
            input_ids=tokens.input_ids,
            attention_mask=tokens.attention_mask,
            do_sample=True,
            guidance_scale=guidance,
            top_k=20,
            max_length=1 + FRAMES + c.shape.delay_frames,
        )
    finally:
        del c.model.audio_encoder.decode
    if c.shape.channels == 1:
        return caught[0]
    return torch.stack([caught[0], caught[1]], dim=2).flatten(1, 2)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("guidance", [3.0, 1.0])
def test_unsteered_and_zero_strength_equal_plain_generate(model_of, variant, guidance):
    model = model_of(variant)
    expected = plain_generate(model, guidance)
    assert torch.equal(
        decode(model.checkpoint, request_for(model, guidance=guidance, shared_noise=True)), expected
    )
    zero = Steering(
        steers=(
            *(
                Steer(vector="v", strength=0.0, operator=op)
                for op in ("add", "blend", "rotate", "slerp", "remove")
            ),
            *(
                STEERS[name].model_copy(update={"strength": 0.0})
                for name in ("set", "feature", "feature, level")
            ),
        )
    )
    steered = request_for(
        model, zero, {"v": vector_of(model)}, guidance=guidance, shared_noise=True, live=True
    )
    assert torch.equal(decode(model.checkpoint, steered), expected)


def test_frames_at_strength_zero_are_exact_while_the_hook_is_installed(melody):
    late = Steering(steers=(Steer(vector="v", strength=2.0, schedule=Schedule.window(100, 101)),))
    barely = Steering(
        steers=(
            Steer(
                vector="v", strength=2.0, schedule=Schedule(points=((0, 0), (0.44, 0), (0.44, 1)))
            ),
        )
    )
    plain = decode(melody.checkpoint, request_for(melody, shared_noise=True))
    vectors = {"v": vector_of(melody)}
    assert torch.equal(
        decode(melody.checkpoint, request_for(melody, late, vectors, shared_noise=True)), plain
    )
    # The last frame alone is steered: the hook runs at every step, with strength 0 until then.
    nearly = decode(melody.checkpoint, request_for(melody, barely, vectors, shared_noise=True))
    assert torch.equal(nearly[:, 0, :11], plain[:, 0, :11])


def hand_written(
    model: Model, steering: Steering, vectors: dict[str, SteeringVector], guidance: float = 3.0
) -> torch.Tensor:
    """Decoding without cache, generate() or taps: one full forward pass per step."""
    c = model.checkpoint
    decoder = c.model.decoder
    conditioning = condition(c, PROMPTS, guided=guidance > 1)
    rows, states = 2, conditioning.states
    sampler = RowSampler(
        [Sampling(guidance=guidance, top_k=20)] * rows, [5, 6], torch.device("cpu")
    )
    length = 1 + FRAMES + c.shape.delay_frames
    holes = delay(torch.full((rows, c.shape.codebooks, FRAMES), -1), c.bos, c.shape.channels)
    tokens = holes[..., :1]
    for step in range(1, length):
        ids = tokens.repeat(2 if conditioning.guided else 1, 1, 1).flatten(0, 1)
        handles = hand_hooks(model, steering, vectors, conditioning)
        if conditioning.prefix:
            logits = decoder(input_ids=ids, encoder_hidden_states=states, use_cache=False).logits
        else:
            logits = c.model(
                encoder_outputs=(states,),
                attention_mask=conditioning.mask,
                decoder_input_ids=ids,
                use_cache=False,
            ).logits
        for handle in handles:
            handle.remove()
        new = sampler(logits[:, -1].view(-1, c.shape.codebooks, logits.shape[-1]), step)
        hole = holes[..., step]
        tokens = torch.cat([tokens, torch.where(hole == -1, new, hole)[..., None]], dim=-1)
    return undelay(tokens, c.shape.channels)


def hand_hooks(model: Model, steering: Steering, vectors, conditioning):
    """Hooks that edit every position after the prefix with the strength of its frame."""
    c, handles = model.checkpoint, []
    for place, steer in enumerate(steering.steers):
        vector = vectors[steer.vector]
        for index, layer in enumerate(c.layers):
            if steer.layers is not None and index not in steer.layers:
                continue
            if steer.strategy == "one-to-one" and index != steer.source_layer:
                continue
            source = index if steer.strategy == "all-to-all" else steer.source_layer
            direction, scales = vector[source], vector.info.frame_scales
            reader = vector.readers[source]

            def change(
                h,
                direction=direction,
                steer=steer,
                scales=scales,
                reader=reader,
                source=source,
                layer_index=index,
                place=place,
            ):
                copies = len(h) // 2
                positions = h.shape[1] - conditioning.prefix
                factors = (
                    steer.schedule.factors([p / c.shape.frame_rate for p in range(positions)])
                    if steer.schedule
                    else [1] * positions
                )
                s = torch.zeros(h.shape[0], h.shape[1], 1)
                s[:, conditioning.prefix :, 0] = steer.strength * torch.tensor(
                    factors, dtype=torch.float32
                )
                if steer.positions == "all":
                    s[:, : conditioning.prefix, 0] = steer.strength * float(factors[0])
                target = reading = None
                if steer.operator == "feature":
                    weights, bias, threshold = reader[:-2], reader[-2], reader[-1]
                    value = torch.relu(h @ weights + bias)
                    reading = (value * (value > threshold))[..., None]
                if steer.level is not None:
                    target = torch.zeros(h.shape[1], 1)
                    levels = steer.level * torch.tensor(
                        steer.level_schedule.factors(
                            [p / c.shape.frame_rate for p in range(positions)]
                        )
                        if steer.level_schedule
                        else [1.0] * positions,
                        dtype=torch.float32,
                    )
                    offset, unit = scales.means[source], scales.deviations[source]
                    if steer.operator == "feature":
                        offset, unit = 0.0, float(direction.norm())
                    target[:, 0] = offset + unit * float(levels[0])
                    target[conditioning.prefix :, 0] = offset + unit * levels
                if steer.gate < 1:
                    frames = torch.arange(positions).clamp(max=FRAMES - 1).expand(2, -1)
                    noise = uniform_gates(
                        torch.tensor([5, 6]), frames, torch.tensor([layer_index]), place
                    )
                    s[:, conditioning.prefix :, 0] *= (noise[0] < steer.gate).repeat(copies, 1)
                if steer.branch == "conditional":
                    s[2:] = 0
                if steer.branch == "unconditional":
                    s[:2] = 0
                low, high = (
                    steer.low if steer.low is not None else -torch.inf,
                    steer.high if steer.high is not None else torch.inf,
                )
                return apply(
                    steer.operator,
                    h,
                    direction,
                    s,
                    scale=steer.scale,
                    low=low,
                    high=high,
                    target=target,
                    reading=reading,
                )

            if vector.info.site == "residual":

                def after(_m, _a, out, change=change):
                    return (change(out[0]), *out[1:]) if isinstance(out, tuple) else change(out)

                handles.append(layer.register_forward_hook(after))
            elif vector.info.site == "heads":
                handles.append(
                    layer.self_attn.out_proj.register_forward_pre_hook(
                        lambda _m, a, change=change: (change(a[0]),)
                    )
                )
            else:
                owner = (
                    layer.encoder_attn if vector.info.site == "cross_attention" else layer.self_attn
                )
                handles.append(
                    owner.out_proj.register_forward_hook(
                        lambda _m, _a, out, change=change: change(out)
                    )
                )
    return handles


@pytest.mark.parametrize("name", STEERS)
@pytest.mark.parametrize("variant", ["small", "melody"])
def test_steering_equals_a_hand_written_loop(model_of, variant, name):
    model = model_of(variant)
    vectors = {"v": vector_of(model)}
    steering = Steering(steers=(STEERS[name],))
    ours = decode(model.checkpoint, request_for(model, steering, vectors))
    assert torch.equal(ours, hand_written(model, steering, vectors))
    assert not torch.equal(ours, decode(model.checkpoint, request_for(model)))


@pytest.mark.parametrize(
    ("variant", "site"),
    [
        ("small", "attention"),
        ("small", "cross_attention"),
        ("small", "heads"),
        ("melody", "attention"),
        ("melody", "heads"),
        ("stereo-small", "residual"),
        ("stereo-melody", "residual"),
    ],
)
def test_every_site_equals_a_hand_written_loop(model_of, variant, site):
    model = model_of(variant)
    vectors = {"v": vector_of(model, site=site)}
    steering = Steering(steers=(STEERS["add"],))
    ours = decode(model.checkpoint, request_for(model, steering, vectors))
    assert torch.equal(ours, hand_written(model, steering, vectors))
    assert not torch.equal(ours, decode(model.checkpoint, request_for(model)))


def test_two_vectors_are_applied_in_order(melody):
    vectors = {"v": vector_of(melody), "w": vector_of(melody, name="w", seed=1)}
    steers = (
        Steer(vector="v", strength=1.0, source_layer=1),
        Steer(vector="w", operator="remove", source_layer=1),
    )
    forward = decode(melody.checkpoint, request_for(melody, Steering(steers=steers), vectors))
    assert torch.equal(forward, hand_written(melody, Steering(steers=steers), vectors))
    assert not torch.equal(
        forward,
        decode(melody.checkpoint, request_for(melody, Steering(steers=steers[::-1]), vectors)),
    )


def test_each_row_of_a_batch_is_steered_by_its_own_vector_and_strength(melody):
    c = melody.checkpoint
    vectors = {"v": vector_of(melody), "w": vector_of(melody, name="w", seed=1)}
    steerings = [
        Steering(steers=(Steer(vector="v", strength=1.5, source_layer=1),)),
        Steering(
            steers=(
                Steer(vector="w", strength=-1.0, source_layer=2, schedule=Schedule.ramp(0, 0.4)),
            )
        ),
    ]
    mixed = DecodeRequest(
        condition(c, PROMPTS, guided=True),
        FRAMES,
        [Sampling(top_k=20)] * 2,
        [5, 6],
        resolve(steerings, vectors, c.shape, FRAMES, c.device),
    )
    codes = decode(c, mixed)
    for row, steering in enumerate(steerings):
        assert torch.equal(codes[row], decode(c, request_for(melody, steering, vectors))[row])


def test_a_rows_codes_do_not_depend_on_its_neighbours_settings(melody):
    c = melody.checkpoint
    alone = decode(c, request_for(melody))
    mixed = DecodeRequest(
        condition(c, PROMPTS, guided=True),
        FRAMES,
        [Sampling(top_k=20), Sampling(guidance=1.0, temperature=0.5, top_p=0.5)],
        [5, 99],
        (),
    )
    codes = decode(c, mixed)
    assert torch.equal(codes[0], alone[0])
    assert not torch.equal(codes[1], alone[1])


def test_hooks_are_removed_after_an_exception(melody):
    c = melody.checkpoint
    before = decode(c, request_for(melody))

    def broken(_h, _span):
        raise RuntimeError("broken tap")

    request = request_for(melody)
    taps = {("residual", 0): [broken]}
    with (
        pytest.raises(RuntimeError, match="broken tap"),
        tapped(c, taps, request.conditioning.prefix),
    ):
        decode(c, request)
    with pytest.raises(KeyboardInterrupt):
        decode(
            c,
            request_for(melody, Steering(steers=(STEERS["add"],)), {"v": vector_of(melody)}),
            progress=_interrupt,
        )
    assert not any(
        module._forward_hooks or module._forward_pre_hooks for module in c.model.modules()
    )
    assert "decode" not in vars(c.model.audio_encoder)
    assert torch.equal(decode(c, request_for(melody)), before)


BOS, PREFIX = 64, 5


def span_of(tokens: list[int], past: int | None = None, keyword: str = "cache"):
    """Span of a call with tokens of two codebooks, and a cache of `past` positions."""
    kwargs = {"input_ids": torch.tensor([tokens, tokens]), "attention_mask": None}
    if past is not None:
        kwargs[keyword] = transformers.DynamicCache()
        if past:
            kwargs[keyword].update(torch.zeros(1, 1, past, 1), torch.zeros(1, 1, past, 1), 0)
    clock = hooks._Clock(PREFIX, BOS)
    clock.before_forward(None, (), kwargs)
    return clock.running


@pytest.mark.parametrize("keyword", ["past_key_values", "cache", "any_other_name"])
def test_positions_do_not_depend_on_the_name_of_the_cache(keyword):
    assert span_of([BOS, 1, 2], 0, keyword) == span_of([BOS, 1, 2]) == Span(PREFIX, 0, PREFIX + 3)
    assert span_of([7], PREFIX + 3, keyword) == Span(0, 3, 1)


@pytest.mark.parametrize(("tokens", "past"), [([7], None), ([7], 0), ([7], PREFIX), ([BOS], 9)])
def test_a_call_whose_cache_and_tokens_disagree_is_refused(tokens, past):
    with pytest.raises(TonearmError, match=f"transformers {transformers.__version__} calls") as e:
        span_of(tokens, past)
    assert "\n" not in str(e.value)


def test_calls_without_tokens_or_with_two_caches_are_refused():
    clock = hooks._Clock(PREFIX, BOS)
    with pytest.raises(TonearmError, match="no tensor of tokens"):
        clock.before_forward(None, (), {"codes": torch.tensor([[BOS]])})
    caches = {name: transformers.DynamicCache() for name in ("own", "text")}
    with pytest.raises(TonearmError, match="2 caches"):
        clock.before_forward(None, (torch.tensor([[BOS]]),), caches)
    with pytest.raises(TonearmError, match="outside the decoder's own call"):
        clock.span(1)


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_steering_is_never_dropped_silently(model_of, variant, monkeypatch):
    """A cache that is not recognised stops the take at its second step."""
    model = model_of(variant)
    request = request_for(model, Steering(steers=(STEERS["add"],)), {"v": vector_of(model)})
    monkeypatch.setattr(hooks.transformers, "Cache", type("Other", (), {}))
    with pytest.raises(TonearmError, match="continues earlier codes"):
        decode(model.checkpoint, request)


def fresh(model: Model) -> Model:
    """The model with engine reference, as if it had not been used."""
    self_check._checked.discard(model.checkpoint.model)
    return model.with_engine("reference")


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_self_check_passes_once_and_changes_nothing(model_of, variant, monkeypatch):
    model = fresh(model_of(variant))
    weights = {name: one.clone() for name, one in model.checkpoint.model.state_dict().items()}
    state = torch.get_rng_state()
    calls = []
    real = reference.decode
    monkeypatch.setattr(reference, "decode", lambda c, *more: calls.append(c) or real(c, *more))
    for _ in range(2):
        model.engine.decode(request_for(model))
    assert [c is model.checkpoint for c in calls] == [False, False, True, True]
    assert torch.equal(torch.get_rng_state(), state)
    after = model.checkpoint.model.state_dict()
    assert weights.keys() == after.keys() and not model.checkpoint.consumed
    assert all(torch.equal(one, after[name]) for name, one in weights.items())


def test_the_self_check_finds_steering_that_does_not_act(melody, monkeypatch):
    real = reference.decode
    monkeypatch.setattr(
        reference, "decode", lambda c, r, *more: real(c, replace(r, plan=()), *more)
    )
    with pytest.raises(
        TonearmError, match=f"{transformers.__version__} .*decoder with steering"
    ) as error:
        fresh(melody).generate("a fast tune", seconds=0.5, seed=1)
    assert "\n" not in str(error.value)


def test_the_self_check_finds_other_codes(small, monkeypatch):
    real = reference.decode
    monkeypatch.setattr(reference, "decode", lambda *all_: (real(*all_) + 1) % 64)
    with pytest.raises(TonearmError, match="decoder without steering"):
        fresh(small).generate("a fast tune", seconds=0.5, seed=1)


def test_an_engine_made_to_test_the_decoder_does_not_check_itself(small, monkeypatch):
    self_check._checked.discard(small.checkpoint.model)
    monkeypatch.setattr(self_check, "_requests", None)
    ReferenceEngine(small.checkpoint).decode(request_for(small))


def _interrupt(done: int, _all: int) -> None:
    if done == 3:
        raise KeyboardInterrupt


def test_undelay_inverts_delay():
    for channels, books in ((1, 4), (2, 8), (1, 6)):
        codes = torch.randint(0, 50, (2, books, 9))
        tokens = delay(codes, 99, channels)
        assert torch.equal(undelay(tokens, channels), codes)
        assert (tokens[:, :, 0] == 99).all()
        assert tokens[0, channels, 1] == 99 and tokens[0, channels, 2] == codes[0, channels, 0]


@pytest.mark.parametrize("variant", ["small", "melody", "stereo-melody"])
def test_prompts_change_the_codes(model_of, variant):
    """Some releases of transformers ignored the text on the melody model."""
    model = model_of(variant)
    rows = [
        TakeRequest(text, 1, seconds=0.5) for text in ("a fast folk tune", "slow dark jazz piece")
    ]
    first, second = model.generate_batch(rows)
    assert (first.codes != second.codes).any()


def test_a_negative_prompt_replaces_the_null_text(model_of):
    for variant in ("small", "melody"):
        model = model_of(variant)
        plain = model.generate("a fast tune", seconds=0.5, seed=1)
        negated = model.generate("a fast tune", seconds=0.5, seed=1, negative="slow jazz")
        assert (plain.codes != negated.codes).any()
        # With the prompt as its own negative, both branches agree and guidance has no effect.
        same = model.generate("a fast tune", seconds=0.5, seed=1, negative="a fast tune")
        assert (
            same.codes == model.generate("a fast tune", seconds=0.5, seed=1, guidance=1.0).codes
        ).all()
