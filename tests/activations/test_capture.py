"""Captured rows against plain forward hooks on whole sequences of transformers."""

from contextlib import contextmanager

import pytest
import torch

from tonearm.activations import CaptureSpec, capture_moments, capture_rows
from tonearm.activations.pooling import EVERY_FRAMES
from tonearm.errors import TonearmError
from tonearm.hashing import hash_texts
from tonearm.model import Model
from tonearm.musicgen.checkpoint import load_checkpoint
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.delay import delay
from tonearm.musicgen.engine import DecoderEngine

PROMPTS = ["a fast folk tune", "slow jazz piece with flute and piano", "calm"]
EVEN = ["a fast folk tune", "slow dark jazz piece", "loud bright piano tune"]  # not padded
SECONDS = 0.4


def in_order(batches) -> torch.Tensor:
    """Rows of all batches in the order of their examples, [n, L, D]."""
    batches = list(batches)
    rows = torch.cat([batch.rows for batch in batches])
    examples = torch.cat([batch.examples for batch in batches])
    return rows[examples.argsort(stable=True)]


def rows_of(model: Model, prompts, **settings) -> torch.Tensor:
    spec = CaptureSpec(**{"seconds": SECONDS} | settings)
    return in_order(capture_rows(model.engine, prompts, spec))


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


def states_by_hand(
    model: Model, prompt: str, site: str, seconds: float = SECONDS, seed: int = 0
) -> tuple[torch.Tensor, int]:
    """States [L, P + S, D] of one prompt and a generated take in one forward pass, and P."""
    c = model.checkpoint
    take = model.generate(prompt, seconds=seconds, seed=seed)
    # The last position is sampled and never read.
    tokens = delay(torch.from_numpy(take.codes)[None], c.bos, c.shape.channels)[..., :-1]
    conditioning = condition(c, [prompt], guided=False)
    with torch.no_grad(), plain_hooks(model, site) as seen:
        if c.shape.text_in_prefix:
            c.model.decoder(
                input_ids=tokens[0], encoder_hidden_states=conditioning.states, use_cache=False
            )
        else:
            c.model(
                encoder_outputs=(conditioning.states,),
                attention_mask=conditioning.mask,
                decoder_input_ids=tokens[0],
                use_cache=False,
            )
    return torch.stack([seen[i][0] for i in range(c.shape.layer_count)]), conditioning.prefix


def pooled_by_hand(model: Model, prompt: str, site: str) -> dict[str, torch.Tensor]:
    states, prefix = states_by_hand(model, prompt, site)
    codes = states[:, prefix:]
    expected = {"first": codes[:, 0], "last": codes[:, -1], "mean": codes.mean(1)}
    if prefix:
        expected["eos"] = states[:, prefix - 1]
    return expected


SITES = [
    ("small", "residual"),
    ("small", "attention"),
    ("small", "cross_attention"),
    ("small", "heads"),
    ("melody", "residual"),
    ("melody", "attention"),
    ("melody", "heads"),
    ("stereo-small", "residual"),
    ("stereo-melody", "residual"),
]


@pytest.mark.parametrize(("variant", "site"), SITES)
def test_rows_equal_those_of_plain_hooks(model_of, variant, site):
    model = model_of(variant)
    for pooling, expected in pooled_by_hand(model, PROMPTS[0], site).items():
        row = rows_of(model, PROMPTS[:1], site=site, pooling=pooling)[0]
        assert row.dtype == torch.float32
        assert row.shape == (model.shape.layer_count, model.shape.width)
        assert torch.allclose(row, expected, atol=1e-4), pooling


@pytest.mark.parametrize("variant", ["small", "melody"])
def test_pooling_frames_yields_several_rows_per_example(model_of, variant):
    model, seconds = model_of(variant), 2.2
    spec = CaptureSpec(pooling="frames", seconds=seconds)
    batches = list(capture_rows(model.engine, EVEN, spec))
    (batch,) = batches
    # 55 frames and the delay: positions 0, 25 and 50
    assert batch.rows.shape == (9, model.shape.layer_count, model.shape.width)
    assert batch.examples.bincount().tolist() == [3, 3, 3]
    for index, prompt in enumerate(EVEN):
        states, prefix = states_by_hand(model, prompt, "residual", seconds, seed=index)
        expected = states[:, prefix:][:, ::EVERY_FRAMES].transpose(0, 1)
        assert torch.allclose(batch.rows[batch.examples == index], expected, atol=1e-4)


def test_example_indices_count_prompts_over_all_batches(melody):
    spec = CaptureSpec(pooling="frames", seconds=1.2, batch_size=2)
    batches = list(capture_rows(melody.engine, [*PROMPTS, *EVEN], spec))
    # Padded lengths differ, so batches are in the order of the lengths.
    assert [sorted(set(batch.examples.tolist())) for batch in batches] == [[2], [0, 3], [4, 5], [1]]
    rows = in_order(batches)
    alone = in_order(capture_rows(melody.engine, PROMPTS[:1], spec))
    assert len(rows) == 12 and torch.allclose(rows[:2], alone, atol=1e-5)


@pytest.mark.parametrize("pooling", ["first", "last", "mean"])
def test_rows_do_not_depend_on_batch_size_or_padding_of_cross_attended_text(small, pooling):
    one, two, three = (
        rows_of(small, PROMPTS, pooling=pooling, batch_size=size) for size in (1, 2, 3)
    )
    assert torch.allclose(one, two, atol=1e-5) and torch.allclose(one, three, atol=1e-5)


@pytest.mark.parametrize("pooling", ["eos", "first", "last", "mean"])
def test_rows_do_not_depend_on_batch_size_on_prefix_checkpoints(melody, pooling):
    # Prefix checkpoints read padding, so prompts of unequal length never share a batch.
    one, two, six = (
        rows_of(melody, [*PROMPTS, *EVEN], pooling=pooling, batch_size=size) for size in (1, 2, 6)
    )
    assert torch.allclose(one, two, atol=1e-5) and torch.allclose(one, six, atol=1e-5)


def test_the_eos_is_found_on_either_side_of_padding(melody, folder_of):
    right = condition(melody.checkpoint, PROMPTS, guided=True)
    chroma = right.prefix - right.text_ids.shape[1]
    assert (right.eos_positions - chroma).tolist() == [4, 7, 1]
    padded_left = load_checkpoint(str(folder_of("melody")), "cpu")
    padded_left.tokenizer.padding_side = "left"
    left = condition(padded_left, PROMPTS, guided=True)
    assert (left.eos_positions == left.prefix - 1).all() and (left.text_mask[:, -1] == 1).all()
    eos = left.text_ids[torch.arange(3), left.eos_positions - chroma]
    assert (eos == padded_left.tokenizer.eos_token_id).all()
    spec = CaptureSpec(pooling="eos")
    rows = in_order(capture_rows(DecoderEngine(padded_left), PROMPTS, spec))
    assert torch.equal(rows, rows_of(melody, PROMPTS, pooling="eos"))


def test_rows_are_yielded_batch_by_batch_with_progress(small):
    reports = []
    spec = CaptureSpec(pooling="first", batch_size=2)
    batches = capture_rows(small.engine, PROMPTS, spec, lambda *report: reports.append(report))
    first = next(batches)
    assert first.rows.shape == (2, 3, 32) and first.examples.tolist() == [0, 1]
    assert reports == []  # nothing is captured ahead
    assert [len(batch.rows) for batch in batches] == [1]
    assert reports == [(2, 3), (3, 3)]


def test_each_prompt_has_its_own_seed(small):
    twice = rows_of(small, ["calm", "calm"], pooling="mean")
    assert not torch.equal(twice[0], twice[1])
    assert torch.equal(twice, rows_of(small, ["calm", "calm"], pooling="mean"))
    assert torch.allclose(twice[1], rows_of(small, ["calm"], pooling="mean", seed=1)[0], atol=1e-5)


def test_moments_are_those_of_the_rows(small):
    moments = capture_moments(small.engine, PROMPTS, CaptureSpec(pooling="first", batch_size=2))
    rows = rows_of(small, PROMPTS, pooling="first", batch_size=2).double()
    assert moments.count == 3
    assert torch.allclose(moments.mean, rows.mean(0))
    assert torch.allclose(moments.variance, rows.var(0, unbiased=False))


@pytest.mark.parametrize(
    ("variant", "spec", "message"),
    [
        ("small", CaptureSpec(pooling="eos"), "use mean, first or last"),
        ("small", CaptureSpec(pooling="middle"), "use one of eos"),
        ("melody", CaptureSpec(site="cross_attention"), "use one of residual, attention, heads"),
        ("small", CaptureSpec(site="nowhere"), "cross_attention"),
        ("small", CaptureSpec(batch_size=0), "batch size 0"),
        ("small", CaptureSpec(seconds=float("nan")), "nan s"),
        ("small", CaptureSpec(seconds=0), "0 s"),
        ("small", CaptureSpec(seconds=31), "31 s"),
    ],
)
def test_impossible_captures_are_refused(model_of, variant, spec, message):
    with pytest.raises(TonearmError, match=message):
        next(capture_rows(model_of(variant).engine, PROMPTS, spec))


def test_an_empty_list_of_prompts_is_refused(small):
    with pytest.raises(TonearmError, match="no prompts"):
        capture_moments(small.engine, [], CaptureSpec())


def test_the_default_pooling_is_that_of_the_checkpoint(small, melody):
    assert CaptureSpec().resolved(small.shape).pooling == "mean"
    assert CaptureSpec().resolved(melody.shape).pooling == "eos"


def test_the_hash_of_prompt_sets_depends_on_order_and_side():
    assert hash_texts(["a", "b"], ["c"]) == hash_texts(("a", "b"), ("c",))
    others = [
        hash_texts(["c"], ["a", "b"]),
        hash_texts(["a"], ["b", "c"]),
        hash_texts(["ab"], ["c"]),
        hash_texts(["b", "a"], ["c"]),
    ]
    assert len({hash_texts(["a", "b"], ["c"]), *others}) == 5
