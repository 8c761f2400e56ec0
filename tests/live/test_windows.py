"""The end of a window in a session: the music is computed further ahead before it."""

import pytest

from tests.live.players import playing
from tests.musicgen.decode_requests import with_window
from tonearm.defaults import LIVE_CHUNK
from tonearm.generation.stream import Stream
from tonearm.live import commands, playback

LEAD = 0.4
STALL = playback.PREFILL_MARGIN * 1.0 - LEAD / 2


def test_the_stream_reports_the_time_until_its_window_ends(model_of):
    model = with_window(model_of("small"), 20)
    rate = model.shape.frame_rate
    stream = model.stream("folk", seconds=38 / rate, seed=1, chunk_seconds=1 / rate)
    assert stream.until_window == 20 / rate
    left = [stream.until_window for _ in stream]
    assert left[:4] == [pytest.approx((12 - count) / rate) for count in range(4)]
    last = left.index(None)  # the first chunk of the last window
    assert min(left[:last]) < 2 / rate and set(left[last:]) == {None}


def test_the_time_to_a_window_grows_only_where_one_begins(model_of):
    """Each one costs a pass, which a session measures."""
    model = with_window(model_of("small"), 20)
    rate = model.shape.frame_rate
    stream = model.stream("folk", seconds=80 / rate, seed=1, chunk_seconds=1 / rate)
    starts, begun = [], stream._decoding.frames.start
    left = stream.until_window
    for _ in stream:
        after = stream.until_window
        grows = left is not None and (after is None or after > left)
        starts.append((grows, stream._decoding.frames.start > begun))
        left, begun = after, stream._decoding.frames.start
    assert sum(grows for grows, _ in starts) >= 4
    assert all(grows == begins for grows, begins in starts)


@pytest.mark.parametrize("until, further", [(5.0, 0.0), (0.1, STALL), (None, 0.0)])
def test_the_music_is_further_ahead_where_a_window_ends(melody, monkeypatch, until, further):
    """With a play head that stands still."""
    monkeypatch.setattr(Stream, "until_window", until)
    monkeypatch.setattr(playback, "INITIAL_PREFILL", 1.0)
    with playing(melody, lead=LEAD) as (session, player):
        player.playing = False
        session.command(commands.Play()).result(60)
        wanted = (LEAD + further) * session.sample_rate
        player.until_samples(round(wanted))
        session.snapshot().result(60)
        emitted = sum(block.steered.shape[1] for block in player.blocks)
        assert emitted <= wanted + 2 * LIVE_CHUNK * session.sample_rate
