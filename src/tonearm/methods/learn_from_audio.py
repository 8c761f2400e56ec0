"""Learning of a steering vector from two contrasting sets of audio.

Source: Panda et al. 2025, IV-C: activations of the last position, attention outputs or residual
stream.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path

from tonearm import boundary
from tonearm.activations.audio import AudioSpec
from tonearm.activations.corpus import capture_recordings
from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import LabelledFile, audio_files
from tonearm.datasets.recordings import Recording, recordings_of
from tonearm.datasets.skips import describe_skips
from tonearm.errors import TonearmError
from tonearm.files.temporary_folder import temporary_folder
from tonearm.generation.request import AudioLike, audio_source
from tonearm.methods.base import method_named, require_direction, site_of
from tonearm.methods.from_store import Sides, segments_of_sides, warn_of_same_audio
from tonearm.methods.vector_of_store import vector_of_store
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.steering import Site, SteeringVector

AUDIO = "a list of paths, Clips, Takes, (samples, sample rate) or Recordings"
POSITIVE, NEGATIVE = "positive", "negative"

_log = logging.getLogger(__name__)


def learn_from_audio(
    model: Model,
    positive: Sequence[AudioLike | Recording],
    negative: Sequence[AudioLike | Recording],
    name: str,
    *,
    method: str = "diffmean",
    site: Site | None = None,
    pooling: str = "last",
    segment_seconds: float | None = None,
    text: str | None = None,
    positive_label: str = "more",
    negative_label: str = "less",
    batch_size: int | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
) -> SteeringVector:
    """Learn the direction from `negative` to `positive` audio at every layer. The model is not
    changed.

    The audio is cut into adjacent segments of one length, encoded, and read in one teacher-forced
    pass per batch. Audio that cannot be used (shorter than a segment, silent, damaged) is left out
    with a warning. Every path and clip is a track of its own; a Recording states its track, and the
    piece that recordings of both sides are made from, which no split divides.

    Args:
        model: whose activations are captured.
        positive: audio with the attribute; of a folder, all audio files in it.
        negative: audio without it, or with its opposite.
        name: of the vector.
        method: a registered method (tonearm/methods).
        site: where activations are read, and where the vector will act; default: residual, or that
            of a method which reads one site alone (heads of iti and smitin).
        pooling: "last", "first", "mean" or "at:SECONDS"; see
            tonearm/activations/audio_pooling.py.
        segment_seconds: default: 10, or the checkpoint's window where that is shorter.
        text: read with every segment; default: none, the null text of guidance.
        positive_label: meaning of a positive strength.
        negative_label: meaning of a negative strength.
        batch_size: segments per pass; default: as many as fit, 8 at most.
        store: folder that keeps the activations, so that a stopped call resumes; default: a
            temporary folder.
        progress: called with recordings done and recordings in all.

    Raises:
        TonearmError: no usable audio on a side, a track on both, an argument that is not possible,
            too little audio for the method, or no direction beyond chance.
    """
    boundary.instance(model, "model", Model, "a Model, as tonearm.load returns it")
    for argument, value in dict(
        name=name,
        method=method,
        pooling=pooling,
        positive_label=positive_label,
        negative_label=negative_label,
    ).items():
        boundary.text(value, argument)
    if not name.strip():
        raise TonearmError("the vector's name is empty; give one, such as jazz")
    boundary.optional(boundary.text, site, "site")
    segment_seconds = boundary.optional(boundary.number, segment_seconds, "segment_seconds")
    text = boundary.optional(boundary.text, text, "text")
    batch_size = boundary.optional(boundary.integer, batch_size, "batch_size")
    progress = boundary.optional(boundary.function, progress, "progress")
    folder = boundary.optional(boundary.path, store, "store")
    chosen = method_named(method)
    site = site_of(chosen, site)
    spec = AudioSpec((site,), pooling, segment_seconds, text, batch_size)
    spec = spec.resolved(model.checkpoint)
    recordings = _recordings({POSITIVE: positive, NEGATIVE: negative})
    sides = Sides(frozenset([POSITIVE]), frozenset([NEGATIVE]))
    with store_folder(folder) as place:
        captured = capture_recordings(model.engine, recordings, spec, place, progress)
        skipped = captured.skipped()
        if skipped:
            _log.warning("left out %s", describe_skips(skipped))
        above, below = segments_of_sides(captured, sides)
        warn_of_same_audio([*above, *below])
        vector, fit = vector_of_store(
            model.shape,
            captured,
            site,
            sides,
            captured.moments(site),
            chosen,
            name,
            positive_label=positive_label,
            negative_label=negative_label,
        )
    require_direction(fit, chosen.name)
    return vector


def store_folder(folder: str | None) -> AbstractContextManager[Path]:
    """The folder, or a temporary one that is removed afterwards."""
    return temporary_folder() if folder is None else nullcontext(Path(folder))


def _recordings(audio: Mapping[str, object]) -> list[Recording]:
    """Recordings labelled with their side, the files of all sides behind the others."""
    found, files = list[Recording](), list[LabelledFile]()
    for side, given in audio.items():
        items = boundary.sequence(given, side, _item, AUDIO)
        if not items:
            raise TonearmError(f"{side} is empty; give one recording or more on each side")
        for index, item in enumerate(items):
            if isinstance(item, Recording):
                found.append(replace(item, label=side))
            elif isinstance(item, Clip):
                found.append(Recording.of_clip(item, side, f"{side}[{index}]"))
            else:
                files += [LabelledFile(one, side, str(one)) for one in audio_files([Path(item)])]
    return found + recordings_of(files)


def _item(value: object, name: str) -> Recording | Clip | str:
    return value if isinstance(value, Recording) else audio_source(value, name)
