"""Activity of features by track, against an encoding by hand."""

import pytest
import torch

from tests.features.planted import autoencoder_of
from tonearm.activations.clip_sources import clips_of_prompts
from tonearm.activations.frames import read_frames
from tonearm.errors import TonearmError
from tonearm.features import tracks as tracks_module
from tonearm.features.autoencoder import encode
from tonearm.features.tracks import track_activity

PROMPTS = ["a fast folk tune", "slow dark jazz piece", "calm"]


def test_activity_is_that_of_all_frames_of_a_track(melody, tmp_path, monkeypatch):
    monkeypatch.setattr(tracks_module, "CLIPS_AT_ONCE", 2)
    clips = clips_of_prompts(melody.engine, PROMPTS, tmp_path / "c", takes=5, seconds=0.4)
    trained = autoencoder_of(melody.shape, length=6.0)
    done = []
    found = track_activity(melody, trained, clips, lambda *one: done.append(one))
    assert found.tracks == tuple(PROMPTS)
    assert done == [(2, 5), (4, 5), (5, 5)]
    for number, indices in enumerate(([0, 3], [1, 4], [2])):
        rows = read_frames(melody.engine, clips.chosen(indices), "residual", (1,)).rows[1]
        z = encode(trained.weights, rows)
        assert (z > 0).any()
        assert torch.allclose(found.means[number], z.mean(0), atol=1e-4)
        assert torch.allclose(found.shares[number], (z > 0).float().mean(0), atol=0.02)


def test_another_checkpoint_is_refused(model_of, tmp_path):
    small, trained = model_of("small"), autoencoder_of(model_of("melody").shape)
    clips = clips_of_prompts(small.engine, PROMPTS, tmp_path / "c", seconds=0.4)
    with pytest.raises(TonearmError, match="was trained on"):
        track_activity(small, trained, clips)
