"""musicnn: a tagger of real music, with 50 tags of MagnaTagATune.

Source: Pons & Serra 2019, "musicnn: Pre-trained convolutional neural networks for music audio
tagging", ISMIR late-breaking demo; Pons et al. 2018, "End-to-end learning for music audio tagging
at scale", ISMIR. The weights are MTT_musicnn of the package musicnn 0.1.0 (ISC licence), converted
by `recipes/evaluators/musicnn.py`; the network is implemented here. Its training data, recordings
of MagnaTagATune (Law et al. 2009) with tags by listeners, have nothing in common with pocket's
corpus, on which the bundled CLAP and beat tracker were trained.

    spectrogram   16 kHz mono, Hann frames of 512 every 256 samples, power, 96 Slaney mel bands,
                  log10(1 + 10000 x)
    windows       187 frames (3 s) every 61 frames (0.98 s), the original's `input_overlap=1.0`; a
                  remainder shorter than a hop is left out

    spectrogram ─► 2 timbral blocks (7 frames x 38 and 67 bands)         ┐ max over bands
                   3 temporal blocks (128, 64 and 32 frames x 1 band)    ┘ 561 channels
                ─► 3 layers of 64 channels, 7 frames, the last two residual
                ─► all 753 channels: max and mean over time ─► 200 ─► 50 tags (sigmoid)

Every convolution and the dense layer are followed by ReLU and then by batch normalisation.

The original also rounds the mel bands to half precision, which changes a probability by up to
0.00004; here they are single precision.

Shapes: B windows, T frames; spectrogram [T, 96], embeddings [B, 200], probabilities [B, 50].
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tonearm import assets
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.loading import check_tensors, loading_errors

SAMPLE_RATE = 16_000
N_FFT = 512
HOP = 256
N_MELS = 96
WINDOW_FRAMES = 187
WINDOW_HOP = 61
MIN_SECONDS = 3.0
WINDOWS_PER_BATCH = 4
BATCH_NORM_EPS = 1e-3
N_TIMBRAL, N_TEMPORAL, N_MIDDLE, N_EMBEDDING = 204, 51, 64, 200
TIMBRAL_KERNELS = ((7, 38), (7, 67))  # frames, bands
TEMPORAL_KERNELS = (128, 64, 32)  # frames
MIDDLE_KERNEL = 7  # frames
N_FRONT = len(TIMBRAL_KERNELS) * N_TIMBRAL + len(TEMPORAL_KERNELS) * N_TEMPORAL
REMEDY = "install Tonearm again"


class Musicnn(nn.Module):
    """The network, from spectrograms to embeddings and logits.

    Args:
        n_tags: outputs.
    """

    def __init__(self, n_tags: int) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm2d(1, BATCH_NORM_EPS)
        self.timbral = nn.ModuleList(_Bands(N_TIMBRAL, kernel) for kernel in TIMBRAL_KERNELS)
        self.temporal = nn.ModuleList(
            _Bands(N_TEMPORAL, (frames, 1)) for frames in TEMPORAL_KERNELS
        )
        self.middle = nn.ModuleList(_Middle(width) for width in (N_FRONT, N_MIDDLE, N_MIDDLE))
        n_pooled = 2 * (N_FRONT + len(self.middle) * N_MIDDLE)
        self.pooled_norm = nn.BatchNorm1d(n_pooled, BATCH_NORM_EPS)
        self.dense = nn.Linear(n_pooled, N_EMBEDDING)
        self.dense_norm = nn.BatchNorm1d(N_EMBEDDING, BATCH_NORM_EPS)
        self.output = nn.Linear(N_EMBEDDING, n_tags)

    def forward(self, spectrograms: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the penultimate layer [B, 200] and the logits [B, tags] of windows [B, T, 96]."""
        bands = self.input_norm(spectrograms[:, None])
        front = torch.cat([block(bands) for block in (*self.timbral, *self.temporal)], 1)
        first = self.middle[0](front)
        second = self.middle[1](first) + first
        third = self.middle[2](second) + second
        features = torch.cat([front, first, second, third], 1)  # [B, 753, T]
        # The maximum and the mean of a channel are neighbours.
        pooled = torch.stack([features.amax(-1), features.mean(-1)], -1).flatten(1)
        embedding = self.dense_norm(torch.relu(self.dense(self.pooled_norm(pooled))))
        return embedding, self.output(embedding)


class _Bands(nn.Module):
    """Convolution over time and bands, and the maximum over bands: [B, 1, T, 96] to [B, C, T]."""

    def __init__(self, channels: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, kernel)
        self.norm = nn.BatchNorm2d(channels, BATCH_NORM_EPS)
        padding = kernel[0] - 1
        self._padding = (0, 0, padding // 2, padding - padding // 2)  # bands, then time

    def forward(self, bands: torch.Tensor) -> torch.Tensor:
        padded = nn.functional.pad(bands, self._padding)
        return self.norm(torch.relu(self.conv(padded))).amax(-1)


class _Middle(nn.Module):
    """Convolution over time: [B, C, T] to [B, 64, T]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, N_MIDDLE, MIDDLE_KERNEL, padding=MIDDLE_KERNEL // 2)
        self.norm = nn.BatchNorm1d(N_MIDDLE, BATCH_NORM_EPS)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return self.norm(torch.relu(self.conv(features)))


class MusicnnTagger:
    """Tagger, and embedder by the penultimate layer.

    Args:
        device: torch device.

    Raises:
        TonearmError: this installation has no weights of it, or damaged ones.
    """

    name = "musicnn"
    training_data = "MagnaTagATune (real music)"
    min_seconds = MIN_SECONDS
    windows = "3-s windows every 0.98 s averaged"

    def __init__(self, device: str = "cpu") -> None:
        self._device = device
        self._model, self.tags = _load(assets.MUSICNN)
        self._model.to(device)
        self.fingerprint = hashlib.sha256(assets.MUSICNN.read_bytes()).hexdigest()[:16]

    def tag(self, clip: Clip) -> np.ndarray:
        """Compute the probabilities of the tags, float32 [B, 50], of each window of a clip.

        Raises TonearmError for a clip under 3 s, and for samples that are not finite.
        """
        return self._run(clip)[1]

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        """Embed each clip, float32 [n, 200]: the penultimate layer, averaged over windows.

        Raises TonearmError as `tag`.
        """
        return np.stack([self._run(clip)[0].mean(0) for clip in clips])

    def _run(self, clip: Clip) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings [B, 200] and probabilities [B, 50]."""
        windows = torch.from_numpy(spectrogram(clip)).unfold(0, WINDOW_FRAMES, WINDOW_HOP)
        embeddings, probabilities = [], []
        with torch.inference_mode():
            for batch in windows.mT.split(WINDOWS_PER_BATCH):
                embedding, logits = self._model(batch.to(self._device))
                embeddings.append(embedding.cpu())
                probabilities.append(torch.sigmoid(logits).cpu())
        return torch.cat(embeddings).numpy(), torch.cat(probabilities).numpy()


def spectrogram(clip: Clip) -> np.ndarray:
    """Compute the network's input, float32 [T, 96], of a clip of 3 s or more; T = 1 + 62.5 / s.

    Raises TonearmError for a shorter clip, and for samples that are not finite.
    """
    from librosa.feature import melspectrogram

    if clip.seconds < MIN_SECONDS:
        raise TonearmError(
            f"a clip of {clip.seconds:.2f} s is too short for musicnn; give {MIN_SECONDS:g} s"
        )
    if not np.isfinite(clip.samples).all():
        raise TonearmError("a clip holds NaN or infinite samples; give audio without them")
    mono = Clip(clip.mono, clip.sample_rate).resampled(SAMPLE_RATE).samples[0]
    bands = melspectrogram(
        y=mono, sr=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS, pad_mode="reflect"
    )
    return np.log10(1 + 10_000 * bands.T).astype(np.float32)


def _load(path: Path) -> tuple[Musicnn, tuple[str, ...]]:
    """Read the network and its tags."""
    import safetensors

    if not path.is_file():
        raise TonearmError(f"this installation has no weights of musicnn; {REMEDY}")
    with loading_errors("the weights of musicnn", REMEDY):
        with safetensors.safe_open(path, framework="pt") as file:
            tags = tuple(json.loads(file.metadata()["tags"]))
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        model = Musicnn(len(tags)).eval()
        own = model.state_dict()
        counters = {name for name in own if name.endswith("num_batches_tracked")}
        mismatched = [
            name for name, value in stored.items() if name in own and value.shape != own[name].shape
        ]
        check_tensors(
            "musicnn",
            own.keys() - stored.keys() - counters,
            stored.keys() - own.keys(),
            mismatched,
            REMEDY,
        )
        model.load_state_dict(stored, strict=False)
    return model, tags
