"""Captured rows against plain forward hooks written out here, on whole sequences that transformers itself made."""

from contextlib import contextmanager

import pytest
import torch

from tonearm.activations import CaptureSpec, capture_moments, capture_rows, hash_of
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.delay import delay

PROMPTS = ["a fast folk tune", "slow jazz piece with flute and piano", "calm"]
EVEN = ["a fast folk tune", "slow dark jazz piece", "loud bright piano tune"]  # of equal length: no padding
SECONDS = 0.4


def rows_of(model: Model, prompts, **what) -> torch.Tensor:
    return torch.cat(list(capture_rows(model.engine, prompts, CaptureSpec(seconds=SECONDS, **what))))


@contextmanager
def plain_hooks(model: Model, site: str):
    """{layer: activations of the latest forward call}, read without taps."""
    seen, handles = {}, []
    for index, layer in enumerate(model.checkpoint.layers):
        attention = layer.encoder_attn if site == "cross_attention" else layer.self_attn

        def keep(_module, _args, output, index=index):
            seen[index] = output[0] if isinstance(output, tuple) else output

        def keep_input(_module, args, index=index):
            seen[index] = args[0]

        if site == "residual":
            handles.append(layer.register_forward_hook(keep))
        elif site == "heads":
            handles.append(attention.out_proj.register_forward_pre_hook(keep_input))
        else:
            handles.append(attention.out_proj.register_forward_hook(keep))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def by_hand(model: Model, prompt: str, site: str, seed: int = 0) -> dict[str, torch.Tensor]:
    """One prompt, unpadded, no cache: the whole sequence (text, then a generated take's tokens) in one forward pass."""
    c = model.checkpoint
    take = model.generate(prompt, seconds=SECONDS, seed=seed)
    tokens = delay(torch.from_numpy(take.codes)[None], c.bos, c.channels)[..., :-1]  # the last position is never fed
    conditioning = condition(c, [prompt], guided=False)
    with torch.no_grad(), plain_hooks(model, site) as seen:
        if c.family.text_in_prefix:
            c.model.decoder(input_ids=tokens[0], encoder_hidden_states=conditioning.states, use_cache=False)
        else:
            c.model(
                encoder_outputs=(conditioning.states,), attention_mask=conditioning.mask, decoder_input_ids=tokens[0],
                use_cache=False,
            )  # fmt: skip
    states = torch.stack([seen[i][0] for i in range(c.layer_count)])  # [L, P + S, D]
    prefix = conditioning.prefix
    words = len(c.tokenizer(prompt).input_ids)
    chroma = prefix - words
    codes = states[:, prefix:]
    expected = {"first": codes[:, 0], "last": codes[:, -1], "mean": codes.mean(1)}
    if prefix:
        expected["eos"] = states[:, chroma + words - 1]
    return expected


@pytest.mark.parametrize(
    ("variant", "site"),
    [("small", "residual"), ("small", "attention"), ("small", "cross_attention"), ("small", "heads"),
     ("melody", "residual"), ("melody", "attention"), ("melody", "heads"), ("stereo-small", "residual"),
     ("stereo-melody", "residual")],
)  # fmt: skip
def test_rows_equal_those_of_plain_hooks(model_of, variant, site):
    model = model_of(variant)
    for pooling, expected in by_hand(model, PROMPTS[0], site).items():
        row = rows_of(model, PROMPTS[:1], site=site, pooling=pooling)[0]
        assert row.dtype == torch.float32 and row.shape == (model.checkpoint.layer_count, model.checkpoint.width)
        assert torch.allclose(row, expected, atol=1e-4), pooling


@pytest.mark.parametrize("pooling", ["first", "last", "mean"])
def test_rows_do_not_depend_on_batch_size_nor_padding_where_text_is_cross_attended(small, pooling):
    one, two, all_ = (rows_of(small, PROMPTS, pooling=pooling, batch_size=size) for size in (1, 2, 3))
    assert torch.allclose(one, two, atol=1e-5) and torch.allclose(one, all_, atol=1e-5)


@pytest.mark.parametrize("pooling", ["eos", "first", "last", "mean"])
def test_rows_do_not_depend_on_batch_size_where_text_is_a_prefix(melody, pooling):
    # Padding would be read by prefix checkpoints; prompts of unequal length never share a batch.
    one, two, all_ = (rows_of(melody, [*PROMPTS, *EVEN], pooling=pooling, batch_size=size) for size in (1, 2, 6))
    assert torch.allclose(one, two, atol=1e-5) and torch.allclose(one, all_, atol=1e-5)


def test_the_eos_is_found_on_either_side_of_padding(melody):
    tokenizer = melody.checkpoint.tokenizer
    right = condition(melody.checkpoint, PROMPTS, guided=True)
    chroma = right.prefix - right.text_ids.shape[1]
    assert (right.eos_positions - chroma).tolist() == [4, 7, 1]
    tokenizer.padding_side = "left"
    try:
        left = condition(melody.checkpoint, PROMPTS, guided=True)
        rows = rows_of(melody, PROMPTS, pooling="eos")
    finally:
        tokenizer.padding_side = "right"
    assert (left.eos_positions == left.prefix - 1).all()
    assert torch.equal(rows, rows_of(melody, PROMPTS, pooling="eos"))
    ids, mask = left.text_ids, left.text_mask
    assert (ids[torch.arange(3), left.eos_positions - chroma] == tokenizer.eos_token_id).all() and (
        mask[:, -1] == 1
    ).all()


def test_one_tensor_is_yielded_for_each_batch_and_progress_is_told(small):
    told = []
    batches = capture_rows(
        small.engine, PROMPTS, CaptureSpec(pooling="first", batch_size=2), lambda *at: told.append(at)
    )
    assert next(batches).shape == (2, 3, 32) and told == []  # nothing is read ahead
    assert [len(rows) for rows in batches] == [1]
    assert told == [(2, 3), (3, 3)]


def test_seeds_belong_to_prompts_so_that_music_differs_but_repeats(small):
    same = rows_of(small, ["calm", "calm"], pooling="mean")
    assert not torch.equal(same[0], same[1])
    assert torch.equal(same, rows_of(small, ["calm", "calm"], pooling="mean"))
    assert torch.allclose(same[1], rows_of(small, ["calm"], pooling="mean", seed=1)[0], atol=1e-5)


def test_moments_are_those_of_the_rows(small):
    what = CaptureSpec(pooling="first", batch_size=2)
    moments = capture_moments(small.engine, PROMPTS, what)
    rows = torch.cat(list(capture_rows(small.engine, PROMPTS, what))).double()
    assert moments.count == 3
    assert torch.allclose(moments.mean, rows.mean(0)) and torch.allclose(moments.variance, rows.var(0, unbiased=False))


@pytest.mark.parametrize(
    ("variant", "what", "message"),
    [
        ("small", CaptureSpec(pooling="eos"), "use mean, first or last"), ("small", CaptureSpec(pooling="middle"), "use one of eos"),
        ("melody", CaptureSpec(site="cross_attention"), "use one of residual, attention, heads"),
        ("small", CaptureSpec(site="nowhere"), "cross_attention"), ("small", CaptureSpec(batch_size=0), "batch size 0"),
        ("small", CaptureSpec(seconds=float("nan")), "nan s"), ("small", CaptureSpec(seconds=0), "0 s"),
        ("small", CaptureSpec(seconds=31), "31 s"),
    ],
)  # fmt: skip
def test_what_cannot_be_captured_is_refused(model_of, variant, what, message):
    with pytest.raises(TonearmError, match=message):
        next(capture_rows(model_of(variant).engine, PROMPTS, what))


def test_no_prompts_are_refused(small):
    with pytest.raises(TonearmError, match="no prompts"):
        capture_moments(small.engine, [], CaptureSpec())


def test_pooling_left_out_is_the_familys(small, melody):
    assert CaptureSpec().resolved(small.checkpoint).pooling == "mean"
    assert CaptureSpec().resolved(melody.checkpoint).pooling == "eos"


def test_the_data_hash_tells_sets_apart():
    assert hash_of(["a", "b"], ["c"]) == hash_of(("a", "b"), ("c",))
    others = [
        hash_of(["c"], ["a", "b"]),
        hash_of(["a"], ["b", "c"]),
        hash_of(["ab"], ["c"]),
        hash_of(["b", "a"], ["c"]),
    ]
    assert len({hash_of(["a", "b"], ["c"]), *others}) == 5
