"""Activations of given codes in one pass against those read while the codes were decoded."""

import pytest
import torch

from tests.musicgen.decode_requests import FRAMES, PROMPTS, STEERS, request_for
from tests.steering.vectors import vector_of
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.delay import sequence_length
from tonearm.musicgen.engine import DecoderEngine, ReferenceEngine
from tonearm.steering import Steering

SITES = {
    "small": ("residual", "attention", "cross_attention", "heads"),
    "melody": ("residual", "attention", "heads"),
    "stereo-small": ("residual", "attention", "cross_attention", "heads"),
}


class Recorder:
    """Tap that keeps the activations of one layer by position, prefix first."""

    def __init__(self):
        self.prefix, self.by_position = None, {}

    def __call__(self, h, span):
        if span.prefix:
            self.prefix = h[:, : span.prefix].clone()
        for offset, position in enumerate(span.code_positions):
            self.by_position[position] = h[:, span.prefix + offset].clone()

    def states(self, positions: int) -> torch.Tensor:
        """[R, prefix + positions, D]"""
        assert sorted(self.by_position)[:positions] == list(range(positions))
        codes = torch.stack([self.by_position[i] for i in range(positions)], dim=1)
        return codes if self.prefix is None else torch.cat([self.prefix, codes], dim=1)


def recorders(model, site):
    return {(site, layer): [Recorder()] for layer in range(model.shape.layer_count)}


@pytest.mark.parametrize("guidance", [1.0, 3.0])
@pytest.mark.parametrize(
    ("variant", "site"), [(variant, site) for variant, sites in SITES.items() for site in sites]
)
def test_one_pass_gives_the_activations_of_the_decoding(model_of, variant, site, guidance):
    model = model_of(variant)
    shape = model.shape
    request = request_for(model, guidance=guidance)
    decoded = recorders(model, site)
    engine = DecoderEngine(model.checkpoint)
    codes = engine.decode(request, read=decoded)
    # The last position is sampled and never read while decoding.
    positions = sequence_length(FRAMES, shape.codebooks, shape.channels) - 1
    for reader in (engine, ReferenceEngine(model.checkpoint)):
        forced = recorders(model, site)
        reader.read(request.conditioning, forced, codes=codes)
        for place, (expected,) in decoded.items():
            found = forced[place][0].states(positions)
            assert len(found) == 2 * (2 if guidance > 1 else 1)
            torch.testing.assert_close(
                found,
                expected.states(positions),
                rtol=1e-4,
                atol=1e-4,
                msg=f"{reader.name} {place}",
            )


def test_one_pass_depends_on_the_codes(melody):
    conditioning = condition(melody.checkpoint, PROMPTS, guided=False)
    codes = DecoderEngine(melody.checkpoint).decode(request_for(melody))
    changed = codes.clone()
    changed[:, 0, 5] = (changed[:, 0, 5] + 1) % 64
    states = []
    for given in (codes, changed):
        taps = recorders(melody, "residual")
        melody.engine.read(conditioning, taps, codes=given)
        states.append(taps["residual", 2][0].states(FRAMES))
    differs = (states[0] != states[1]).any(-1).any(0)
    # Codebook 0 of frame 5 is read at code position 6.
    assert not differs[: conditioning.prefix + 6].any() and differs[conditioning.prefix + 6]


def test_without_codes_bos_is_the_only_code_position(small):
    conditioning = condition(small.checkpoint, PROMPTS, guided=True)
    taps = recorders(small, "residual")
    small.engine.read(conditioning, taps)
    assert list(taps["residual", 0][0].by_position) == [0]


def test_steered_codes_are_read_without_their_steering(small):
    """The pass reads the codes as audio; steering acts only while decoding."""
    steering = Steering(steers=(STEERS["add"],))
    request = request_for(small, steering, {"v": vector_of(small)})
    steered, plain = recorders(small, "residual"), recorders(small, "residual")
    codes = small.engine.decode(request, read=steered)
    small.engine.read(request.conditioning, plain, codes=codes)
    difference = steered["residual", 0][0].by_position[3] - plain["residual", 0][0].by_position[3]
    expected = 1.5 * vector_of(small)[1]
    torch.testing.assert_close(difference, expected.expand_as(difference), rtol=1e-3, atol=1e-3)
