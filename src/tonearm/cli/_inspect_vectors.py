"""Content of vectors, bundles and other programs' files of directions, for `tonearm inspect`.

No model is loaded.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from tonearm.cli._calibration import evidence_text, sign_text
from tonearm.cli._heads import monitor_data, monitor_facts, print_best_heads
from tonearm.cli._screen import new_table, out, print_facts, print_json
from tonearm.errors import TonearmError

if TYPE_CHECKING:
    from tonearm.sharing.foreign import Foreign, Numbering
    from tonearm.steering import SteeringVector, VectorInfo

FOREIGN = (".gguf", ".npy", ".svec")
NUMBERINGS: "dict[Numbering, str]" = {
    "stated": "number N is layer N, counted from 0, as the file states",
    "earlier": "number N is layer N - 1, as the file states",
    "unstated": "not stated: `tonearm vectors import` needs --layers-from",
    "rows": "row N is layer N, counted from 0",
    "single": "one direction: `tonearm vectors import` needs --layer",
}


def is_reference(file: Path) -> bool:
    """Whether a path is a reference to a vector of a bundle; steering is imported only for those."""
    if "#" not in file.name:
        return False
    from tonearm.steering.references import split_reference

    return split_reference(str(file)) is not None


def is_foreign(file: Path) -> bool:
    """Whether a file has the ending of another program's directions, safetensors apart."""
    return file.suffix in FOREIGN


def inspect_tensors(file: Path, as_json: bool) -> None:
    """Show a vector, a bundle, or a safetensors file of one tensor per layer."""
    from tonearm.sharing.layer_arrays import holds_layer_tensors
    from tonearm.steering import load_bundle, load_vector
    from tonearm.steering.bundle_file import is_bundle

    if is_bundle(file):
        _show_bundle(file, load_bundle(file), as_json)
    elif holds_layer_tensors(file):
        inspect_foreign(file, as_json)
    else:
        _show_vector(load_vector(file), as_json)


def inspect_member(file: Path, as_json: bool) -> None:
    """Show one vector of a bundle."""
    from tonearm.steering.bundle_file import load_member
    from tonearm.steering.references import split_reference

    reference = split_reference(str(file))
    if reference is None:
        raise TonearmError(f"{file} names no vector of a bundle; write pack.safetensors#tempo")
    _show_vector(load_member(*reference), as_json)


def inspect_foreign(file: Path, as_json: bool) -> None:
    """Show another program's directions."""
    from tonearm.sharing.importing import read_foreign

    found = read_foreign(file)
    norms = {number: float(one.norm()) for number, one in found.directions.items()}
    if as_json:
        print_json(
            {
                "file": str(file),
                "kind": found.kind,
                "width": found.width,
                "numbering": found.numbering,
                "site": found.site,
                "operator": "remove" if found.projecting else None,
                "alpha": found.alpha,
                **{name.replace(" ", "_"): fact for name, fact in found.facts.items()},
                **found.fields,
                "norms": {str(number): norm for number, norm in norms.items()},
            }
        )
        return
    print_facts({"file": str(file), "kind": found.kind, **_foreign_facts(found)})
    table = new_table("number", "norm", numbers=("number", "norm"))
    for number, norm in norms.items():
        table.add_row(str(number), f"{norm:.3f}")
    out.print(table)


def _foreign_facts(found: "Foreign") -> dict[str, str]:
    operator = "remove (the file is for projection)" if found.projecting else ""
    return {
        "directions": f"{len(found.directions)} of width {found.width}",
        "layers": NUMBERINGS[found.numbering],
        "site": found.site or "not stated: `tonearm vectors import` needs --site",
        "operator": operator,
        "strength": "" if found.alpha is None else f"{found.alpha:g}, as the file recommends",
        **found.facts,
        **{name.replace("_", " "): str(value) for name, value in found.fields.items()},
        "warning": found.warning,
    }


def _show_bundle(file: Path, found: "dict[str, SteeringVector]", as_json: bool) -> None:
    if as_json:
        vectors = {
            name: {
                "content_hash": vector.content_hash(),
                "tensor_sha256": vector.tensor_sha256(),
                **vector.info.model_dump(mode="json"),
            }
            for name, vector in found.items()
        }
        print_json({"file": str(file), "vectors": vectors})
        return
    print_facts({"bundle": str(file), "vectors": str(len(found)), "steer with": f"{file}#NAME=+1"})
    table = new_table("name", "made for", "site", "method", "amounts", "hash")
    for name, vector in found.items():
        info = vector.info
        table.add_row(
            name,
            f"{info.checkpoint} ({info.fingerprint[:8]})",
            info.site,
            info.method,
            _passing(info),
            vector.content_hash()[:12],
        )
    out.print(table)


def _passing(info: "VectorInfo") -> str:
    """Signs whose amounts are calibrated: `+ -`, `+`, `-`, or none."""
    if info.calibration is None:
        return "none"
    signs = ((1, "+"), (-1, "-"))
    passing = [mark for sign, mark in signs if info.calibration.of(sign).strength is not None]
    return " ".join(passing) or "none"


def _show_vector(vector: "SteeringVector", as_json: bool) -> None:
    from tonearm.methods.base import statistics_text

    info, norms = vector.info, vector.norms()
    recommended = info.statistics.get("alpha_default")
    if as_json:
        hashes = {"content_hash": vector.content_hash(), "tensor_sha256": vector.tensor_sha256()}
        content = {**hashes, **info.model_dump(mode="json")}
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
            "strengths": f"{info.strength_unit}, factors of the directions as they are stored",
            "operator": f"{info.operator} alone" if info.operator else "",
            "recommended": "" if recommended is None else f"strength {recommended:g}",
            "seed": "–" if info.seed is None else str(info.seed),
            **_amounts(info),
            "best layer": "–" if info.best_layer is None else str(info.best_layer),
            **_projections(info),
            "frame scales": info.frame_scales.protocol if info.frame_scales else "",
            "scores": statistics_text(info.statistics),
            **monitor_facts(vector),
            "made by": f"tonearm {info.library_version or '–'}",
            "hash": vector.content_hash(),
            "tensors": f"sha256 {vector.tensor_sha256()}",
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
    if info.source == "file":
        return {"imported": f"from the file of another program, {data}"}
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
