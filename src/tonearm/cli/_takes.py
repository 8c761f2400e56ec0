"""Helpers of the commands that generate takes: descriptions of the plan, saving, checks of outputs."""

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tonearm.cli._screen import Stopped
from tonearm.errors import TonearmError
from tonearm.text import check_path, quoted

if TYPE_CHECKING:
    from tonearm.generation.provenance import Provenance
    from tonearm.generation.request import PromptSection, TakeRequest
    from tonearm.generation.take import Take
    from tonearm.knobs import Reached
    from tonearm.measures import Description, Measurement
    from tonearm.model import Model
    from tonearm.musicgen.sampling import Sampling
    from tonearm.progress import Progress
    from tonearm.steering import Steer, Steering
    from tonearm.steering.schedule import Schedule

ABSENT = "–"
SECTION = re.compile(r"\s*(?P<seconds>\d+(?:\.\d+)?)\s*s?\s*=\s*(?P<prompt>.*)", re.DOTALL)


@dataclass(frozen=True)
class SavedTake:
    """The two files of a take, its measurements, its steering in words, and further lines on it.

    The take itself is not kept: one command can make many.
    """

    audio: Path
    sidecar: Path
    description: "Description"
    statement: str
    lines: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For --json: the two files, and the content of the sidecar."""
        import json

        content = json.loads(self.sidecar.read_text(encoding="utf-8"))
        return {"audio": str(self.audio), "sidecar": str(self.sidecar), "take": content}

    def __str__(self) -> str:
        first = f"{self.audio}   {measured_text(self.description)}"
        return "\n  ".join([first, *self.lines])


@dataclass(frozen=True)
class Meeting:
    """Targets of --set, and how they may be met; without targets, takes are generated as they are.

    targets  a steer for each
    tries    takes to choose among
    trims    whether the audio may be trimmed
    """

    targets: tuple["Steer", ...]
    tries: int
    trims: bool

    def __bool__(self) -> bool:
        return bool(self.targets)

    def __str__(self) -> str:
        """`brightness +3 st; 4 tries, no trims`, or nothing without targets."""
        if not self.targets:
            return ""
        tries = "1 try" if self.tries == 1 else f"the nearest of {self.tries} tries"
        return f"{', '.join(map(str, self.targets))}; {tries}{'' if self.trims else ', no trims'}"


def save_take(
    take: "Take",
    path: Path,
    description: "Description | None" = None,
    reached: "Reached | None" = None,
) -> SavedTake:
    """Write a take with its sidecar; measure it first unless `description` is given."""
    from tonearm.measures import describe

    tracker = None if reached is None else reached.tracker
    found = describe(take.clip, tracker) if description is None else description
    measured, lines = found.to_dict(), []
    if reached is not None:
        measured["targets"] = [outcome.to_dict() for outcome in reached.outcomes]
        measured["acted"] = list(reached.acted)
        lines += [*map(str, reached.outcomes), *reached.acted]
    lines += [f"faulty: {fault}" for fault in found.faults]
    lines += monitored_lines(take.provenance)
    sidecar = take.save(path, measured=measured)
    return SavedTake(path, sidecar, found, take.provenance.statement, tuple(lines))


def read_targets(targets: Sequence[str] | None) -> tuple["Steer", ...]:
    """The steers of every --set, each with a target.

    Raises:
        TonearmError: one without a unit, or without a target.
    """
    from tonearm.steering import as_steering
    from tonearm.steering.units import WRITTEN

    steers = as_steering(targets or ())[0].steers
    for steer in steers:
        if steer.target is None:
            raise TonearmError(
                f"--set {steer} has no unit; write a number with one of {', '.join(WRITTEN)}, "
                f"such as tempo=128bpm or brightness=+3st, or use --steer"
            )
    return steers


def read_sections(sections: Sequence[str] | None) -> tuple["PromptSection", ...]:
    """The sections of every --section, such as `8s=slow jazz with piano`.

    Raises:
        TonearmError: one that is not a time and a text.
    """
    from tonearm.generation.request import PromptSection

    found = []
    for section in sections or ():
        written = SECTION.fullmatch(section)
        if written is None:
            raise TonearmError(
                f"--section {quoted(section)} is not a time and a prompt; write it as "
                '8s="slow jazz with piano"'
            )
        found.append(PromptSection(float(written["seconds"]), written["prompt"]))
    return tuple(found)


def reached_takes(
    model: "Model",
    requests: Sequence["TakeRequest"],
    meeting: Meeting,
    batch_size: int,
    progress: "Progress",
) -> Iterator[tuple["Take", "Reached | None"]]:
    """Meet targets in a take of every request, in order; seeds of the tries do not overlap."""
    from tonearm.knobs import reach

    first, tries = requests[0].seed, meeting.tries
    for number, request in enumerate(requests):
        steers = (*request.steering.steers, *meeting.targets)
        reached = reach(
            model,
            request.prompt,
            request.steering.model_copy(update={"steers": steers}),
            tries=tries,
            trims=meeting.trims,
            seconds=request.seconds,
            seed=first + number * tries,
            sampling=request.sampling,
            negative=request.negative,
            continue_from=request.continue_from,
            melody=request.melody,
            batch_size=batch_size,
            progress=progress,
        )
        yield reached.take, reached


def monitored_lines(take: "Provenance") -> list[str]:
    """One line for each monitored steer: how often it acted."""
    steers = take.steering.steers
    return [f"{steers[one.steer]} acted at {one.acted:.0%} of frames" for one in take.monitored]


def measured_text(description: "Description") -> str:
    """`118.2 BPM   centroid 1540 Hz   -18.3 LUFS`"""
    tempo, centroid = description["tempo"], description["spectral_centroid"]
    loudness = number(description["loudness"], 1)
    return f"{number(tempo, 1)} BPM   centroid {number(centroid, 0)} Hz   {loudness} LUFS"


def number(measurement: "Measurement", decimals: int) -> str:
    """A measured number, or a dash if it is undefined."""
    value = measurement.number
    return ABSENT if value is None else f"{value:.{decimals}f}"


def stopped(kept: Sequence[SavedTake], count: int) -> Stopped:
    """The exception for Ctrl-C after some of `count` takes were saved."""
    if not kept:
        return Stopped(f"stopped before the first of {count} takes was done; nothing was written")
    files = ", ".join(str(saved.audio) for saved in kept)
    return Stopped(f"stopped; kept {len(kept)} of {count} takes: {files}")


def read_steering(
    steers: Sequence[str] | None, file: Path | None, combine: str | None = None
) -> "Steering":
    """The steers of --steering, then every --steer, with the rule of --combine or --steering."""
    from tonearm.schema import validated
    from tonearm.steering import Steering, as_steering

    from_file = Steering.from_file(file) if file else Steering()
    given = as_steering(steers or ())[0].steers
    fields = {"steers": (*from_file.steers, *given), "combine": combine or from_file.combine}
    return validated(Steering, fields, where="the steering")  # type: ignore[no-any-return]


def sampling_text(sampling: "Sampling") -> str:
    strongest = sampling.strongest_guidance
    guidance = f"guidance {sampling.guidance:g}" if strongest > 1 else "no guidance"
    return f"{guidance}, temperature {sampling.temperature:g}"


def steering_text(model: "Model", steering: "Steering") -> str:
    """One line per steer with a strength, or per sign of one with an amount; then the rule that
    combines several.
    """
    lines = [*_steer_lines(model, steering), *_rule_lines(steering)]
    return "\n".join(lines) or "none"


def _rule_lines(steering: "Steering") -> Iterator[str]:
    from tonearm.steering.combination import PUSHES, share_of

    if steering.combine == "orthogonal" and len(steering.steers) > 1:
        yield "combined by orthogonal: each keeps what is orthogonal to those before"
    share = share_of(steering)
    if share < 1:
        yield f"combined by {steering.combine}: strengths of {', '.join(PUSHES)} times {share:.3g}"


def _steer_lines(model: "Model", steering: "Steering") -> Iterator[str]:
    from tonearm.steering import Steering, with_strengths

    for steer in steering.steers:
        if not steer.is_calibrated:
            yield _steer_line(model, steer)
            continue
        named = {steer.vector: model.vectors[steer.vector]}
        asked = steer.model_copy(update={"vector": model.vectors.public_name(steer.vector)})
        signs = with_strengths(Steering(steers=(steer,)), named).steers
        if not signs:
            yield f"{asked} (no change)"
        for one in signs:
            yield f"{asked} = {_steer_line(model, one)}"


def _steer_line(model: "Model", steer: "Steer") -> str:
    vector = model.vectors[steer.vector]
    info = vector.info
    label, strength = "no change", _strongest(steer.raw_strength, steer.schedule)
    if strength:
        label = info.positive_label if strength > 0 else info.negative_label
    every = vector.layers if steer.strategy == "all-to-all" else range(model.shape.layer_count)
    targets = layers_text(every if steer.layers is None else steer.layers)
    source = info.best_layer if steer.source_layer is None else steer.source_layer
    strategy = {
        "one-to-all": f"layer {source} into {targets}",
        "all-to-all": f"each layer's own into {targets}",
        "one-to-one": f"layer {source} alone",
    }[steer.strategy]
    extras = [f"site {info.site}"] if info.site != "residual" else []
    extras += [f"{steer.branch} branch"] if steer.branch != "both" else []
    extras += [f"positions {steer.positions}"] if steer.positions != "generated" else []
    extras += [f"gate {steer.gate:g}"] if steer.gate < 1 else []
    extras += [f"monitored, every {steer.monitor.every} frames"] if steer.monitor else []
    for what, schedule in (("", steer.schedule), ("level ", steer.level_schedule)):
        if schedule:
            points = schedule.points
            extras.append(f"{what}scheduled {points[0][0]:g} to {points[-1][0]:g} s")
    name = model.vectors.public_name(steer.vector)
    steered = f"{name} raw {strength:+.4g} ({label}): {steer.operator}"
    if steer.level is not None:
        level = _strongest(steer.level, steer.level_schedule)
        label = info.positive_label if level > 0 else info.negative_label
        of_level = f" ({label})" if level and strength else ""
        steered = f"{name} level {level:+.4g}{of_level}: set, share {strength:.4g}"
    return ", ".join([steered, strategy, *extras])


def _strongest(value: float, schedule: "Schedule | None") -> float:
    """A value, or its largest one in size over time, whose sign names the pole."""
    return value * max((factor for _, factor in schedule.points), key=abs) if schedule else value


def layers_text(layers: Iterable[int]) -> str:
    """`layer 3`, `layers 0..11` or `layers 0, 2, 5`."""
    found = sorted(layers)
    if len(found) == 1:
        return f"layer {found[0]}"
    if found == list(range(found[0], found[-1] + 1)):
        return f"layers {found[0]}..{found[-1]}"
    return f"layers {', '.join(map(str, found))}"


def licence_note(model: "Model") -> str:
    """The checkpoint's licence; empty for pocket, which ships with Tonearm."""
    from tonearm.musicgen.variants import MUSICGEN_LICENCE, POCKET

    shape = model.shape
    if shape.name == POCKET:
        return ""
    if shape.licence == MUSICGEN_LICENCE:
        return f"{MUSICGEN_LICENCE}: not for commercial use"
    return shape.licence


def model_text(model: "Model") -> str:
    """`pocket, cpu, float32`"""
    checkpoint = model.checkpoint
    return f"{model.shape.public_name}, {checkpoint.device}, {checkpoint.precision}"


def check_audio_outputs(paths: Sequence[Path], force: bool) -> None:
    """Refuse, before any work, audio files that cannot be written with sidecars, or that exist."""
    from tonearm.audio import WRITABLE
    from tonearm.generation.side_files import check_take_path, sidecar_path

    for path in paths:
        if path.suffix.lower() not in WRITABLE:
            raise TonearmError(
                f"cannot write {path}: the ending is {path.suffix or 'missing'}; "
                f"use one of {', '.join(WRITABLE)}"
            )
        check_take_path(path)
    check_outputs([*paths, *map(sidecar_path, paths)], force)


def check_outputs(paths: Sequence[Path], force: bool) -> None:
    """Refuse files that cannot be written, and existing ones unless `force`."""
    from tonearm.files.atomic import check_target

    checked = set()
    for path in paths:
        check_path(path, "the output")
        if path.parent not in checked:
            check_folder(path.parent)
            checked.add(path.parent)
        check_target(path)
        if path.is_dir():
            raise TonearmError(f"cannot write {path}: it is a folder; choose another name")
        if path.exists() and not force:
            raise TonearmError(
                f"{path} exists already; choose another name, or overwrite it with --force"
            )


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made or written to; a file without a name is written."""
    check_path(folder, "the output folder")
    absolute = folder.absolute()
    try:
        existing = next(place for place in (absolute, *absolute.parents) if place.exists())
        if existing.is_dir():
            with tempfile.TemporaryFile(dir=existing):
                return
    except OSError as error:  # permissions do not show that /proc holds no files
        raise TonearmError(
            f"cannot write to {folder}: {error.strerror or error}; choose another folder"
        ) from error
    raise TonearmError(f"cannot write to {folder}: {existing} is a file; choose another folder")
