"""What the commands that make takes share: what will be done, in words; saving; and refusing what could not be saved."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tonearm.cli._screen import Stopped
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.generation.take import Take
    from tonearm.measures import Description, Measurement
    from tonearm.model import Model
    from tonearm.musicgen.sampling import Sampling
    from tonearm.steering import Steer, Steering

ABSENT = "–"


@dataclass(frozen=True)
class SavedTake:
    take: "Take"
    description: "Description"
    audio: Path
    sidecar: Path

    def to_dict(self) -> dict[str, Any]:
        """For --json: the two files, and what stands in the sidecar."""
        import json

        content = json.loads(self.sidecar.read_text(encoding="utf-8"))
        return {"audio": str(self.audio), "sidecar": str(self.sidecar), "take": content}

    def __str__(self) -> str:
        found = self.description
        return f"{self.audio}   {measured(found)}{fault_text(found)}"


def save_take(take: "Take", path: Path) -> SavedTake:
    """Measure the take and write it with its sidecar."""
    from tonearm.measures import describe

    description = describe(take.clip)
    return SavedTake(take, description, path, take.save(path, measured=description.to_dict()))


def measured(description: "Description") -> str:
    """`118.2 BPM   centroid 1540 Hz   -18.3 LUFS`"""
    tempo, centroid = description.tempo.measurement, description.brightness
    return f"{number(tempo, 1)} BPM   centroid {number(centroid, 0)} Hz   {number(description.loudness, 1)} LUFS"


def number(measurement: "Measurement", decimals: int) -> str:
    return ABSENT if measurement.value is None else f"{measurement.value:.{decimals}f}"


def fault_text(description: "Description") -> str:
    return "".join(f"\n  fault: {fault}" for fault in description.faults)


def stopped(kept: Sequence[SavedTake], count: int) -> Stopped:
    """What to raise for Ctrl-C."""
    if not kept:
        return Stopped(f"stopped before the first of {count} takes was done; nothing was written")
    return Stopped(f"stopped; kept {len(kept)} of {count} takes: {', '.join(str(saved.audio) for saved in kept)}")


def read_steering(steers: Sequence[str] | None, file: Path | None) -> "Steering":
    """--steering, then every --steer."""
    from tonearm.steering import Steering, as_steering

    written = Steering.from_file(file).steers if file else ()
    return Steering(steers=(*written, *as_steering(steers or ())[0].steers))


def sampling_text(sampling: "Sampling") -> str:
    return f"guidance {sampling.guidance:g}, temperature {sampling.temperature:g}"


def steering_text(model: "Model", steering: "Steering") -> str:
    """One line for each steer."""
    return "\n".join(_steer_line(model, steer) for steer in steering.steers) or "none"


def _steer_line(model: "Model", steer: "Steer") -> str:
    info = model.vectors[steer.vector].info
    means = info.positive_label if steer.strength > 0 else info.negative_label if steer.strength < 0 else "no change"
    targets = span(steer.layers if steer.layers is not None else range(model.checkpoint.layer_count))
    source = steer.source_layer if steer.source_layer is not None else info.best_layer
    where = {
        "one-to-all": f"layer {source} into {targets}",
        "all-to-all": f"each layer's own into {targets}",
        "one-to-one": f"layer {source} alone",
    }[steer.strategy]
    extras = [f"site {info.site}"] if info.site != "residual" else []
    extras += [f"{steer.branch} branch"] if steer.branch != "both" else []
    extras += [f"positions {steer.positions}"] if steer.positions != "generated" else []
    if steer.schedule:
        points = steer.schedule.points
        extras.append(f"scheduled {points[0][0]:g} to {points[-1][0]:g} s")
    return ", ".join([f"{steer.vector} {steer.strength:+g} ({means}): {steer.operator}", where, *extras])


def span(layers: Iterable[int]) -> str:
    """`layer 3`, `layers 0..11` or `layers 0, 2, 5`."""
    found = sorted(layers)
    if len(found) == 1:
        return f"layer {found[0]}"
    contiguous = found == list(range(found[0], found[-1] + 1))
    return f"layers {found[0]}..{found[-1]}" if contiguous else f"layers {', '.join(map(str, found))}"


def licence_note(model: "Model") -> str:
    """Empty for pocket, which ships with Tonearm."""
    from tonearm.musicgen.checkpoint import MUSICGEN_LICENCE, POCKET

    checkpoint = model.checkpoint
    if checkpoint.name == POCKET:
        return ""
    return (
        f"{MUSICGEN_LICENCE}: not for commercial use" if checkpoint.licence == MUSICGEN_LICENCE else checkpoint.licence
    )


def model_text(model: "Model") -> str:
    """`pocket, cpu, float32`"""
    checkpoint = model.checkpoint
    return f"{checkpoint.name}, {checkpoint.device}, {checkpoint.precision}"


def check_audio_outputs(paths: Sequence[Path], force: bool) -> None:
    """Refuse, before any work is done, audio files that could not be written with their sidecars, or that are there."""
    from tonearm.audio import WRITABLE

    for path in paths:
        if path.suffix.lower() not in WRITABLE:
            raise TonearmError(
                f"cannot write {path}: the ending is {path.suffix or 'missing'}; use one of {', '.join(WRITABLE)}"
            )
    check_outputs([*paths, *(path.with_suffix(".json") for path in paths)], force)


def check_outputs(paths: Sequence[Path], force: bool) -> None:
    """Refuse files that could not be written, and those that are there, unless `force`."""
    for path in paths:
        check_folder(path.parent)
        if path.is_dir():
            raise TonearmError(f"cannot write {path}: it is a folder; choose another name")
        if path.exists() and not force:
            raise TonearmError(f"{path} is there already; choose another name, or overwrite it with --force")


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to."""
    absolute = folder.absolute()
    there = next(place for place in (absolute, *absolute.parents) if place.exists())
    if not there.is_dir():
        raise TonearmError(f"cannot write to {folder}: {there} is a file; choose another folder")
    if not os.access(there, os.W_OK | os.X_OK):
        raise TonearmError(f"cannot write to {folder}: no permission; choose another folder")
