"""Import of another program's directions as a steering vector of a checkpoint."""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from tonearm import __version__, boundary
from tonearm.backend import ModelShape, Site
from tonearm.errors import TonearmError
from tonearm.sharing.control_vector import read_control_vector
from tonearm.sharing.foreign import Foreign
from tonearm.sharing.glp import FAMILY
from tonearm.sharing.glp import SUFFIX as GGUF
from tonearm.sharing.layer_arrays import NPY, read_layer_tensors, read_npy
from tonearm.sharing.svec import SUFFIX as SVEC
from tonearm.sharing.svec import read_svec
from tonearm.steering.vector import ALPHA, SteeringVector, VectorInfo
from tonearm.steering.vector_file import SUFFIX as SAFETENSORS
from tonearm.text import quoted

READERS: dict[str, Callable[[Path], Foreign]] = {
    GGUF: read_control_vector,
    SAFETENSORS: read_layer_tensors,
    NPY: read_npy,
    SVEC: read_svec,
}
PICKLED = (".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".joblib")
IMPORTED = "imported"  # method, where the file names none
UNKNOWN = "unknown"  # pooling
FIRST_LAYERS = (0, 1)

_log = logging.getLogger(__name__)


def read_foreign(path: str | os.PathLike[str]) -> Foreign:
    """Read the directions of another program's file, by its ending.

    Raises:
        TonearmError: another ending, or a file that its reader refuses.
    """
    path = Path(boundary.path(path, "path"))
    reader = READERS.get(path.suffix)
    if reader is None:
        reason = (
            "pickled files can run code, and are never read; save the directions as safetensors"
            if path.suffix in PICKLED
            else f"give a file that ends in {', '.join(READERS)}"
        )
        raise TonearmError(f"cannot import {path}: {reason}")
    return reader(path)


def import_vector(
    path: str | os.PathLike[str],
    shape: ModelShape,
    *,
    name: str | None = None,
    site: str | None = None,
    layers_from: int | None = None,
    layer: int | None = None,
    best_layer: int | None = None,
    positive_label: str | None = None,
    negative_label: str | None = None,
) -> SteeringVector:
    """Make a steering vector of another program's directions, whose values stay as they are.

    Directions that were derived at another site than they are applied at cause a warning.

    Args:
        path: a GGUF control vector (.gguf, with or without GLP), a safetensors file with the keys
            `N` or `layer.N`, an array (.npy) [L, D] or [D], or a .svec file of AISteer360.
        shape: of the checkpoint that the vector is for.
        name: default: that of the file's metadata, or its name without the ending.
        site: of the directions; needed where the file does not state it.
        layers_from: number of the first layer in the file's count, 0 or 1; needed where the file
            does not state it.
        layer: of an array of one direction, 0-based.
        best_layer: 0-based; default: that of the file, or its only layer, or none.
        positive_label: meaning of the positive sign; default: that of the file, or "more".
        negative_label: likewise; default: that of the file, or "less".

    Raises:
        TonearmError: a file that cannot be read; one for another site or checkpoint; a convention
            that is missing, or contradicts the file; a width or a layer that the checkpoint does not
            have.
    """
    boundary.instance(shape, "shape", ModelShape, "the shape of a checkpoint")
    path = Path(boundary.path(path, "path"))
    foreign = read_foreign(path)
    _check_checkpoint(path, foreign, shape)
    numbered = _layers(path, foreign, shape, layers_from, layer)
    named = {"name": name, "positive_label": positive_label, "negative_label": negative_label}
    fields: dict[str, Any] = {"name": path.stem, "method": IMPORTED}
    for key in ("name", "method", "positive_label", "negative_label"):
        given = boundary.optional(boundary.text, named.get(key), key)
        chosen = foreign.fields.get(key) if given is None else given
        fields |= {} if chosen is None else {key: chosen}
    info = VectorInfo(
        **fields,
        checkpoint=shape.public_name,
        fingerprint=shape.fingerprint,
        width=shape.width,
        layer_count=shape.layer_count,
        site=_site(path, foreign, shape, site),
        pooling=UNKNOWN,
        source="file",
        data_hash=hashlib.sha256(path.read_bytes()).hexdigest()[:16],
        best_layer=_best_layer(path, foreign, numbered, best_layer),
        statistics={} if foreign.alpha is None else {ALPHA: foreign.alpha},
        library_version=__version__,
        operator="remove" if foreign.projecting else None,
    )
    if foreign.warning:
        _log.warning("%s", foreign.warning)
    return SteeringVector(numbered, info)


def _check_checkpoint(path: Path, foreign: Foreign, shape: ModelShape) -> None:
    """Refuse a file that states another checkpoint, or whose directions have another width."""
    family = str(foreign.fields.get("family", FAMILY))
    if not family.startswith(FAMILY):
        raise TonearmError(f"{path} was made for a {quoted(family)} model, not for MusicGen")
    fingerprint = foreign.fields.get("fingerprint", shape.fingerprint)
    if fingerprint != shape.fingerprint:
        made_for = foreign.fields.get("checkpoint", "a checkpoint")
        raise TonearmError(
            f"{path} was made for {quoted(made_for)} ({quoted(fingerprint)}), not for {shape.name} "
            f"({shape.fingerprint}); name its checkpoint with --model"
        )
    if foreign.width != shape.width:
        raise TonearmError(
            f"{path} has directions of width {foreign.width}, and {shape.name} has width "
            f"{shape.width}; name the checkpoint that it was made for with --model"
        )
    count = foreign.fields.get("layer_count", 1)
    if not isinstance(count, int) or not 1 <= count <= shape.layer_count:
        raise TonearmError(
            f"{path} is for {count} layers, and {shape.name} has {shape.layer_count}; "
            "name the checkpoint that it was made for with --model"
        )


def _site(path: Path, foreign: Foreign, shape: ModelShape, given: str | None) -> Site:
    if given is not None:
        shape.check_site(boundary.text(given, "site"))
    if given is None and foreign.site is None:
        raise TonearmError(
            f"{path} does not state the site of its directions; give --site, one of "
            f"{', '.join(shape.sites)}"
        )
    if given is not None and foreign.site not in (None, given):
        raise TonearmError(
            f"{path} is for site {foreign.site}, not {given}; leave --site out, since directions "
            "of one site do little at another"
        )
    site: Site = foreign.site or given  # type: ignore[assignment]
    shape.check_site(site)
    return site


def _layers(
    path: Path,
    foreign: Foreign,
    shape: ModelShape,
    layers_from: int | None,
    layer: int | None,
) -> dict[int, torch.Tensor]:
    """Directions by the 0-based layer of the checkpoint."""
    if foreign.numbering == "single":
        _refuse_option(path, "--layers-from", layers_from, "holds one direction without a number")
        if layer is None:
            raise TonearmError(
                f"{path} holds one direction; give its layer with --layer, counted from 0"
            )
        return _within(path, shape, {boundary.integer(layer, "layer"): foreign.directions[0]})
    _refuse_option(path, "--layer", layer, "holds several directions with numbers")
    if foreign.numbering == "rows":
        _refuse_option(path, "--layers-from", layers_from, "holds one row per layer")
        return _rows(path, foreign, shape)
    shift = _shift(path, foreign, layers_from)
    return _within(path, shape, {number - shift: v for number, v in foreign.directions.items()})


def _refuse_option(path: Path, option: str, value: int | None, reason: str) -> None:
    if value is not None:
        raise TonearmError(f"{path} {reason}; leave out {option}")


def _shift(path: Path, foreign: Foreign, layers_from: int | None) -> int:
    """Difference of a file's number and the 0-based layer."""
    if layers_from is not None and boundary.integer(layers_from, "layers_from") not in FIRST_LAYERS:
        raise TonearmError(f"--layers-from {layers_from} is not possible; give 0 or 1")
    stated = {"stated": 0, "earlier": 1}.get(foreign.numbering)
    if stated is None and layers_from is None:
        raise TonearmError(
            f"{path} does not state how it counts layers; give --layers-from 0 if its number N is "
            "layer N (as llama.cpp applies it, and repeng writes it), or --layers-from 1 if it is "
            "layer N - 1 (as llama.cpp's cvector-generator writes it); a wrong one raises no error"
        )
    if stated is not None and layers_from not in (None, stated):
        raise TonearmError(
            f"{path} states that its number N is layer {'N - 1' if stated else 'N'}; "
            "leave out --layers-from"
        )
    return stated if layers_from is None else layers_from  # type: ignore[return-value]


def _rows(path: Path, foreign: Foreign, shape: ModelShape) -> dict[int, torch.Tensor]:
    rows = len(foreign.directions)
    if rows == shape.layer_count + 1:
        raise TonearmError(
            f"{path} has {rows} rows, one more than the {shape.layer_count} layers of {shape.name}, "
            "like the hidden states of transformers, which begin with the embeddings and end after "
            "the last norm; give the outputs of the layers, one row each"
        )
    if rows != shape.layer_count:
        raise TonearmError(
            f"{path} has {rows} rows, and {shape.name} has {shape.layer_count} layers; give one row "
            "per layer"
        )
    return dict(foreign.directions)


def _within(
    path: Path, shape: ModelShape, numbered: dict[int, torch.Tensor]
) -> dict[int, torch.Tensor]:
    for layer in numbered:
        if not 0 <= layer < shape.layer_count:
            raise TonearmError(
                f"{path} has a direction for layer {layer}, and {shape.name} has layers "
                f"0..{shape.layer_count - 1}; check --model and how the file counts layers"
            )
    return numbered


def _best_layer(
    path: Path, foreign: Foreign, numbered: dict[int, torch.Tensor], given: int | None
) -> int | None:
    if given is None:
        stated = foreign.fields.get("best_layer")
        only = next(iter(numbered)) if len(numbered) == 1 else None
        return stated if isinstance(stated, int) and stated in numbered else only
    if boundary.integer(given, "best_layer") not in numbered:
        raise TonearmError(
            f"{path} has no direction for layer {given}; it has {', '.join(map(str, numbered))}"
        )
    return int(given)
