"""The streamed decode of codes against the one-shot decode."""

import pytest
import torch

from tonearm.musicgen.codec import decode_codes
from tonearm.musicgen.streaming_codec import StreamingCodec


@pytest.mark.parametrize("sizes", [[1] * 30, [7, 1, 12, 10], [30], [29, 1], [2, 28]], ids=str)
@pytest.mark.parametrize("variant", ["melody", "stereo-small"])
def test_pieces_joined_are_the_one_shot_decode(model_of, variant, sizes):
    c = model_of(variant).checkpoint
    codes = torch.randint(0, 64, (c.shape.codebooks, 30), generator=torch.Generator().manual_seed(0))
    whole = torch.from_numpy(decode_codes(c, codes).samples)
    streaming, parts, at = StreamingCodec(c), [], 0
    for size in sizes:
        at += size
        parts.append(streaming.push(codes[:, at - size : at], last=at == 30))
        if at < 30:
            ready = max(0, at - streaming.lookahead) * streaming.hop
            assert sum(part.shape[1] for part in parts) == ready
    joined = torch.cat(parts, dim=1)
    torch.testing.assert_close(joined, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def test_the_lookahead_is_needed(melody):
    """A code changed within a frame's lookahead is heard in it; one beyond is not."""
    c = melody.checkpoint
    codes = torch.randint(0, 64, (c.shape.codebooks, 30), generator=torch.Generator().manual_seed(0))
    lookahead, hop = StreamingCodec(c).lookahead, StreamingCodec(c).hop
    before = torch.from_numpy(decode_codes(c, codes).samples)[:, : 10 * hop]
    for ahead, heard in ((1, True), (lookahead, False)):
        changed = codes.clone()
        changed[:, 10 + ahead :] = (changed[:, 10 + ahead :] + 7) % 64
        after = torch.from_numpy(decode_codes(c, changed).samples)[:, : 10 * hop]
        assert bool((after != before).any()) == heard
