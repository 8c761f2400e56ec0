import builtins
import random
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from tests import foreign_code
from tests.measures.sounds import clicks, silence
from tonearm.errors import TonearmError
from tonearm.evaluators import beat_this
from tonearm.evaluators.beat_this import (
    BODY_FRAMES,
    CHUNK_FRAMES,
    BeatThisTracker,
    frame_logits,
    spectrogram,
)

TINY = {"transformer_dim": 16, "n_layers": 1, "head_dim": 8, "stem_dim": 8, "ff_mult": 1}
LENGTHS = [
    1,
    40,
    BODY_FRAMES - 1,
    BODY_FRAMES,
    BODY_FRAMES + 3,
    CHUNK_FRAMES,
    CHUNK_FRAMES + 1,
    2 * BODY_FRAMES + 700,
]


class Neighbourhood(torch.nn.Module):
    """Logits that sum 13 frames, 6 on either side: the widest receptive field of borders of 6."""

    def forward(self, spectrogram: torch.Tensor) -> dict[str, torch.Tensor]:
        sums = torch.nn.functional.avg_pool1d(spectrogram.mT, 13, 1, 6).sum(1) * 13
        return {"beat": sums, "downbeat": -sums}


@pytest.mark.parametrize("frames", LENGTHS)
def test_chunks_leave_no_seams(frames: int) -> None:
    piece = torch.randn(frames, 128, generator=torch.Generator().manual_seed(0))
    model = Neighbourhood()
    whole = model(piece[None])
    logits = frame_logits(model, piece)
    assert logits.shape == (2, frames)
    torch.testing.assert_close(logits[0], whole["beat"][0], atol=1e-3, rtol=1e-4)
    torch.testing.assert_close(logits[1], whole["downbeat"][0], atol=1e-3, rtol=1e-4)


def test_spectrogram_has_fifty_frames_per_second_and_silence_is_zero() -> None:
    assert spectrogram(silence(2)).shape == (101, 128)
    assert not spectrogram(silence(2)).any()
    at_click = spectrogram(clicks(60, 3, first_seconds=1.0)).sum(1)
    assert abs(int(at_click[:75].argmax()) - 50) <= 1


def test_an_absent_package_is_refused_with_its_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real_import = builtins.__import__

    def without_beat_this(name: str, *rest: Any) -> ModuleType:
        if name.startswith("beat_this"):
            raise ModuleNotFoundError("No module named 'beat_this'", name="beat_this")
        return real_import(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_beat_this)
    with pytest.raises(TonearmError, match="pip install --no-deps beat-this"):
        BeatThisTracker(tmp_path / "final0.ckpt")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random model in the format of the published checkpoints."""
    tracker = pytest.importorskip("beat_this.model.beat_tracker")
    torch.manual_seed(0)
    weights = tracker.BeatThis(**TINY).state_dict()
    # Random weights give nearly constant logits; these cross 0 and have peaks.
    weights["task_heads.beat_downbeat_lin.weight"] *= 100
    content = {
        "state_dict": {f"model.{name}": value for name, value in weights.items()},
        "hyper_parameters": {
            **TINY,
            "lr": 0.0008,
            "fps": 50,
        },  # published checkpoints have those of training too
        "pytorch-lightning_version": "2.0.1",
    }
    path = tmp_path_factory.mktemp("beat_this") / "tiny.ckpt"
    torch.save(content, path)
    return path


def test_a_local_checkpoint_loads_and_tracks(checkpoint: Path) -> None:
    tracker = BeatThisTracker(checkpoint)
    assert tracker.name == "Beat This! tiny"
    beats = tracker.track(clicks(120, 5))
    assert len(beats) > 0
    assert (np.diff(beats) > 0).all()
    assert beats[0] >= 0 and beats[-1] <= 5
    np.testing.assert_array_equal(BeatThisTracker(str(checkpoint)).track(clicks(120, 5)), beats)


@pytest.mark.parametrize("seconds", [0, 0.02, 3])
def test_silent_and_short_clips_have_no_beats(checkpoint: Path, seconds: float) -> None:
    assert BeatThisTracker(checkpoint).track(silence(seconds)).shape == (0,)


def test_weights_and_chunks_agree_with_the_package(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package's inference module imports torchaudio for its spectrogram only.
    monkeypatch.setitem(sys.modules, "torchaudio", ModuleType("torchaudio"))
    inference = pytest.importorskip("beat_this.inference")
    for name in ("beat_this.inference", "beat_this.preprocessing"):
        del sys.modules[name]  # so that no later import finds the package with a fake torchaudio

    piece = torch.rand(900, 128, generator=torch.Generator().manual_seed(1)) * 5
    monkeypatch.setattr(beat_this, "CHUNK_FRAMES", 400)
    monkeypatch.setattr(beat_this, "BODY_FRAMES", 400 - 2 * beat_this.BORDER_FRAMES)
    theirs = inference.load_model(str(checkpoint))
    with torch.inference_mode():
        expected = inference.split_predict_aggregate(
            piece, 400, beat_this.BORDER_FRAMES, "keep_first", theirs
        )
        logits = frame_logits(BeatThisTracker(checkpoint)._model, piece)
    torch.testing.assert_close(logits[0], expected["beat"])
    torch.testing.assert_close(logits[1], expected["downbeat"])


def test_other_files_are_refused_in_one_line(checkpoint: Path, tmp_path: Path) -> None:
    text = tmp_path / "notes.ckpt"
    text.write_text("not a checkpoint")
    other = tmp_path / "other.ckpt"
    torch.save({"weights": torch.zeros(1)}, other)
    wide = tmp_path / "wide.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, "hyper_parameters": {**TINY, "transformer_dim": 32}}, wide)
    for path in (text, other, wide, tmp_path / "absent.ckpt"):
        with pytest.raises(TonearmError, match="final0") as caught:
            BeatThisTracker(path)
        assert path.name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_missing_unexpected_and_mismatched_tensors_are_named(
    checkpoint: Path, tmp_path: Path
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    weights = content["state_dict"]
    example = "task_heads.beat_downbeat_lin.weight"
    changed = {
        f"1 missing ({example})": {
            name: value for name, value in weights.items() if name != f"model.{example}"
        },
        "remove 'module.'": {f"module.{name}": value for name, value in weights.items()},
        "1 unexpected (foreign)": weights | {"model.foreign": torch.zeros(1)},
        f"1 of another shape ({example})": weights | {f"model.{example}": torch.zeros(1, 1)},
    }
    for expected, state in changed.items():
        torch.save({**content, "state_dict": state}, tmp_path / "changed.ckpt")
        with pytest.raises(TonearmError) as caught:
            BeatThisTracker(tmp_path / "changed.ckpt")
        assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_code_in_a_pickled_checkpoint_never_runs(checkpoint: Path, tmp_path: Path) -> None:
    content = torch.load(checkpoint, weights_only=True)
    torch.save(
        {**content, "payload": foreign_code.Payload(tmp_path / "marker")}, tmp_path / "foreign.ckpt"
    )
    with pytest.raises(TonearmError, match="cannot read"):
        BeatThisTracker(tmp_path / "foreign.ckpt")
    assert not (tmp_path / "marker").exists()


def test_a_name_that_cannot_be_downloaded_is_refused(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(url: str, **_: Any) -> dict[str, Any]:
        raise OSError(f"no route to {url}")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    with pytest.raises(TonearmError, match=r"final0\.ckpt.*local file"):
        BeatThisTracker("final0")


def test_a_published_name_is_downloaded_under_its_own_file_name(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads = []

    def download(url: str, file_name: str, **_: Any) -> dict[str, Any]:
        downloads.append((url.rsplit("/", 1)[-1], file_name))
        return torch.load(checkpoint, weights_only=True)

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", download)
    assert BeatThisTracker("small0").name == "Beat This! small0"
    assert downloads == [("small0.ckpt", "beat_this-small0.ckpt")]


def test_a_checkpoint_of_the_published_shape_loads_in_half_precision(tmp_path: Path) -> None:
    model = pytest.importorskip(
        "beat_this.model.beat_tracker"
    ).BeatThis()  # with the defaults of final0
    weights = {f"model.{name}": value.half() for name, value in model.state_dict().items()}
    assert sum(
        value.numel() for name, value in weights.items() if "running" not in name
    ) == pytest.approx(20.3e6, rel=0.01)
    torch.save({"state_dict": weights, "hyper_parameters": {}}, tmp_path / "final0.ckpt")
    tracker = BeatThisTracker(tmp_path / "final0.ckpt")
    assert next(tracker._model.parameters()).dtype == torch.float32
    assert (np.diff(tracker.track(clicks(120, 2))) > 0).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_layers", 10**9),
        ("n_layers", -1),
        ("transformer_dim", 10**6),
        ("transformer_dim", 0),
        ("head_dim", 7),
        ("head_dim", 0),
        ("ff_mult", float("nan")),
        ("stem_dim", 2**14),
        ("spect_dim", 64),
        ("dropout", "x"),
        ("dropout", {}),
    ],
)
def test_edited_hyper_parameters_are_refused_in_one_line(
    checkpoint: Path, tmp_path: Path, name: str, value: object
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    edited = {**content, "hyper_parameters": {**content["hyper_parameters"], name: value}}
    torch.save(edited, tmp_path / "edited.ckpt")
    with pytest.raises(TonearmError) as caught:
        BeatThisTracker(tmp_path / "edited.ckpt")
    assert "edited.ckpt" in str(caught.value)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 700


@pytest.mark.parametrize(
    "value",
    [
        "x",
        None,
        torch.full((2, 16), torch.nan),
        torch.zeros(2, 16, dtype=torch.complex64),
        torch.zeros(1).expand(10**9, 10**9),
    ],
    ids=["text", "none", "nan", "complex", "huge"],
)
def test_edited_weights_are_refused_in_one_line(
    checkpoint: Path, tmp_path: Path, value: object
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["state_dict"]["model.task_heads.beat_downbeat_lin.weight"] = value
    torch.save(content, tmp_path / "edited.ckpt")
    with pytest.raises(TonearmError, match="edited") as caught:
        BeatThisTracker(tmp_path / "edited.ckpt")
    assert "\n" not in str(caught.value)


def test_mutated_checkpoints_load_or_are_refused_in_one_line(
    checkpoint: Path, tmp_path: Path
) -> None:
    whole, rng, refused = checkpoint.read_bytes(), random.Random(0), 0
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(rng.choice([1, 3, 30])):
            content[rng.randrange(len(content))] = rng.randrange(256)
        (tmp_path / "x.ckpt").write_bytes(content[: rng.choice([len(whole), len(whole), 3000])])
        try:
            BeatThisTracker(tmp_path / "x.ckpt")
        except TonearmError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 700
    assert refused > 20


def test_a_checkpoint_that_unpacks_to_gigabytes_is_refused_before_it_is_read(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beat_this, "MAX_BYTES", 2**20)
    with zipfile.ZipFile(tmp_path / "x.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data/0", bytes(2**20 + 1))
    assert (tmp_path / "x.ckpt").stat().st_size < 2**13
    with pytest.raises(TonearmError, match="holds 1048577 bytes, of which 1048576 are possible"):
        BeatThisTracker(tmp_path / "x.ckpt")
