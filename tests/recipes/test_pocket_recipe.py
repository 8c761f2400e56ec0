"""Recipe of pocket: ground truth, captions, batches, initial weights, growth and resuming."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import MusicgenMelodyForConditionalGeneration, T5EncoderModel
from transformers.utils import ModelOutput

pytest.importorskip("transformers")

from recipes.pocket import decoder, vocabulary
from recipes.pocket.attention import BLOCK, causal_attention, use_causal_blocks
from recipes.pocket.batches import (
    FRAMES,
    IGNORED,
    SHIFT_FRAMES,
    Pieces,
    corrupt_history,
    drop_history,
    teacher_forced,
)
from recipes.pocket.beat_aux_loss import BeatHead, beat_targets
from recipes.pocket.beat_init import CHROMA_FRAMES, coordinates, counted_frequencies
from recipes.pocket.captions import UNKNOWN, build_tokenizer, caption
from recipes.pocket.codec import build_codec
from recipes.pocket.corpus import MELODY_FRAMES
from recipes.pocket.data_parallel import Replica, run
from recipes.pocket.decoder import build_model, code_losses, grow, per_codebook, train_decoder
from recipes.pocket.growth import LAYERS, copy_into_deeper, kept_layers
from recipes.pocket.initial import LOOKBACK_HEADS, MELODY_HEADS, TEXT_HEADS, lookback_distances
from recipes.pocket.settings import Settings
from recipes.pocket.text import init_number_embeddings, number_ids, text_config, train_text_encoder

from tests.recipes.training_runs import assert_equal_states, train_with_interruption
from tonearm.datasets.rendering.compose import BEAT_FRAMES, BPM_NUMBERS, FRAMES_PER_CLIP, compose

SEEDS = range(60)
SETTINGS = Settings(codebooks=2, codebook_size=16, layers=2)


@pytest.fixture(scope="module")
def pieces(tmp_path_factory):
    """Eight pieces with random codes."""
    folder = tmp_path_factory.mktemp("pieces")
    for name in ("corpus", "codes"):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    np.save(
        folder / "codes" / "train-0000.npy",
        rng.integers(0, 16, (8, 2, FRAMES_PER_CLIP)).astype(np.int16),
    )
    labels = "".join(json.dumps(compose(seed).labels()) + "\n" for seed in range(8))
    (folder / "corpus" / "train-0000.jsonl").write_text(labels)
    with (folder / "corpus" / "train-0000.melody").open("wb") as file:
        np.save(file, rng.integers(0, 12, (8, MELODY_FRAMES)).astype(np.uint8))
    return Pieces(
        folder / "corpus", folder, "train", build_tokenizer(SETTINGS.text_tokens), SETTINGS
    )


@pytest.fixture(scope="module")
def model(pieces):
    torch.manual_seed(0)
    text_encoder = T5EncoderModel(text_config(SETTINGS, pieces.tokenizer))
    return build_model(SETTINGS, text_encoder, build_codec(SETTINGS)).eval()


@pytest.fixture
def given(model, monkeypatch):
    """Arguments that the model's forward pass receives, for eight rows; it returns zeros."""
    inputs = {}
    silent = ModelOutput(
        logits=torch.zeros(16, FRAMES + 1, 16),
        hidden_states=[torch.zeros(8, FRAMES + 1, SETTINGS.width)] * 3,
    )
    monkeypatch.setattr(model, "forward", lambda **given: inputs.update(given) or silent)
    return inputs


def test_a_piece_depends_on_its_seed_only():
    assert all(compose(seed) == compose(seed) for seed in SEEDS)
    assert len({tuple(compose(seed).notes) for seed in SEEDS}) == len(SEEDS)


def test_every_piece_has_notes_on_its_beats():
    for seed in SEEDS:
        piece = compose(seed)
        assert abs(piece.bpm * piece.beat_frames - 1500) < 1e-9  # 60 s x 25 frames
        assert piece.tempo in BEAT_FRAMES
        starts = {note.frame for note in piece.notes}
        beats = set(range(0, FRAMES_PER_CLIP, piece.beat_frames))
        assert len(starts & beats) >= 0.5 * len(beats)
        assert all(
            0 <= note.frame < FRAMES_PER_CLIP and 0 < note.key < 128 and note.velocity > 0
            for note in piece.notes
        )


def test_labels_are_balanced():
    genres = [compose(seed).genre for seed in range(700)]
    assert all(60 <= genres.count(genre) <= 140 for genre in vocabulary.GENRE)


def test_captions_fit_and_contain_only_words_of_the_tokenizer(tmp_path):
    tokenizer = build_tokenizer(24, tmp_path)
    for seed in range(200):
        text = caption(compose(seed).labels(), np.random.default_rng(seed))
        ids = tokenizer(text).input_ids
        assert len(ids) <= 24 and ids[-1] == tokenizer.eos_token_id
        assert ids.count(tokenizer.unk_token_id) == text.count(UNKNOWN)
    assert all(len(tokenizer(str(bpm)).input_ids) == 2 for bpm in BPM_NUMBERS)


def test_a_caption_contains_no_word_of_another_value():
    for seed in range(300):
        labels = compose(seed).labels()
        words = set(caption(labels, np.random.default_rng(seed)).replace(",", "").split())
        for tempo, synonyms in vocabulary.TEMPO.items():
            assert tempo == labels["tempo"] or not words & set(synonyms)
        for brightness, synonyms in vocabulary.BRIGHTNESS.items():
            assert brightness == labels["brightness"] or not words & set(synonyms)


def test_teacher_forcing_predicts_each_code_from_earlier_ones():
    codes = torch.arange(12).view(1, 3, 4)
    inputs, targets = teacher_forced(codes, bos=99)
    assert inputs.shape == targets.shape == (1, 3, 6)
    assert inputs[0].tolist() == [
        [99, 0, 1, 2, 3, 99],
        [99, 99, 4, 5, 6, 7],
        [99, 99, 99, 8, 9, 10],
    ]
    assert targets[0].tolist() == [
        [0, 1, 2, 3, IGNORED, IGNORED],
        [IGNORED, 4, 5, 6, 7, IGNORED],
        [IGNORED, IGNORED, 8, 9, 10, 11],
    ]


def test_frames_before_the_piece_are_input_only():
    codes = torch.arange(8).view(1, 2, 4)
    inputs, targets = teacher_forced(codes, bos=99, begins=torch.tensor([2]))
    assert inputs[0].tolist() == [[99, 0, 1, 2, 3], [99, 99, 4, 5, 6]]
    assert targets[0].tolist() == [
        [IGNORED, IGNORED, 2, 3, IGNORED],
        [IGNORED, IGNORED, IGNORED, 6, 7],
    ]


def test_a_spliced_row_is_another_piece_followed_by_the_start_of_its_own(pieces):
    batch = pieces.draw(np.arange(8), np.random.default_rng(0), spliced_share=1.0)
    assert (batch.begins > 0).all()
    for row, begin in enumerate(batch.begins.tolist()):
        assert torch.equal(
            batch.codes[row, :, begin:],
            torch.from_numpy(pieces.codes[row, :, : FRAMES - begin]).long(),
        )
        others = [torch.from_numpy(piece[:, :begin]).long() for piece in pieces.codes]
        assert any(torch.equal(batch.codes[row, :, :begin], other) for other in others)
    assert not pieces.draw(np.arange(8), np.random.default_rng(0)).begins.any()


def test_rows_with_a_melody_contain_it_from_their_first_frame_on(pieces):
    silent = pieces.draw(np.arange(8), np.random.default_rng(0)).chroma
    assert (silent.argmax(-1) == 0).all()
    batch = pieces.draw(np.arange(8), np.random.default_rng(3), melody_share=1.0)
    latest = round(SHIFT_FRAMES[1] / CHROMA_FRAMES)
    known = MELODY_FRAMES - latest  # frames present for any start
    for row, chroma in enumerate(batch.chroma.argmax(-1).numpy()):
        agreement = [
            np.mean(chroma[:known] == pieces.melodies[row][at : at + known])
            for at in range(latest + 1)
        ]
        assert max(agreement) > 0.85
    assert (
        not pieces.draw(np.arange(8), np.random.default_rng(0), spliced_share=1.0, melody_share=1.0)
        .chroma.argmax(-1)
        .any()
    )


def test_rows_without_text_have_no_melody(pieces, model, given):
    batch = pieces.draw(np.arange(8), np.random.default_rng(3), melody_share=1.0)
    code_losses(model, batch, 0.5, np.random.default_rng(0))
    unconditional = given["attention_mask"].sum(1) == 0
    assert 0 < unconditional.sum() < 8
    assert (given["input_features"][unconditional].argmax(-1) == 0).all()
    assert torch.equal(given["input_features"][~unconditional], batch.chroma[~unconditional])


def test_unconditional_rows_are_spliced_too(pieces, model, given):
    """Otherwise guidance would start a new piece at every frame.

    It amplifies the effect of the caption.
    """
    batch = pieces.draw(np.arange(8), np.random.default_rng(0), spliced_share=1.0)
    code_losses(model, batch, 0.5, np.random.default_rng(0))
    assert 0 < (given["attention_mask"].sum(1) == 0).sum() < 8


def test_the_first_frames_after_a_splice_have_the_largest_weight(pieces, model):
    batch = pieces.draw(np.arange(2), np.random.default_rng(0))
    batch.first_frames[1] = -100
    with torch.no_grad():
        losses, weights, _ = code_losses(model, batch, 0.0, np.random.default_rng(0))
    assert (weights[1, 0, :100] == 0).all() and (losses[1, 0, :100] == 0).all()
    assert weights[1, 0, 100] == weights[0, 0, 0] == 3 and weights[0, 0, 60] == 1
    assert (weights[:, 1, 0] == 0).all()  # the second codebook is delayed by one
    assert per_codebook(losses, weights).shape == (SETTINGS.codebooks,)


def test_heads_initially_attend_to_one_distance_the_melody_or_the_eos(pieces, model):
    """For any codes and position, most attention is near the distance, or the end of the text."""
    batch = pieces.draw(np.arange(2), np.random.default_rng(0))
    decoder, heads = model.decoder.model.decoder, SETTINGS.heads
    inputs, _ = teacher_forced(batch.codes, model.config.decoder.pad_token_id)
    with torch.no_grad():
        embedded = sum(table(inputs[:, k]) for k, table in enumerate(decoder.embed_tokens))
        melody = model.audio_enc_to_dec_proj(batch.chroma)
        text = model.enc_to_dec_proj(torch.randn(2, SETTINGS.text_tokens, SETTINGS.text_width))
        stream = torch.cat([melody, text, embedded], dim=1)
        hidden = decoder.layers[0].self_attn_layer_norm(stream + decoder.embed_positions(stream))
        attention = decoder.layers[0].self_attn

        def split(x):
            return x.unflatten(-1, (heads, -1)).transpose(1, 2)

        scores = split(attention.q_proj(hidden)) @ split(attention.k_proj(hidden)).transpose(-1, -2)
        scores = scores * (SETTINGS.width // heads) ** -0.5
        scores = scores.masked_fill(
            torch.ones(scores.shape[-2:]).triu(1).bool(), -torch.inf
        ).softmax(-1)
    prefix = MELODY_FRAMES + SETTINGS.text_tokens
    for position in (prefix + 20, prefix + 100, prefix + 200):
        for head, distance in enumerate(lookback_distances()[:LOOKBACK_HEADS]):
            near = scores[:, head, position, position - distance - 2 : position - distance + 3].sum(
                -1
            )
            assert (near > 0.35).all(), (head, distance, near)
        for head in range(heads - TEXT_HEADS, heads):
            near = scores[:, head, position, prefix - 3 : prefix + 2].sum(-1)
            assert (near > 0.35).all(), (head, near)
        for head in range(heads - TEXT_HEADS - MELODY_HEADS, heads - TEXT_HEADS):
            now = round((position - prefix) / CHROMA_FRAMES)
            near = scores[:, head, position, max(0, now - 2) : now + 3].sum(-1)
            assert (near > 0.35).all(), (head, near)


def test_the_first_layer_initially_counts_every_beat_and_progression(pieces, model):
    """Two coordinates of the stream rotate once per beat or progression, for any codes."""
    batch = pieces.draw(np.arange(4), np.random.default_rng(0))
    captured = {}
    layer = model.decoder.model.decoder.layers[0]
    handle = layer.register_forward_hook(
        lambda _, inputs, output: captured.update(stream=output[0])
    )
    with torch.no_grad():
        code_losses(model, batch, 0.0, np.random.default_rng(0))
    handle.remove()
    stream = captured["stream"].float().view(4, -1, SETTINGS.width).numpy()
    positions = np.arange(stream.shape[1])
    # the slow cosines of positions
    slow = np.stack([positions**power / len(positions) ** power for power in range(4)], 1)
    counters = coordinates(SETTINGS.width, SETTINGS.heads).counters.tolist()
    for counter, frequency in zip(counters, counted_frequencies(), strict=True):
        for number, turned in (
            (counter, np.cos(frequency * positions)),
            (SETTINGS.width // 2 + counter, np.sin(frequency * positions)),
        ):
            for row in stream[:, :, number]:
                found = row - slow @ np.linalg.lstsq(slow, row, rcond=None)[0]
                assert np.corrcoef(found, turned)[0, 1] > 0.7, (counter, frequency)


def test_beat_targets_of_frames():
    frames = torch.tensor([[-2, 0, 7, 8, 63, 64], [20, 24, 25, 49, 199, 200]])
    length, passed, beat = beat_targets(frames, torch.tensor([8, 25]))
    assert length.tolist() == [[-1, 0, 0, 0, 0, 0], [11] * 6]
    assert passed.tolist() == [[-1, 0, 7, 0, 7, 0], [20, 24, 0, 24, 24, 0]]
    assert beat.tolist() == [[-1, 0, 0, 1, 7, 0], [0, 0, 1, 1, 7, 0]]


def test_the_beat_head_has_no_loss_before_the_piece():
    head = BeatHead(4, 1)
    frames = torch.tensor([[-1, -1, 3]])
    hidden = torch.randn(1, 3, 4, requires_grad=True)
    head.losses(hidden, frames, torch.tensor([9])).sum().backward()
    assert (hidden.grad[0, :2] == 0).all() and (hidden.grad[0, 2] != 0).any()


def test_a_batch_has_the_first_frame_of_each_piece(pieces):
    batch = pieces.draw(np.arange(8).repeat(20), np.random.default_rng(0), spliced_share=0.5)
    for row, first, begin, codes in zip(
        np.arange(8).repeat(20), batch.first_frames, batch.begins, batch.codes, strict=True
    ):
        at = int(begin)
        assert np.array_equal(codes[:, at], pieces.codes[row][:, int(first) + at])
    assert (batch.first_frames < 0).any() and (batch.first_frames > 0).any()
    assert batch.beat_frames.tolist() == [
        pieces.labels[row]["beat_frames"] for row in np.arange(8).repeat(20)
    ]


@pytest.mark.parametrize("positions", [1, BLOCK, 2 * BLOCK + 7])
def test_blockwise_attention_equals_causal_attention(positions):
    torch.manual_seed(0)
    query, key, value = torch.randn(3, 2, 3, positions, 8)
    theirs = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=0.3
    )
    assert torch.allclose(causal_attention(query, key, value, 0.3), theirs, atol=1e-6)


def test_blockwise_attention_preserves_the_losses(pieces):
    torch.manual_seed(0)
    text_encoder = T5EncoderModel(text_config(SETTINGS, pieces.tokenizer))
    model = build_model(SETTINGS, text_encoder, build_codec(SETTINGS)).eval()
    batch = pieces.draw(np.arange(2), np.random.default_rng(0))
    with torch.no_grad():
        before, *_ = code_losses(model, batch, 0.0, np.random.default_rng(0))
        use_causal_blocks(model.decoder)
        after, *_ = code_losses(model, batch, 0.0, np.random.default_rng(0))
    # both in bfloat16
    assert not torch.equal(before, after) and torch.allclose(before, after, atol=0.05)


def test_a_grown_decoder_has_equal_losses_and_trainable_new_layers(pieces, model):
    assert kept_layers(6, 9) == [0, 1, 3, 4, 6, 7] and kept_layers(3, 3) == [0, 1, 2]
    torch.manual_seed(1)
    deeper = grow(model, replace(SETTINGS, layers=3)).eval()
    batch = pieces.draw(np.arange(2), np.random.default_rng(0))
    before, _, time_before = code_losses(model, batch, 0.0, np.random.default_rng(0))
    after, _, time_after = code_losses(deeper, batch, 0.0, np.random.default_rng(0))
    assert torch.allclose(before, after, atol=1e-3) and torch.allclose(
        time_before, time_after, atol=1e-3
    )
    (new,) = (deeper.decoder.model.decoder.layers[i] for i in {0, 1, 2} - set(kept_layers(2, 3)))
    assert not new.fc2.weight.any() and not new.self_attn.out_proj.weight.any()
    (after.sum() + time_after.sum()).backward()
    assert (
        new.fc2.weight.grad.abs().sum() > 0 and new.self_attn.out_proj.weight.grad.abs().sum() > 0
    )


@pytest.mark.parametrize("step", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_a_decoder_resumed_before_at_or_after_growth_ends_with_the_same_state(
    tmp_path, monkeypatch, step
):
    """Weights, Adam moments and step are equal bit by bit, two or three steps later."""
    steps = max(4, 2 * step)
    if step != 2:  # the evaluations take most of the time; one case runs them
        monkeypatch.setattr(decoder, "held_out_loss", lambda *_: torch.zeros(SETTINGS.codebooks))
        monkeypatch.setattr(decoder, "wrong_word_cost", lambda *_: 0.0)
        monkeypatch.setattr(decoder, "wrong_melody_cost", lambda *_: 0.0)
    settings = replace(
        SETTINGS,
        first_layers=2,
        layers=3,
        decoder_steps=steps,
        decoder_growth_step=2,
        decoder_batch=2,
        checkpoint_every=step,
        seed=5,
    )
    for name in ("corpus", "codes", "pocket"):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for split in ("train", "held-out"):
        seeds = range(64 if split == "held-out" else 4)
        labels = "".join(json.dumps(compose(seed).labels()) + "\n" for seed in seeds)
        (tmp_path / "corpus" / f"{split}-0000.jsonl").write_text(labels)
        codes = rng.integers(0, 16, (len(seeds), 2, FRAMES_PER_CLIP))
        np.save(tmp_path / "codes" / f"{split}-0000.npy", codes)
        with (tmp_path / "corpus" / f"{split}-0000.melody").open("wb") as file:
            np.save(file, rng.integers(0, 12, (len(seeds), MELODY_FRAMES)).astype(np.uint8))
    text_encoder = T5EncoderModel(text_config(SETTINGS, build_tokenizer(SETTINGS.text_tokens)))
    text_encoder.save_pretrained(tmp_path / "text")
    build_codec(SETTINGS).save_pretrained(tmp_path / "codec_finetuned")

    def train() -> None:
        train_decoder(tmp_path / "corpus", tmp_path, settings)

    train()
    finished = [
        MusicgenMelodyForConditionalGeneration.from_pretrained(tmp_path / "pocket").state_dict()
    ]
    (tmp_path / "decoder.pt").rename(tmp_path / "uninterrupted.pt")
    train_with_interruption(decoder, step, train)
    finished.append(
        MusicgenMelodyForConditionalGeneration.from_pretrained(tmp_path / "pocket").state_dict()
    )
    assert_equal_states(tmp_path / "uninterrupted.pt", tmp_path / "decoder.pt", steps=steps)
    layers = {name.split(".")[4] for name in finished[0] if name.startswith(LAYERS)}
    assert len(layers) == 3
    assert all(torch.equal(value, finished[1][name]) for name, value in finished[0].items())


def test_growth_refuses_decoders_that_differ_in_more_than_their_layers(model):
    deeper = build_model(replace(SETTINGS, layers=3), model.text_encoder, model.audio_encoder)
    deeper.register_buffer("extra", torch.zeros(1))
    with pytest.raises(ValueError, match="differs in more than its layers: extra"):
        copy_into_deeper(model, deeper)
    del deeper.extra
    del deeper.beat_head
    with pytest.raises(ValueError, match=r"differs in more than its layers: beat_head\."):
        copy_into_deeper(model, deeper)


def test_lookback_distances_are_the_spans_of_the_corpus():
    beats = {n for frames in BEAT_FRAMES.values() for n in frames}
    assert {n - 1 for n in beats} | {8 * n - 1 for n in beats} <= set(lookback_distances())


def test_number_embeddings_form_a_curve_and_words_are_unchanged(pieces):
    torch.manual_seed(0)
    encoder = T5EncoderModel(text_config(SETTINGS, pieces.tokenizer))
    before = encoder.shared.weight.detach().clone()
    init_number_embeddings(encoder, pieces.tokenizer)
    after, ids = encoder.shared.weight.detach(), number_ids(pieces.tokenizer)
    words_ = torch.tensor([i for i in range(len(after)) if i not in ids])
    assert torch.equal(before[words_], after[words_])
    similarity = torch.nn.functional.cosine_similarity(
        after[ids][:, None], after[ids], dim=-1
    ).numpy()
    index = [*BPM_NUMBERS].index
    assert similarity[index(150), index(151)] > 0.9 > 0.7 > similarity[index(150), index(156)] > 0.3
    assert (
        abs(similarity[index(150), index(170)]) < 0.3
        and abs(similarity[index(60), index(120)]) < 0.3
    )
    assert float(after[ids].std()) == pytest.approx(float(before[words_].std()), rel=0.1)


def test_the_text_encoder_learns_the_labels(pieces, tmp_path, capsys):
    """After a hundred steps accuracy is well above chance, and only the encoder is saved."""
    (tmp_path / "corpus").mkdir()
    labels = "".join(json.dumps(compose(seed).labels()) + "\n" for seed in range(40))
    for split in ("train", "held-out"):
        (tmp_path / "corpus" / f"{split}-0000.jsonl").write_text(labels)
        np.save(tmp_path / "corpus" / f"{split}-0000.npy", np.zeros((40, 1), np.int16))
    train_text_encoder(tmp_path / "corpus", tmp_path, Settings(text_steps=100, text_batch=32))
    output = capsys.readouterr().out
    assert float(output.split("genre ")[1].split("%")[0]) > 50  # chance: 14
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "text"]
    assert T5EncoderModel.from_pretrained(tmp_path / "text").config.d_model == Settings().text_width


@pytest.mark.slow
def test_two_replicas_average_their_gradients(tmp_path):
    run(_save_averaged, 2, tmp_path)
    averaged = [torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2)]
    assert torch.equal(averaged[0], averaged[1])
    assert averaged[0].tolist() == [0.5, 0.5, 0.5]


def _save_averaged(folder, replica: Replica):
    weight, unused = torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2))
    (weight.sum() * replica.rank).backward()
    replica.average_gradients([weight, unused])
    torch.save(weight.grad, folder / f"{replica.rank}.pt")


def test_history_is_dropped_in_half_of_the_rows_for_all_codebooks():
    inputs = torch.zeros(400, 2, 50, dtype=torch.int64)
    dropped = drop_history(inputs, 7, 0.5, np.random.default_rng(0)) == 7
    assert (dropped[:, 0] == dropped[:, 1]).all()
    share = dropped[:, 0].float().mean(1)
    assert 0.4 < (share > 0).float().mean() < 0.6
    assert 0.15 < (share == 1).float().mean() < 0.35
    assert not inputs.any()


def test_corrupted_codes_come_from_the_next_row_and_spare_the_delay_pattern():
    bos = 9
    inputs = torch.arange(400)[:, None, None].expand(400, 2, 50) % 9
    inputs = inputs.clone()
    inputs[:, :, :3] = bos
    corrupted = corrupt_history(inputs, bos, 0.5, np.random.default_rng(0))
    wrong = corrupted != inputs
    assert (corrupted[:, :, :3] == bos).all()
    assert (corrupted[wrong] == inputs.roll(1, 0)[wrong]).all()
    share = wrong[:, :, 3:].float().mean((1, 2))
    assert 0.4 < (share > 0).float().mean() < 0.6
    assert share.max() < 0.45
    assert (wrong[:, 0] != wrong[:, 1]).any()
