"""Conversion of the weights of musicnn (Pons & Serra 2019, ISC licence), with one command:

    python -m recipes.evaluators.musicnn

It downloads the wheel of musicnn 0.1.0 (28 MB) with pip, reads the checkpoint MTT_musicnn in it,
and writes musicnn.safetensors and the licence into the package. TensorFlow is not needed: the
checkpoint is a table of names (`.index`) and a file of raw little-endian values (`.data-...`).

The table is that of LevelDB, uncompressed: entries of a key, whose beginning is shared with the key
before, and a value; here a protocol buffer with the place of a tensor.

Source: tensorflow/core/util/tensor_bundle; LevelDB, doc/table_format.md.
"""

import argparse
import ast
import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from tonearm import assets
from tonearm.evaluators.musicnn import HOP, N_FFT, N_MELS, SAMPLE_RATE, WINDOW_FRAMES, Musicnn

VERSION = "0.1.0"
WHEEL = f"musicnn-{VERSION}-py3-none-any.whl"
SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"
CHECKPOINT = "musicnn/MTT_musicnn/"
FOOTER_BYTES = 48
SHAPE, OFFSET, BYTES = 2, 4, 5  # fields of an entry
DIMENSION, SIZE = 2, 1  # fields of a shape and of a dimension

# Layers in the order in which TensorFlow numbered them.
CONVOLUTIONS = (
    "timbral.0", "timbral.1", "temporal.0", "temporal.1", "temporal.2",
    "middle.0", "middle.1", "middle.2",
)  # fmt: skip
NORMS = ("input_norm", *(f"{name}.norm" for name in CONVOLUTIONS), "pooled_norm", "dense_norm")
NORM_PARTS = {
    "gamma": "weight", "beta": "bias",
    "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip
# For readers of the file; `tonearm.evaluators.musicnn` has them as constants.
SETTINGS = {
    "sample_rate": SAMPLE_RATE, "n_fft": N_FFT, "hop": HOP, "mel_bands": N_MELS,
    "compression": "log10(1 + 10000 x)", "window_frames": WINDOW_FRAMES,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("build/musicnn"), help="of the download")
    out = parser.parse_args().out
    wheel = out / WHEEL
    if not wheel.exists():
        download = ["pip", "download", "--no-deps", "--dest", str(out), f"musicnn=={VERSION}"]
        subprocess.run([sys.executable, "-m", *download], check=True)
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != SHA256:
        sys.exit(f"{wheel} is another file than that of musicnn {VERSION} on PyPI; delete it")
    convert(wheel, assets.MUSICNN)


def convert(wheel: Path, path: Path) -> None:
    """Write the weights of a wheel as safetensors, and the licence beside them.

    Args:
        wheel: of musicnn.
        path: of the safetensors file.
    """
    with zipfile.ZipFile(wheel) as archive:
        index = archive.read(f"{CHECKPOINT}.index")
        values = archive.read(f"{CHECKPOINT}.data-00000-of-00001")
        licence = archive.read(f"musicnn-{VERSION}.dist-info/LICENSE.md").decode()
        tags = tags_of(archive.read("musicnn/configuration.py").decode())
    tensors = renamed(dict(read_tensors(index, values)))
    Musicnn(len(tags)).load_state_dict(tensors, strict=False)  # checks the shapes
    metadata = {
        "source": f"MTT_musicnn of musicnn {VERSION} on PyPI, wheel sha256 {SHA256}",
        "paper": "Pons & Serra 2019, musicnn: Pre-trained convolutional neural networks for music "
        "audio tagging, ISMIR late-breaking demo",
        "training_data": "MagnaTagATune",
        "licence": licence,
        "settings": json.dumps(SETTINGS),
        "tags": json.dumps(tags),
    }
    save_file(tensors, path, metadata)
    path.chmod(0o644)  # safetensors writes private files
    notice = f"The weights in {path.name} are those of {metadata['source']}.\n"
    path.with_suffix(".LICENSE").write_text(f"{notice}\n{licence.strip()}\n", encoding="utf-8")


def tags_of(configuration: str) -> list[str]:
    """Return the value of MTT_LABELS in the source of musicnn's configuration."""
    for statement in ast.parse(configuration).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "MTT_LABELS":
            return list(ast.literal_eval(statement.value))
    sys.exit("musicnn/configuration.py has no MTT_LABELS")


def renamed(stored: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    """Tensors of the checkpoint under the names and in the layouts of `Musicnn`."""
    found = {}
    for index, name in enumerate(CONVOLUTIONS):
        layer = _numbered("conv2d", index)
        kernel = stored[f"{layer}/kernel"].transpose(3, 2, 0, 1)  # [out, 1, frames, bands]
        if name.startswith("middle"):  # the bands are the input channels
            kernel = kernel[:, 0].transpose(0, 2, 1)
        found[f"{name}.conv.weight"], found[f"{name}.conv.bias"] = kernel, stored[f"{layer}/bias"]
    for index, name in enumerate(("dense", "output")):
        layer = _numbered("dense", index)
        found[f"{name}.weight"] = stored[f"{layer}/kernel"].T
        found[f"{name}.bias"] = stored[f"{layer}/bias"]
    for index, name in enumerate(NORMS):
        for theirs, ours in NORM_PARTS.items():
            found[f"{name}.{ours}"] = stored[f"{_numbered('batch_normalization', index)}/{theirs}"]
    return {name: torch.from_numpy(value.copy()) for name, value in found.items()}


def _numbered(kind: str, index: int) -> str:
    return f"{kind}_{index}" if index else kind


def read_tensors(index: bytes, values: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Yield name and values of each float32 tensor of a checkpoint.

    Args:
        index: content of the `.index` file.
        values: content of the `.data-00000-of-00001` file.
    """
    footer = index[-FOOTER_BYTES:]
    position = 0
    for _ in range(2):  # place of the block of metadata, which is empty
        _, position = _varint(footer, position)
    for _, place in _entries(_block(index, footer[position:])):
        for key, value in _entries(_block(index, place)):
            if not key:  # the header
                continue
            entry = dict(_fields(value))
            dimensions = [one for kind, one in _fields(entry[SHAPE]) if kind == DIMENSION]
            shape = [dict(_fields(dimension))[SIZE] for dimension in dimensions]
            start = entry.get(OFFSET, 0)
            raw = values[start : start + entry[BYTES]]
            yield key.decode(), np.frombuffer(raw, "<f4").reshape(shape)


def _block(table: bytes, place: bytes) -> bytes:
    """A block of a table by its offset and size."""
    offset, end = _varint(place, 0)
    size, _ = _varint(place, end)
    if table[offset + size]:
        sys.exit("the index of the checkpoint is compressed, which is not supported")
    return table[offset : offset + size]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block, whose end is a list of restarts."""
    n_restarts = int.from_bytes(block[-4:], "little")
    end, position, key = len(block) - 4 * (n_restarts + 1), 0, b""
    while position < end:
        shared, position = _varint(block, position)
        unshared, position = _varint(block, position)
        size, position = _varint(block, position)
        key = key[:shared] + block[position : position + unshared]
        position += unshared
        yield key, block[position : position + size]
        position += size


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields of a protocol buffer."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == 2:
            size, position = _varint(message, position)
        else:
            size = {1: 8, 5: 4}[kind]
        yield number, message[position : position + size]
        position += size


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of 7 bits per byte, lowest first, and the position behind it."""
    value = shift = 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, position


if __name__ == "__main__":
    main()
