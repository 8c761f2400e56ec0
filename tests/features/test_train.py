"""Training on a tiny checkpoint: division by track, resumption, fidelity, refusals."""

from dataclasses import replace

import pytest
import torch

from tests.activations.sounds import recordings
from tonearm.activations.clip_sources import clips_of_prompts, clips_of_recordings
from tonearm.activations.frames import read_frames
from tonearm.errors import TonearmError
from tonearm.features import train as train_module
from tonearm.features.autoencoder import encode, reconstruct
from tonearm.features.fidelity import feature_statistics
from tonearm.features.row_stream import RowStream
from tonearm.features.settings import TrainingSettings
from tonearm.features.train import check_training, train_autoencoders, validation_clips
from tonearm.features.trained import load_autoencoder, save_autoencoder
from tonearm.features.training_state import FILE, remove_state

PROMPTS = ["a fast folk tune", "slow dark jazz piece", "loud bright piano tune", "calm flute piece"]
SETTINGS = TrainingSettings(expansion=2, k=4, rows=32 * 60, batch_rows=32, validation_share=0.25)
LAYERS = (0, 2)


@pytest.fixture
def clips(melody, tmp_path):
    return clips_of_prompts(melody.engine, PROMPTS, tmp_path / "c", takes=12, seconds=0.8)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(RowStream, "chunk_clips", 3)


def weights_of(trained):
    weights = trained.weights
    return torch.cat(
        [
            weights.encoder.flatten(),
            weights.decoder.flatten(),
            weights.encoder_bias,
            weights.decoder_bias,
            torch.tensor([weights.threshold]),
        ]
    )


def test_a_training_gives_an_autoencoder_of_each_layer(melody, clips, tmp_path):
    found = train_autoencoders(melody, clips, LAYERS, tmp_path, settings=SETTINGS)
    assert set(found) == set(LAYERS)
    for layer, trained in found.items():
        info, fidelity = trained.info, trained.info.fidelity
        assert (info.layer, info.site, info.features) == (layer, "residual", 64)
        assert info.fingerprint == melody.shape.fingerprint
        assert (info.clips, info.tracks, info.validation_tracks) == (12, 4, 1)
        assert info.source == "prompts"
        rows = read_frames(
            melody.engine, clips.chosen(validation_clips(clips, SETTINGS)), "residual", (layer,),
            both_branches=True,
        ).rows[layer]  # fmt: skip
        assert fidelity.rows == len(rows)
        error = (rows - reconstruct(trained.weights, rows)).square().sum()
        assert fidelity.fvu == pytest.approx(
            float(error / (rows - rows.mean(0)).square().sum()), rel=1e-3
        )
        z = encode(trained.weights, rows)
        assert fidelity.l0 == pytest.approx(float((z > 0).float().sum(-1).mean()))
        assert fidelity.dead_share == pytest.approx(float(1 - (z > 0).any(0).float().mean()))
        assert fidelity.pass_through > 0
        assert fidelity.cross_entropy < fidelity.ablated
        assert info.threshold == trained.weights.threshold > 0
    remove_state(tmp_path)
    assert not (tmp_path / FILE).exists()
    remove_state(tmp_path)


def test_more_training_explains_more(melody, clips, tmp_path):
    few, many = (
        train_autoencoders(
            melody,
            clips,
            [1],
            tmp_path / str(steps),
            settings=SETTINGS.model_copy(update={"rows": 32 * steps}),
        )[1].info.fidelity.fvu
        for steps in (3, 100)
    )
    assert many < 0.7 * few


@pytest.mark.parametrize("stop_at", [1, 31])
def test_a_stopped_training_resumes_to_the_same_autoencoder(melody, clips, tmp_path, stop_at):
    whole = train_autoencoders(melody, clips, LAYERS, tmp_path / "whole", settings=SETTINGS)
    steps, folder = [], tmp_path / "stopped"

    def stop(done, total):
        steps.append(done)
        if done == stop_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_autoencoders(melody, clips, LAYERS, folder, settings=SETTINGS, progress=stop)
    assert (folder / FILE).is_file() == (stop_at > 1)
    again = []
    resumed = train_autoencoders(
        melody,
        clips,
        LAYERS,
        folder,
        settings=SETTINGS,
        progress=lambda done, _: again.append(done),
    )
    if stop_at > 1:
        assert min(again) > 1  # it did not begin anew
    for layer in LAYERS:
        assert torch.equal(weights_of(resumed[layer]), weights_of(whole[layer]))
        assert resumed[layer].info == whole[layer].info


def test_a_training_stopped_while_it_is_measured_is_not_trained_again(
    melody, clips, tmp_path, monkeypatch
):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(train_module, "measure_fidelity", stop)
        with pytest.raises(KeyboardInterrupt):
            train_autoencoders(melody, clips, [0], tmp_path, settings=SETTINGS)
    steps = []
    train_autoencoders(
        melody, clips, [0], tmp_path, settings=SETTINGS, progress=lambda *one: steps.append(one)
    )
    assert not steps


def test_validation_tracks_are_never_trained_on(melody, clips, tmp_path, monkeypatch):
    read = []
    original = RowStream.chunk

    def spy(stream, number):
        read.extend(one.track for one in stream.clips.records)
        return original(stream, number)

    monkeypatch.setattr(RowStream, "chunk", spy)
    train_autoencoders(melody, clips, [0], tmp_path, settings=SETTINGS)
    held_out = {clips.records[index].track for index in validation_clips(clips, SETTINGS)}
    assert len(held_out) == 1 and not held_out & set(read)
    assert set(read) | held_out == set(PROMPTS)


def test_all_clips_of_a_validation_track_are_held_out(clips):
    chosen = validation_clips(clips, SETTINGS)
    tracks = {clips.records[index].track for index in chosen}
    assert len(chosen) == 3 and len(tracks) == 1


def test_audio_trains_too(melody, tmp_path):
    clips = clips_of_recordings(melody.engine, recordings(4, 2.0), tmp_path / "c", seconds=0.8)
    found = train_autoencoders(melody, clips, [1], tmp_path / "t", settings=SETTINGS)[1]
    assert found.info.source == "audio" and found.info.tracks == 4


def test_another_site_can_be_chosen(melody, clips, tmp_path):
    found = train_autoencoders(melody, clips, [1], tmp_path, site="attention", settings=SETTINGS)[1]
    assert found.info.site == "attention"
    assert found.info.fidelity.reconstructed > found.info.fidelity.cross_entropy


@pytest.mark.parametrize(
    ("layers", "settings", "message"),
    [
        ([9], {}, r"layers 9 are not possible; .* has layers 0..2"),
        ([], {}, r"layers \(none\) are not possible"),
        ([0], {"k": 65}, "65 active features of 64 are not possible"),
        ([0], {"batch_rows": 1024, "rows": 4096}, "too few frames for a step of 1024"),
    ],
)
def test_impossible_trainings_are_refused(melody, clips, tmp_path, layers, settings, message):
    chosen = SETTINGS.model_copy(update=settings)
    with pytest.raises(TonearmError, match=message):
        train_autoencoders(melody, clips, layers, tmp_path / "t", settings=chosen)


def test_another_engine_and_another_site_are_refused(melody, clips, tmp_path):
    with pytest.raises(TonearmError, match="engine reference cannot measure an autoencoder"):
        train_autoencoders(melody.with_engine("reference"), clips, [0], tmp_path)
    with pytest.raises(TonearmError, match="has no site 'cross_attention'"):
        train_autoencoders(melody, clips, [0], tmp_path, site="cross_attention")


def test_cross_attention_needs_texts(small):
    with pytest.raises(TonearmError, match="exactly 0 without a text; train on prompts"):
        check_training(small, "cross_attention", [0], TrainingSettings(), has_texts=False)
    check_training(small, "cross_attention", [0], TrainingSettings())


def test_one_track_cannot_be_divided(melody, tmp_path):
    clips = clips_of_prompts(melody.engine, PROMPTS[:1], tmp_path / "c", takes=3, seconds=0.4)
    with pytest.raises(TonearmError, match="all clips are of one track"):
        train_autoencoders(melody, clips, [0], tmp_path, settings=SETTINGS)


@pytest.mark.parametrize("change", ["settings", "layers", "data_hash"])
def test_an_unfinished_training_of_another_kind_is_refused(melody, clips, tmp_path, change):
    def stop(done, total):
        if done == 31:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_autoencoders(melody, clips, LAYERS, tmp_path, settings=SETTINGS, progress=stop)
    layers, settings = LAYERS, SETTINGS
    if change == "settings":
        settings = SETTINGS.model_copy(update={"k": 5})
    elif change == "layers":
        layers = (0,)
    else:
        clips = clips.chosen(range(11))
    with pytest.raises(TonearmError, match=f"unfinished training with other {change}"):
        train_autoencoders(melody, clips, layers, tmp_path, settings=settings)


def test_a_damaged_state_is_refused(melody, clips, tmp_path):
    def stop(done, total):
        if done == 31:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_autoencoders(melody, clips, [0], tmp_path, settings=SETTINGS, progress=stop)
    state = tmp_path / FILE
    state.write_bytes(state.read_bytes()[:-9])
    with pytest.raises(TonearmError, match="delete it, and the training starts anew"):
        train_autoencoders(melody, clips, [0], tmp_path, settings=SETTINGS)


def test_statistics_are_those_of_active_frames(melody, clips, tmp_path):
    trained = train_autoencoders(melody, clips, [0], tmp_path, settings=SETTINGS)[0]
    rows = read_frames(melody.engine, clips, "residual", (0,)).rows[0]
    z = encode(trained.weights, rows)
    shares, peaks = feature_statistics(trained.weights, rows.split(50))
    assert torch.allclose(shares, (z > 0).float().mean(0))
    for feature in range(64):
        values = z[:, feature][z[:, feature] > 0]
        expected = values.quantile(0.99, interpolation="nearest") if len(values) else 0.0
        assert float(peaks[feature]) == pytest.approx(float(expected), rel=1e-5), feature


def test_a_trained_autoencoder_is_saved_and_read_again(melody, clips, tmp_path):
    trained = train_autoencoders(melody, clips, [0], tmp_path, settings=SETTINGS)[0]
    loaded = load_autoencoder(save_autoencoder(trained, tmp_path / "a.safetensors"))
    assert loaded.info == trained.info
    assert torch.equal(weights_of(loaded), weights_of(trained))
    assert loaded.content_hash() == trained.content_hash()
    moved = replace(trained, weights=replace(trained.weights, threshold=9.0))
    assert moved.content_hash() != trained.content_hash()
