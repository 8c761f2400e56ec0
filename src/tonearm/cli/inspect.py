"""tonearm inspect: content of vectors, autoencoders, classifiers, a take's JSON or audio."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tonearm.cli import _options
from tonearm.cli._autoencoder import inspect_autoencoder
from tonearm.cli._inspect_vectors import (
    inspect_foreign,
    inspect_member,
    inspect_tensors,
    is_foreign,
    is_reference,
)
from tonearm.cli._measure_tables import print_classifier
from tonearm.cli._screen import print_facts, print_json
from tonearm.cli._takes import monitored_lines

if TYPE_CHECKING:
    from tonearm.steering.schedule import Schedule


def inspect(
    file: Annotated[
        Path,
        typer.Argument(
            help="A vector, bundle, autoencoder or classifier (.safetensors), a vector of a bundle "
            "(pack.safetensors#tempo), directions of another program (.gguf, .npy, .svec), a "
            "take's .json, or an audio file."
        ),
    ],
    as_json: _options.Json = False,
) -> None:
    """Show the content of vectors, an autoencoder, a classifier, a take's JSON, or audio."""
    if file.suffix == ".safetensors":
        _inspect_tensors(file, as_json)
    elif is_reference(file):
        inspect_member(file, as_json)
    elif is_foreign(file):
        inspect_foreign(file, as_json)
    elif file.suffix == ".json":
        _inspect_take(file, as_json)
    else:
        _inspect_audio(file, as_json)


def _inspect_tensors(file: Path, as_json: bool) -> None:
    from tonearm.features.trained import is_autoencoder
    from tonearm.measures.classifier import is_classifier

    if is_classifier(file):
        _inspect_classifier(file, as_json)
    elif is_autoencoder(file):
        inspect_autoencoder(file, as_json)
    else:
        inspect_tensors(file, as_json)


def _inspect_classifier(file: Path, as_json: bool) -> None:
    from tonearm.measures import load_classifier

    classifier = load_classifier(file)
    if as_json:
        print_json(classifier.to_dict())
    else:
        print_classifier(classifier)


def _inspect_take(file: Path, as_json: bool) -> None:
    from tonearm.generation.provenance import read_take

    take, content = read_take(file)
    if as_json:
        print_json(content)
        return
    sampling, stack, batch = take.sampling, take.stack, take.batch
    steers = [
        f"{steer}: "
        + json.dumps(steer.model_dump(exclude_defaults=True, exclude={"vector", "strength"}))
        for steer in take.steering.steers
    ]
    print_facts(
        {
            "prompt": take.prompt,
            "asked as": take.requested_prompt or "",
            "sections": "\n".join(f"from frame {one.frame}: {one.prompt}" for one in take.sections),
            "negative": take.negative or "",
            "played": take.stated or "",
            "requested": str(take.requested) if take.requested and not take.stated else "",
            "steering": "\n".join(steers) or "none",
            "monitored": "\n".join(monitored_lines(take)),
            "vectors": "\n".join(
                f"{name} {record.content_hash[:8]}"
                + (" (bundled)" if record.bundled else f" in {record.file}")
                for name, record in take.vectors.items()
            ),
            "length": f"{take.new_seconds:g} s, {take.frames} frames, seed {take.seed}",
            "continues": take.audio_prompt.file or "" if take.audio_prompt else "",
            "melody": take.melody.file or "" if take.melody else "",
            "sampling": f"{_setting('guidance', sampling.guidance, sampling.guidance_schedule)}, {_setting('temperature', sampling.temperature, sampling.temperature_schedule)}, top_k {sampling.top_k}, top_p {sampling.top_p:g}",
            "checkpoint": f"{take.checkpoint.name} ({take.checkpoint.fingerprint}), licence {take.checkpoint.licence}",
            "engine": f"{take.engine}, row {batch.row} of a batch of {batch.size}",
            "stack": f"{stack.device} {stack.dtype}, {stack.threads} threads, {stack.cpu}, Python {stack.python}",
            "packages": ", ".join(f"{name} {version}" for name, version in stack.packages.items()),
            "trims": "\n".join(take.trims.texts()) if take.trims else "",
            "measured": _measured(content.get("measured")),
            "audio": take.audio_file or "",
        }
    )


def _setting(name: str, value: float, schedule: "Schedule | None") -> str:
    """A setting with its value, or its range over time."""
    values = [value * factor for _, factor in schedule.points] if schedule else [value]
    low, high = min(values), max(values)
    return f"{name} {low:g}" if low == high else f"{name} {low:g} to {high:g}"


def _measured(measured: Any) -> str:
    """Measurements in a take's JSON, as text. They are no part of a sidecar's schema: a measure may
    write any.
    """
    entries = measured.values() if isinstance(measured, dict) else ()
    found = []
    for entry in entries:
        match entry:
            case {"name": str(name), "value": str(value), "unit": str(unit)}:
                found.append(f"{name} {value} {unit}".strip())
            case {"name": str(name), "value": float() | int() as value, "unit": str(unit)} if (
                abs(value) <= sys.float_info.max
            ):
                found.append(f"{name} {value:.4g} {unit}".strip())
    return ", ".join(found)


def _inspect_audio(file: Path, as_json: bool) -> None:
    from tonearm.audio import Clip
    from tonearm.measures import describe

    clip = Clip.read(file)
    description = describe(clip)
    measured = description.to_dict()
    if as_json:
        print_json(
            {
                "file": str(file),
                "sample_rate": clip.sample_rate,
                "channels": len(clip.samples),
                **measured,
            }
        )
        return
    print_facts(
        {
            "file": str(file),
            "length": f"{clip.seconds:.2f} s, {clip.sample_rate} Hz, {'mono' if len(clip.samples) == 1 else f'{len(clip.samples)} channels'}",
            "measured": _measured(measured).replace(", ", "\n"),
            "faulty": f"yes: {'; '.join(description.faults)}" if description.faulty else "no",
        }
    )
