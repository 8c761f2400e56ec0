"""Streamed against one-shot decoding of codes to audio."""

import pytest
import torch

from tonearm.musicgen import codec
from tonearm.musicgen.codec import decode_codes
from tonearm.musicgen.streaming_codec import StreamingCodec


def random_codes(checkpoint, frames=30):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 64, (checkpoint.shape.codebooks, frames), generator=generator)


@pytest.mark.parametrize("sizes", [[1] * 30, [7, 1, 12, 10], [30], [29, 1], [2, 28]], ids=str)
@pytest.mark.parametrize("variant", ["melody", "stereo-small"])
def test_the_pieces_joined_equal_the_one_shot_decode(model_of, variant, sizes):
    checkpoint = model_of(variant).checkpoint
    codes = random_codes(checkpoint)
    whole = torch.from_numpy(decode_codes(checkpoint, codes).samples)
    streaming, parts, done = StreamingCodec(checkpoint), [], 0
    for size in sizes:
        done += size
        parts.append(streaming.push(codes[:, done - size : done], last=done == 30))
        if done < 30:
            ready = max(0, done - streaming.lookahead) * streaming.hop
            assert sum(part.shape[1] for part in parts) == ready
    joined = torch.cat(parts, dim=1)
    torch.testing.assert_close(joined, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def test_the_lookahead_is_the_shortest_possible(melody):
    """A code within the lookahead of a frame changes its samples; one beyond it does not."""
    checkpoint = melody.checkpoint
    codes = random_codes(checkpoint)
    lookahead, hop = StreamingCodec(checkpoint).lookahead, StreamingCodec(checkpoint).hop
    before = torch.from_numpy(decode_codes(checkpoint, codes).samples)[:, : 10 * hop]
    for ahead, is_changed in ((1, True), (lookahead, False)):
        changed = codes.clone()
        changed[:, 10 + ahead :] = (changed[:, 10 + ahead :] + 7) % 64
        after = torch.from_numpy(decode_codes(checkpoint, changed).samples)[:, : 10 * hop]
        assert bool((after != before).any()) == is_changed


@pytest.mark.parametrize("variant", ["melody", "stereo-small"])
def test_the_frames_that_are_kept_do_not_grow_with_the_clip(model_of, variant):
    checkpoint = model_of(variant).checkpoint
    streaming, frames = StreamingCodec(checkpoint), 400
    codes = random_codes(checkpoint, frames)
    kept, parts = [], []
    for first in range(0, frames, 5):
        last = first + 5
        parts.append(streaming.push(codes[:, first:last], last=last == frames))
        kept.append([streaming.latents.kept.shape[-1], streaming.outputs.kept.shape[-1]])
        for frames_kept in (streaming.latents.kept, streaming.outputs.kept):
            # Released frames are freed, not hidden behind a view of their storage.
            assert frames_kept.untyped_storage().nbytes() <= 32 * frames_kept[..., :1].nbytes
    assert max(kept[40:]) == max(kept[4:40])
    assert max(map(max, kept)) < 32
    whole = torch.from_numpy(decode_codes(checkpoint, codes).samples)
    joined = torch.cat(parts, dim=1)
    torch.testing.assert_close(joined, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.parametrize("variant", ["melody", "stereo-small"])
def test_a_long_clip_is_decoded_in_pieces(model_of, variant, monkeypatch):
    checkpoint = model_of(variant).checkpoint
    codes = random_codes(checkpoint, frames=260)
    whole = torch.from_numpy(decode_codes(checkpoint, codes).samples)
    sizes = []
    push = StreamingCodec.push

    def counting(self, codes, last=False):
        sizes.append(codes.shape[1])
        return push(self, codes, last)

    monkeypatch.setattr(StreamingCodec, "push", counting)
    monkeypatch.setattr(codec, "PIECE_SECONDS", 4)
    pieces = torch.from_numpy(decode_codes(checkpoint, codes).samples)
    assert sizes == [100, 100, 60]
    torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def test_a_codec_that_normalises_over_the_clip_is_decoded_whole(melody, monkeypatch):
    config = melody.checkpoint.model.audio_encoder.config
    monkeypatch.setattr(config, "norm_type", "time_group_norm")
    assert codec.frames_at_once(melody.checkpoint, 10**6) == 10**6
    monkeypatch.setattr(config, "norm_type", "weight_norm")
    assert codec.frames_at_once(melody.checkpoint, 10**6) == 750
