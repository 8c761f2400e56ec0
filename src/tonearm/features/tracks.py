"""Activity of the features by track.

Shapes: n tracks; c clips; m frames; F features; D width.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from tonearm.activations.clips import Clips
from tonearm.activations.frames import read_frames
from tonearm.features.autoencoder import encode
from tonearm.features.trained import TrainedAutoencoder
from tonearm.model import Model
from tonearm.progress import Progress

CLIPS_AT_ONCE = 32
BLOCK_VALUES = 2**26  # of features: 256 MiB as float32


@dataclass(frozen=True)
class TrackActivity:
    """Activity of each feature on each track, over all frames of its clips.

    tracks  names, n
    means   mean value, float32 [n, F]
    shares  share of the frames in which it is active, float32 [n, F]
    """

    tracks: tuple[str, ...]
    means: torch.Tensor
    shares: torch.Tensor


def track_activity(
    model: Model, trained: TrainedAutoencoder, clips: Clips, progress: Progress | None = None
) -> TrackActivity:
    """Measure the activity of all features, as clips are read with their texts.

    Args:
        model: that the autoencoder was trained on.
        trained: the autoencoder.
        clips: of the tracks.
        progress: called with clips done and clips in all.

    Raises:
        TonearmError: another model.
    """
    trained.check_model(model.shape)
    numbers = {track: number for number, track in enumerate(clips.tracks)}
    owners = torch.tensor([numbers[one.track] for one in clips.records])
    size = (len(numbers), trained.info.features)
    sums, active = torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    frames = torch.zeros(len(numbers), dtype=torch.int64)
    for first, rows, clip in rows_of_clips(model, trained, clips):
        z = encode(trained.weights, rows)
        track = owners[first + clip]
        sums.index_add_(0, track, z.double())
        active.index_add_(0, track, (z > 0).double())
        frames += torch.bincount(track, minlength=len(numbers))
        if progress:
            progress(first + int(clip.max()) + 1, len(clips))
    each = frames[:, None].clamp(min=1)
    return TrackActivity(clips.tracks, (sums / each).float(), (active / each).float())


def rows_of_clips(
    model: Model, trained: TrainedAutoencoder, clips: Clips
) -> Iterator[tuple[int, torch.Tensor, torch.Tensor]]:
    """Read the activations of an autoencoder's layer, some clips at a time, in blocks whose features
    are BLOCK_VALUES numbers at most.

    Yields:
        Index of the first clip, rows float32 [m, D], and each row's clip from that one on, int64
        [m].
    """
    info = trained.info
    size = max(1, BLOCK_VALUES // info.features)
    for first in range(0, len(clips), CLIPS_AT_ONCE):
        part = clips.chosen(range(first, min(first + CLIPS_AT_ONCE, len(clips))))
        found = read_frames(model.engine, part, info.site, (info.layer,))
        blocks = zip(found.rows[info.layer].split(size), found.clips.split(size), strict=True)
        for rows, owners in blocks:
            yield first, rows, owners
