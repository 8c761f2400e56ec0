"""Beat This!: a transformer beat tracker.

Source: Foscarin, Schlüter & Widmer 2024, "Beat this! Accurate beat tracking without DBN
postprocessing", ISMIR.

Its package requires torchaudio, which does not load beside CPU-only torch. Its model and its peak
picking do not need torchaudio and are imported; the spectrogram and the chunking of long pieces are
implemented here, equal to `beat_this.inference`.

    spectrogram   22,050 Hz, Hann frames of 1,024 every 441 samples (50 frames/s), magnitude /
                  sqrt(1024), 128 Slaney mel bands from 30 to 11,000 Hz, log(1 + 1000 x)
    long pieces   chunks of 1,500 frames, of which 6 at either end are context only; the last chunk
                  ends with the piece

A checkpoint is a dict with `state_dict` (keys begin with `model.`) and `hyper_parameters`; it is
loaded without pickled code.

Shapes: T frames; spectrogram [T, 128], logits [2, T].
"""

import inspect
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.frame_levels import is_sounding
from tonearm.loading import check_tensors, loading_errors
from tonearm.text import first_line, quoted

if TYPE_CHECKING:
    import torch

# Names of the checkpoints that the authors publish, each trained with several seeds or folds.
PUBLISHED = tuple(
    f"{family}{index}"
    for family, count in {
        "final": 3,
        "small": 3,
        "single_final": 3,
        "fold": 8,
        "hung": 3,
        "single_notempoaug": 3,
        "single_nosumhead": 3,
        "single_nomaskaug": 3,
        "single_nopartialt": 3,
        "single_noshifttol": 3,
        "single_nopitchaug": 3,
        "single_noshifttolnoweights": 3,
    }.items()
    for index in range(count)
)
CHECKPOINT_URL = "https://cloud.cp.jku.at/public.php/dav/files/7ik4RrBKTS273gp"
INSTALL = 'pip install "tonearm[beats]" and pip install --no-deps beat-this'
REMEDY = "give one such as final0.ckpt"

SAMPLE_RATE = 22_050
N_FFT = 1024
HOP = 441  # 50 frames per second
N_MELS = 128
TRIAL_FRAMES = 64
MAX_SIZE = 2**14  # of a hyper-parameter
MAX_VALUES = 2**28  # weights; the published checkpoints have up to 20 million
MAX_BYTES = 2**31  # of a checkpoint, unpacked
CHUNK_FRAMES = 1500
BORDER_FRAMES = 6
BODY_FRAMES = CHUNK_FRAMES - 2 * BORDER_FRAMES


class BeatThisTracker:
    """Beat tracker by a Beat This! checkpoint.

    Args:
        checkpoint: a local file, or a published name such as `final0`, which downloads once.
        device: torch device.
        name: for protocols; by default, that of the checkpoint.

    Raises:
        TonearmError: the package is not installed, or there is no such checkpoint.
    """

    def __init__(
        self, checkpoint: str | Path = "final0", device: str = "cpu", name: str | None = None
    ) -> None:
        self.name = name or f"Beat This! {Path(checkpoint).stem}"
        self._device = device
        self._model = _load_model(checkpoint, device)

    def track(self, clip: Clip) -> np.ndarray:
        """Find beat times in seconds.

        Returns:
            float64 [beats], on a grid of 20 ms; empty for silence and under 50 ms.
        """
        import torch
        from beat_this.model.postprocessor import Postprocessor

        if clip.seconds * SAMPLE_RATE < N_FFT or not is_sounding(clip):
            return np.empty(0)
        with torch.inference_mode():
            beat, downbeat = frame_logits(self._model, spectrogram(clip).to(self._device)).cpu()
        return np.asarray(Postprocessor("minimal")(beat, downbeat)[0], dtype=np.float64)


def spectrogram(clip: Clip) -> "torch.Tensor":
    """Compute the model's input, float32 [T, 128], of a clip of 50 ms or more; T = 1 + 50 / s."""
    import torch
    from librosa.filters import mel

    mono = torch.from_numpy(Clip(clip.mono, clip.sample_rate).resampled(SAMPLE_RATE).samples[0])
    window = torch.hann_window(N_FFT)
    magnitudes = torch.stft(
        mono, N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True
    ).abs()
    bands = mel(
        sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS, fmin=30, fmax=11_000, htk=False, norm=None
    )
    return torch.log1p(1000 * (torch.from_numpy(bands) @ magnitudes / N_FFT**0.5)).T


def frame_logits(model: "torch.nn.Module", spectrogram: "torch.Tensor") -> "torch.Tensor":
    """Predict beats and downbeats of a piece of any length.

    Args:
        model: a `BeatThis` network.
        spectrogram: float32 [T, 128].

    Returns:
        Logits of beat and downbeat, float32 [2, T].
    """
    import torch

    #   0: padding of one border
    #   spectrogram  |0000|--------------------------- T ---------------------------|0000|
    #   chunk 0      [bbbb|-------- body --------|bbbb]
    #   chunk 1                            [bbbb|-------- body --------|bbbb]
    #   last chunk                                [bbbb|----------- body -----------|bbbb]
    # Where two bodies overlap, the earlier chunk's logits are kept.
    frames = len(spectrogram)
    padded = torch.nn.functional.pad(spectrogram, (0, 0, BORDER_FRAMES, BORDER_FRAMES))
    bodies = []
    for first in range(0, frames, BODY_FRAMES):
        start = min(first, max(0, frames - BODY_FRAMES))
        prediction = model(padded[None, start : start + CHUNK_FRAMES])
        logits = torch.cat(
            [prediction["beat"], prediction["downbeat"]]
        ).float()  # [2, T of the chunk]
        bodies.append(logits[:, BORDER_FRAMES + first - start : -BORDER_FRAMES])
    return torch.cat(bodies, dim=1)


def _load_model(checkpoint: str | Path, device: str) -> "torch.nn.Module":
    import torch

    try:
        from beat_this.model.beat_tracker import BeatThis
    except ImportError as error:
        raise TonearmError(
            f"Beat This! is not installed ({error.name} is missing): {INSTALL}"
        ) from error

    label = f"{quoted(str(checkpoint))} as a Beat This! checkpoint"
    with loading_errors(label, REMEDY):
        content = _read_checkpoint(checkpoint)
        stored = {
            name.removeprefix("model."): value for name, value in content["state_dict"].items()
        }
        # A checkpoint also lists the hyper-parameters of its training.
        known = inspect.signature(BeatThis).parameters
        settings = {
            name: value for name, value in content["hyper_parameters"].items() if name in known
        }
        _check_sizes(settings, len(stored))
        with torch.device("meta"):  # shapes, without memory for weights
            own = BeatThis(**settings).state_dict()
        mismatched = [
            name for name, value in stored.items() if name in own and value.shape != own[name].shape
        ]
        check_tensors(
            str(checkpoint),
            own.keys() - stored.keys(),
            stored.keys() - own.keys(),
            mismatched,
            REMEDY,
        )
        if sum(tensor.numel() for tensor in own.values()) > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES} weights")
        if any(value.is_complex() or not value.isfinite().all() for value in stored.values()):
            raise ValueError("it has weights that are complex, NaN or infinite")
        model = BeatThis(**settings)
        model.load_state_dict(stored)
        model = model.to(device).eval()
        with torch.inference_mode():  # some hyper-parameters fail only here
            frame_logits(model, torch.zeros(TRIAL_FRAMES, N_MELS, device=device))
    return model


def _check_sizes(settings: Mapping[str, Any], tensors: int) -> None:
    """Raise ValueError for hyper-parameters of a model larger than any checkpoint's."""
    limits = {"n_layers": tensors}  # each layer has several tensors
    for name, value in settings.items():
        if isinstance(value, int | float) and not abs(value) <= limits.get(name, MAX_SIZE):
            raise ValueError(f"{name} of {value} is not possible")


def _read_checkpoint(checkpoint: str | Path) -> dict[str, Any]:
    """Read `state_dict` and `hyper_parameters` from a file or by a published name."""
    import torch

    path, name = Path(checkpoint), str(checkpoint)
    if isinstance(checkpoint, Path) or name not in PUBLISHED:
        if not path.is_file():
            raise TonearmError(
                f"no Beat This! checkpoint at {quoted(name)}; give a local file, or a published "
                "name: final0 to final2, small0 to small2, fold0 to fold7, single_final0, ..."
            )
        size = path.stat().st_size
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"it holds {size} bytes, of which {MAX_BYTES} are possible")
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:  # torch's message recommends running the code
            raise TonearmError(
                f"cannot read {path} as a Beat This! checkpoint (it is damaged, or holds more than "
                f"tensors); {REMEDY}"
            ) from error
    url, file_name = f"{CHECKPOINT_URL}/{name}.ckpt", f"beat_this-{name}.ckpt"
    try:
        return torch.hub.load_state_dict_from_url(
            url, file_name=file_name, map_location="cpu", weights_only=True
        )
    except OSError as error:  # urllib's errors are OSErrors
        raise TonearmError(
            f"cannot download Beat This! {name} ({first_line(error)}); give a local file"
        ) from error
