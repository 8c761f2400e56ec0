"""The player: order, fades, underruns, A/B, gain, and a stop."""

import numpy as np
import pytest

from tonearm.live import AudioBlock
from tonearm.terminal.player import FADE_SECONDS, Player

RATE, LEAD = 16_000, 0.3
FADE = round(FADE_SECONDS * RATE)
PRIME = round(0.2 * RATE)


def block(first: int, count: int, value: float = 1.0, run: int = 1) -> AudioBlock:
    steered = np.full((1, count), value, np.float32)
    return AudioBlock(run, first, steered, 0.5 * steered)


@pytest.fixture
def player() -> Player:
    return Player(RATE, 1, LEAD)


def test_it_is_silent_until_enough_is_buffered_and_then_fades_in(player):
    player.write(block(0, PRIME - 1))
    assert not player.read(160).any() and player.position == 0
    player.write(block(PRIME - 1, 1))
    sound = player.read(160)[0]
    assert sound[0] == 0 and np.all(np.diff(sound[:FADE]) > 0) and np.all(sound[FADE:] == 1)
    assert player.position == 160


def test_samples_follow_one_another_over_blocks(player):
    rng = np.random.default_rng(0)
    music = rng.standard_normal((1, 2 * PRIME)).astype(np.float32)
    for first in range(0, music.shape[1], 400):
        piece = music[:, first : first + 400]
        player.write(AudioBlock(1, first, piece, piece))
    read = np.concatenate([player.read(170) for _ in range(20)], axis=1)
    np.testing.assert_allclose(read[:, FADE:], music[:, FADE : read.shape[1]], atol=1e-6)


def test_an_underrun_fades_out_is_counted_and_sounds_again(player):
    player.write(block(0, PRIME))
    sound = np.concatenate([player.read(1000) for _ in range(5)], axis=1)[0]
    assert player.underruns == 1
    played = player.position
    assert 0 < played <= PRIME and sound[played - 1] == 0 and not sound[played:].any()
    assert np.all(np.diff(sound[played - FADE : played]) < 0)
    player.write(block(PRIME, PRIME))
    assert player.read(1000).any() and player.underruns == 1


def test_a_repeated_block_and_one_of_an_earlier_run_are_ignored(player):
    player.write(block(0, PRIME, run=2))
    player.write(block(0, PRIME, run=2))
    player.write(block(PRIME, PRIME, run=1))
    assert player.buffered == pytest.approx(0.2)


def test_a_new_run_begins_anew(player):
    player.write(block(0, PRIME))
    player.read(100)
    player.write(block(5000, PRIME, value=0.25, run=2))
    assert player.position == 5000
    assert np.all(player.read(1000)[0, FADE:] == 0.25)


def test_a_stop_fades_out_and_releases_the_rest_without_an_underrun(player):
    player.write(block(0, 2 * PRIME))
    player.read(1000)
    player.stop()
    sound = player.read(1000)[0]
    assert sound[0] == 1 and np.all(np.diff(sound[:FADE]) < 0) and not sound[FADE:].any()
    assert player.buffered == 0 and player.underruns == 0 and player.position == 2 * PRIME
    assert not player.read(1000).any()


def test_a_and_b_are_cross_faded(player):
    player.write(block(0, 2 * PRIME))
    player.read(1000)
    player.listen(plain=True)
    sound = player.read(1000)[0]
    assert np.all(np.diff(sound[:FADE]) < 0) and np.allclose(sound[FADE:], 0.5)


def test_the_gain_of_the_plain_stream_moves_slowly_and_never_clips(player):
    player.listen(plain=True)
    player.match(6.0)
    player.write(block(0, 6 * PRIME))  # peak 0.5, so that 6 dB are possible
    for _ in range(5):
        sound = player.read(PRIME)[0]
    assert sound[-1] == pytest.approx(0.98, abs=1e-6)  # not 0.998
    assert np.abs(np.diff(sound)).max() < 1e-3


def test_two_channels_are_kept_apart():
    player = Player(RATE, 2, LEAD)
    both = np.stack([np.ones(PRIME), -np.ones(PRIME)]).astype(np.float32)
    player.write(AudioBlock(1, 0, both, both))
    assert np.all(player.read(1000)[:, FADE:] == [[1], [-1]])
