"""musicnn in torch, compared with the original in TensorFlow (`musicnn_original.py`)."""

import json

import numpy as np
import pytest
import safetensors.torch
import torch

from tests.evaluators.musicnn_original import OUTPUTS, signals
from tests.measures.sounds import noise, silence
from tonearm import assets
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators import musicnn
from tonearm.evaluators.musicnn import WINDOW_HOP, WINDOWS_PER_BATCH, MusicnnTagger

ORIGINAL = json.loads(OUTPUTS.read_text())


@pytest.fixture(scope="module")
def tagger() -> MusicnnTagger:
    return MusicnnTagger()


@pytest.mark.parametrize("name", ["plucked", "beat", "strings"])
def test_probabilities_and_embedding_are_those_of_the_original(
    tagger: MusicnnTagger, name: str
) -> None:
    clip, expected = Clip(signals()[name], 16_000), ORIGINAL["outputs"][name]
    np.testing.assert_allclose(tagger.tag(clip), expected["windows"], atol=1e-4, rtol=0)
    first = Clip(clip.samples[:, :48_000], 16_000)
    assert np.abs(tagger.embed([first])[0] - expected["embedding"]).max() < 2e-3
    assert np.abs(expected["embedding"]).max() > 0.5


def test_tags_are_those_of_the_original_in_its_order(tagger: MusicnnTagger) -> None:
    assert list(tagger.tags) == ORIGINAL["tags"]
    assert len(set(tagger.tags)) == 50


def test_windows_do_not_depend_on_their_batch(
    tagger: MusicnnTagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = noise(7.0)
    together = tagger.tag(clip)
    assert len(together) == 1 + (1 + 7 * 16_000 // 256 - 187) // WINDOW_HOP > WINDOWS_PER_BATCH
    monkeypatch.setattr(musicnn, "WINDOWS_PER_BATCH", 1)
    np.testing.assert_allclose(tagger.tag(clip), together, atol=1e-6)


def test_stereo_and_other_sample_rates_have_nearly_the_same_tags(tagger: MusicnnTagger) -> None:
    mono = Clip(signals()["strings"], 16_000)
    stereo = mono.with_channels(2).resampled(44_100)
    assert np.abs(tagger.tag(mono) - tagger.tag(stereo)).max() < 0.02


def test_clips_that_have_no_window_are_refused(tagger: MusicnnTagger) -> None:
    broken = noise(3.0)
    broken.samples[0, 5] = np.nan
    for clip, message in ((noise(2.9), "too short"), (broken, "NaN")):
        with pytest.raises(TonearmError, match=message):
            tagger.tag(clip)
    assert tagger.tag(silence(3.0)).shape == (1, 50)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda tensors: tensors.pop("dense.bias"), r"1 missing \(dense.bias\)"),
        (lambda tensors: tensors.update(foreign=torch.zeros(1)), r"1 unexpected \(foreign\)"),
        (
            lambda tensors: tensors.update({"dense.bias": torch.zeros(3)}),
            r"1 of another shape \(dense.bias\)",
        ),
    ],
)
def test_edited_weights_are_refused_in_one_line(tmp_path, monkeypatch, edit, message) -> None:
    tensors = safetensors.torch.load_file(assets.MUSICNN)
    edit(tensors)
    path = tmp_path / "musicnn.safetensors"
    safetensors.torch.save_file(tensors, path, {"tags": json.dumps(ORIGINAL["tags"])})
    monkeypatch.setattr(assets, "MUSICNN", path)
    with pytest.raises(TonearmError, match=message) as error:
        MusicnnTagger()
    assert "\n" not in str(error.value)


def test_absent_and_damaged_weights_are_refused_in_one_line(tmp_path, monkeypatch) -> None:
    path = tmp_path / "musicnn.safetensors"
    monkeypatch.setattr(assets, "MUSICNN", path)
    with pytest.raises(TonearmError, match="no weights of musicnn"):
        MusicnnTagger()
    path.write_bytes(assets.BEAT_TRACKER.read_bytes()[:1000])
    with pytest.raises(TonearmError, match="cannot load the weights of musicnn"):
        MusicnnTagger()


def test_the_licence_is_beside_the_weights() -> None:
    licence = assets.MUSICNN.with_suffix(".LICENSE").read_text(encoding="utf-8")
    assert "Music Technology Group" in licence and "Permission to use" in licence
    assert assets.MUSICNN.stat().st_size < 8 * 2**20
