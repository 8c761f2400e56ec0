"""Effect on the model's predictions of replacing its activations, teacher-forced on given clips.

Used for reconstructions that a model is to work with: their cross-entropy is compared with that of
the activations themselves and with that of a constant (mean ablation).

Shapes: n clips; B clips of a batch; D width.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from tonearm.activations.clips import Clips
from tonearm.activations.frames import FrameReplacement, clip_batches
from tonearm.backend import Site, Taps
from tonearm.errors import TonearmError
from tonearm.musicgen.conditioning import condition
from tonearm.musicgen.decode_request import DecodeRequest
from tonearm.musicgen.engine import DecoderEngine, Engine, whole_positions
from tonearm.musicgen.sampling import Sampling
from tonearm.musicgen.teacher_forcing import mean_cross_entropy, mean_divergence

Replace = Callable[[torch.Tensor], torch.Tensor]  # activations float32 [.., D] -> replacement


@dataclass(frozen=True)
class Predictions:
    """Means over clips, in nats per frame, summed over codebooks.

    cross_entropy  of the clips' codes
    divergence     KL of the predictions from those without replacement; 0 without one
    """

    cross_entropy: float
    divergence: float


def predictions_with(
    engine: Engine,
    clips: Clips,
    site: Site,
    layer: int,
    replacements: Mapping[str, Replace | None],
) -> dict[str, Predictions]:
    """Compare the model's predictions under several replacements of one layer's activations.

    The clips are read with their texts and without guidance. Activations of columns that hold a BOS
    are kept.

    Args:
        engine: a DecoderEngine.
        clips: of one window.
        site: of the activations.
        layer: likewise.
        replacements: by name; None keeps the activations.

    Raises:
        TonearmError: another engine.
    """
    if not isinstance(engine, DecoderEngine):
        raise TonearmError(
            f"engine {engine.name} cannot compare predictions; use engine {DecoderEngine.name}"
        )
    positions = whole_positions(engine.checkpoint.shape, clips.frames)
    sums = {name: [0.0, 0.0] for name in replacements}
    for batch in clip_batches(engine.checkpoint, clips):
        texts = [clips.records[index].text for index in batch]
        codes = clips.codes[batch].long().to(engine.checkpoint.device)
        request = DecodeRequest(
            condition(engine.checkpoint, texts, guided=False),
            clips.frames,
            [Sampling()] * len(batch),
            [0] * len(batch),
            (),
        )
        for name, replace in replacements.items():
            taps: Taps = {}
            if replace is not None:
                taps = {(site, layer): [FrameReplacement(positions, replace)]}
                divergence = mean_divergence(engine.decoder, request, request, codes, taps)
                sums[name][1] += float(divergence.sum())
            loss = mean_cross_entropy(engine.decoder, request, codes, taps)
            sums[name][0] += float(loss.sum())
    return {name: Predictions(*(one / len(clips) for one in both)) for name, both in sums.items()}
