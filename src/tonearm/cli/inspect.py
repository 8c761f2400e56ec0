"""tonearm inspect: content of a vector, a classifier, a take's JSON or an audio file."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tonearm.cli import _options
from tonearm.cli._calibration import evidence_text, sign_text
from tonearm.cli._heads import monitor_data, monitor_facts, print_best_heads
from tonearm.cli._measure_tables import print_classifier
from tonearm.cli._screen import new_table, out, print_facts, print_json
from tonearm.cli._takes import monitored_lines

if TYPE_CHECKING:
    from tonearm.steering import VectorInfo


def inspect(
    file: Annotated[
        Path,
        typer.Argument(
            help="A vector or classifier (.safetensors), a take's .json, or an audio file."
        ),
    ],
    as_json: _options.Json = False,
) -> None:
    """Show the content of a vector, a classifier, a take's JSON, or an audio file."""
    if file.suffix == ".safetensors":
        from tonearm.measures.classifier import is_classifier

        (_inspect_classifier if is_classifier(file) else _inspect_vector)(file, as_json)
    elif file.suffix == ".json":
        _inspect_take(file, as_json)
    else:
        _inspect_audio(file, as_json)


def _inspect_vector(file: Path, as_json: bool) -> None:
    from tonearm.methods.base import statistics_text
    from tonearm.steering import load_vector

    vector = load_vector(file)
    info, norms = vector.info, vector.norms()
    if as_json:
        content = {"content_hash": vector.content_hash(), **info.model_dump(mode="json")}
        content |= {"norms": {str(layer): norm for layer, norm in norms.items()}}
        print_json(content | {"monitor": monitor_data(vector)})
        return
    print_facts(
        {
            "vector": info.name,
            "labels": f"+ {info.positive_label}, - {info.negative_label}",
            "checkpoint": f"{info.checkpoint} ({info.fingerprint}), {info.layer_count} layers of {info.width}",
            "method": f"{info.method} at {info.site}, pooling {info.pooling}",
            **_data(info),
            "seed": "–" if info.seed is None else str(info.seed),
            **_amounts(info),
            "best layer": "–" if info.best_layer is None else str(info.best_layer),
            **_projections(info),
            "frame scales": info.frame_scales.protocol if info.frame_scales else "",
            "scores": statistics_text(info.statistics),
            **monitor_facts(vector),
            "made by": f"tonearm {info.library_version or '–'}",
            "hash": vector.content_hash(),
        }
    )
    columns = {"activation norm": info.activation_norms}
    if info.frame_scales:
        columns["mean of h·r"] = info.frame_scales.means
        columns["σ of h·r"] = info.frame_scales.deviations
    columns |= info.scores
    headings = ("layer", "norm", *columns)
    table = new_table(*headings, numbers=headings)
    for layer, norm in norms.items():
        others = [values.get(layer) for values in columns.values()]
        table.add_row(
            str(layer),
            f"{norm:.3f}",
            *("–" if value is None else f"{value:.3f}" for value in others),
        )
    out.print(table)
    print_best_heads(info)


def _data(info: "VectorInfo") -> dict[str, str]:
    """The data that the vector was learned from, as a fact."""
    counts = f"{info.positive_count} positive, {info.negative_count} negative"
    data = f"data {info.data_hash or '–'}"
    if info.source == "prompts":
        return {"prompts": f"{counts}, {data}"}
    text = f"with the text {info.text!r}" if info.text else "without a text"
    length = "" if info.segment_seconds is None else f" of {info.segment_seconds:g} s"
    return {"audio": f"{counts} segments{length}, {text}, {data}"}


def _projections(info: "VectorInfo") -> dict[str, str]:
    """Mean h·r of both sets at the best layer, as a fact; --json has all layers."""
    sides = (
        (info.positive_projections, info.positive_label),
        (info.negative_projections, info.negative_label),
    )
    best = info.best_layer
    if best is None or any(best not in found for found, _ in sides):
        return {}
    means = ", ".join(f"{found[best]:+.3g} ({label})" for found, label in sides)
    return {"projections": f"mean h·r at layer {best}: {means}"}


def _amounts(info: "VectorInfo") -> dict[str, str]:
    """Both signs of the calibration, as facts."""
    if info.calibration is None:
        return {"amounts": "not calibrated (tonearm calibrate)"}
    return {
        f"amount {sign:+d}": f"{sign_text(found, sign)}\n{evidence_text(found)}".strip()
        for sign in (1, -1)
        for found in [info.calibration.of(sign)]
    } | {"calibration": info.calibration.protocol}


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
            "negative": take.negative or "",
            "requested": str(take.requested) if take.requested else "",
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
            "sampling": f"guidance {sampling.guidance:g}, temperature {sampling.temperature:g}, top_k {sampling.top_k}, top_p {sampling.top_p:g}",
            "checkpoint": f"{take.checkpoint.name} ({take.checkpoint.fingerprint}), licence {take.checkpoint.licence}",
            "engine": f"{take.engine}, row {batch.row} of a batch of {batch.size}",
            "stack": f"{stack.device} {stack.dtype}, {stack.threads} threads, {stack.cpu}, Python {stack.python}",
            "packages": ", ".join(f"{name} {version}" for name, version in stack.packages.items()),
            "measured": _measured(content.get("measured")),
            "audio": take.audio_file or "",
        }
    )


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
