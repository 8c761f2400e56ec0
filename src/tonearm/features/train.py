"""Training of sparse autoencoders of several layers of a model at once, resumable.

    clips ─┬─► training clips ─ chunks of mixed frames ─► one trainer per layer
           └─► validation clips ───────────────────────► fidelity

The state is written after every chunk, and a stopped training continues at the next chunk; the
result is that of an unstopped one. Memory holds one chunk of all layers, of four steps at least.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from tonearm import boundary
from tonearm.activations.clips import Clips
from tonearm.backend import Site
from tonearm.errors import TonearmError
from tonearm.features.fidelity import feature_statistics, measure_fidelity
from tonearm.features.info import AutoencoderInfo
from tonearm.features.row_stream import (
    CROSS_ATTENTION,
    SCALE_BATCHES,
    LayerScales,
    RowStream,
    batches_of,
    within_limit,
)
from tonearm.features.settings import MAX_FEATURES, TrainingSettings
from tonearm.features.trained import TrainedAutoencoder
from tonearm.features.trainer import Trainer
from tonearm.features.training_state import Run, read_state, write_state
from tonearm.model import Model
from tonearm.musicgen.engine import DecoderEngine
from tonearm.progress import Progress

VALIDATION_CLIPS = 64  # at most


def train_autoencoders(
    model: Model,
    clips: Clips,
    layers: Sequence[int],
    folder: Path,
    *,
    site: Site = "residual",
    settings: TrainingSettings | None = None,
    progress: Progress | None = None,
) -> dict[int, TrainedAutoencoder]:
    """Train an autoencoder for each of some layers. The model is not changed.

    Args:
        model: with the decoder's engine.
        clips: of several tracks, from `clips_of_prompts` or `clips_of_recordings`.
        layers: 0-based.
        folder: that keeps the state of the training, also of a finished one, until `remove_state`:
            first save the autoencoders.
        site: of the activations.
        settings: default: `TrainingSettings()`.
        progress: called with steps done and steps in all.

    Returns:
        The autoencoders by layer.

    Raises:
        TonearmError: a layer, site or engine that is not possible, one track alone, too few frames
            for a step, more active features than features, or an unfinished training of another
            kind in the folder.
    """
    boundary.instance(model, "model", Model, "a Model, as tonearm.load returns it")
    settings = TrainingSettings() if settings is None else settings
    layers = tuple(sorted(set(layers)))
    has_texts = all(one.text is not None for one in clips.records)
    check_training(model, site, layers, settings, has_texts=has_texts)
    held_out = validation_clips(clips, settings)
    training = sorted(set(range(len(clips))) - set(held_out))
    stream = RowStream(
        model.engine, clips.chosen(training), site, layers, settings.seed, settings.batch_rows
    )
    scales = stream.scales(SCALE_BATCHES * settings.batch_rows)
    run = Run(
        fingerprint=model.shape.fingerprint,
        precision=model.checkpoint.precision,
        site=site,
        layers=layers,
        settings=settings,
        data_hash=hash_of_clips(clips),
    )
    trainers = _train(stream, scales, settings, run, folder, progress)
    return {
        layer: _finished(model, clips, held_out, stream, scales[layer], trainer, run, layer)
        for layer, trainer in trainers.items()
    }


def check_training(
    model: Model,
    site: str,
    layers: Sequence[int],
    settings: TrainingSettings,
    *,
    has_texts: bool = True,
) -> None:
    """Raise TonearmError for a layer, site, engine or setting that is not possible.

    Args:
        model: of the activations.
        site: likewise.
        layers: likewise.
        settings: of the training.
        has_texts: all clips are read with a text.
    """
    shape = model.shape
    if not isinstance(model.engine, DecoderEngine):
        raise TonearmError(
            f"engine {model.engine.name} cannot measure an autoencoder; "
            f"use engine {DecoderEngine.name}"
        )
    shape.check_site(site)
    if site == CROSS_ATTENTION and not has_texts:
        raise TonearmError(
            "cross_attention is exactly 0 without a text; train on prompts, or choose another site"
        )
    last = shape.layer_count - 1
    if not layers or not 0 <= min(layers) <= max(layers) <= last:
        raise TonearmError(
            f"layers {', '.join(map(str, layers)) or '(none)'} are not possible; {shape.name} has "
            f"layers 0..{last}"
        )
    features = settings.features(shape.width)
    if features > MAX_FEATURES:
        raise TonearmError(
            f"{features} features are too many, at most {MAX_FEATURES}; lower the expansion"
        )
    if settings.k > features:
        raise TonearmError(
            f"{settings.k} active features of {features} are not possible; lower k, or raise the "
            "expansion"
        )


def validation_clips(clips: Clips, settings: TrainingSettings) -> list[int]:
    """Choose the clips of the validation tracks.

    Raises:
        TonearmError: there is one track alone.
    """
    tracks = clips.tracks
    if len(tracks) < 2:
        raise TonearmError(
            "all clips are of one track, so that none can be held out; give more prompts or more "
            "recordings"
        )
    count = min(len(tracks) - 1, max(1, round(settings.validation_share * len(tracks))))
    generator = torch.Generator().manual_seed(settings.seed)
    order = torch.randperm(len(tracks), generator=generator).tolist()
    chosen = {tracks[index] for index in order[:count]}
    return [index for index, one in enumerate(clips.records) if one.track in chosen]


def hash_of_clips(clips: Clips) -> str:
    """Sixteen hexadecimal digits that identify clips: codes, tracks and texts."""
    digest = hashlib.sha256(clips.codes.numpy().astype("<i2").tobytes())
    for one in clips.records:
        digest.update(one.model_dump_json().encode())
    return digest.hexdigest()[:16]


def _train(
    stream: RowStream,
    scales: dict[int, LayerScales],
    settings: TrainingSettings,
    run: Run,
    folder: Path,
    progress: Progress | None,
) -> dict[int, Trainer]:
    trainers, chunk = _begun(stream, scales, settings, run, folder)
    device = stream.engine.checkpoint.device
    while any(trainer.steps < settings.steps for trainer in trainers.values()):
        rows = stream.chunk(chunk)
        for layer, trainer in trainers.items():
            for batch in batches_of(rows[layer], scales[layer], settings.batch_rows):
                if trainer.steps == settings.steps:
                    break
                trainer.step(batch.to(device))
                if progress:
                    done = sum(one.steps for one in trainers.values()) // len(trainers)
                    progress(done, settings.steps)
        chunk += 1
        write_state(folder, run, chunk, {k: one.state() for k, one in trainers.items()})
    return trainers


def _begun(
    stream: RowStream,
    scales: dict[int, LayerScales],
    settings: TrainingSettings,
    run: Run,
    folder: Path,
) -> tuple[dict[int, Trainer], int]:
    """Trainers at their stored state or at the start, and the next chunk."""
    trainers = {}
    for layer, rows in stream.chunk(0).items():
        first = next(batches_of(rows, scales[layer], settings.batch_rows), None)
        if first is None:
            raise TonearmError(
                f"the training clips have too few frames for a step of {settings.batch_rows}; give "
                "more clips, or fewer rows per step"
            )
        trainers[layer] = Trainer(settings, first.to(stream.engine.checkpoint.device))
    stored = read_state(folder, run)
    if stored is None:
        return trainers, 0
    chunk, states = stored
    try:
        for layer, trainer in trainers.items():
            trainer.restore(states[layer])
    except (KeyError, RuntimeError):
        raise TonearmError(
            f"the unfinished training in {folder} is damaged; delete it, and it starts anew"
        ) from None
    return trainers, chunk


def _finished(
    model: Model,
    clips: Clips,
    held_out: list[int],
    stream: RowStream,
    scales: LayerScales,
    trainer: Trainer,
    run: Run,
    layer: int,
) -> TrainedAutoencoder:
    """The trainer's autoencoder of raw activations, with statistics and fidelity."""
    weights = trainer.autoencoder().scaled(scales.scale)
    one_layer = replace(stream, layers=(layer,))
    shares, peaks = feature_statistics(weights, [within_limit(one_layer.chunk(0)[layer], scales)])
    few = held_out[:: -(-len(held_out) // VALIDATION_CLIPS)]
    of_validation = replace(one_layer, clips=clips)
    rows = within_limit(of_validation.read(few).rows[layer], scales)
    shape, records = model.shape, clips.records
    info = AutoencoderInfo(
        checkpoint=shape.public_name,
        fingerprint=shape.fingerprint,
        precision=run.precision,
        layer_count=shape.layer_count,
        width=shape.width,
        site=run.site,
        layer=layer,
        features=weights.features,
        threshold=weights.threshold,
        scale=scales.scale,
        mean_norm=scales.mean_norm,
        settings=run.settings,
        source="audio" if records[0].text is None else "prompts",
        clips=len(clips),
        tracks=len(clips.tracks),
        validation_tracks=len({records[index].track for index in held_out}),
        data_hash=run.data_hash,
        fidelity=measure_fidelity(model.engine, weights, clips.chosen(few), rows, run.site, layer),
    )
    return TrainedAutoencoder(weights, shares, peaks, info)
