"""Conversion of musicnn: the table of a checkpoint, and the names of the tensors."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors
from recipes.evaluators import musicnn
from recipes.evaluators.musicnn import CHECKPOINT, NORM_PARTS, NORMS, convert, read_tensors

from tonearm import assets

MAGIC = bytes(8)


def varint(value: int) -> bytes:
    parts = []
    while True:
        value, part = value >> 7, value & 127
        parts.append(part | 128 if value else part)
        if not value:
            return bytes(parts)


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Entries with shared beginnings of keys, one restart, and no compression."""
    content, last = b"", b""
    for key, value in entries:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b),
            min(len(key), len(last)),
        )
        content += varint(shared) + varint(len(key) - shared) + varint(len(value))
        content, last = content + key[shared:] + value, key
    return content + bytes(4) + (1).to_bytes(4, "little") + bytes(5)


def place(offset: int, content: bytes) -> bytes:
    return varint(offset) + varint(len(content) - 5)


def checkpoint(tensors: dict[str, np.ndarray]) -> tuple[bytes, bytes]:
    """Index and values of a checkpoint."""
    entries, values = [(b"", field(1, 1))], b""
    for name in sorted(tensors):
        raw = tensors[name].astype("<f4").tobytes()
        shape = b"".join(field(2, field(1, size)) for size in tensors[name].shape)
        offset = field(4, len(values)) if values else b""  # a zero is left out
        checksum = varint(6 << 3 | 5) + bytes(4)
        entries.append(
            (name.encode(), field(1, 1) + field(2, shape) + offset + field(5, len(raw)) + checksum)
        )
        values += raw
    half = len(entries) // 2
    first, second = block(entries[:half]), block(entries[half:])
    index = block(
        [(b"m", place(0, first)), (b"z", place(len(first), second))],
    )
    start = len(first) + len(second)
    footer = place(start, block([])) + place(start, index)
    return first + second + index + footer.ljust(40, b"\0") + MAGIC, values


def original_tensors() -> dict[str, np.ndarray]:
    """Random tensors with the names and shapes of musicnn's checkpoint."""
    rng = np.random.default_rng(0)
    kernels = {
        "conv2d": (7, 38, 1, 204), "conv2d_1": (7, 67, 1, 204), "conv2d_2": (128, 1, 1, 51),
        "conv2d_3": (64, 1, 1, 51), "conv2d_4": (32, 1, 1, 51), "conv2d_5": (7, 561, 1, 64),
        "conv2d_6": (7, 64, 1, 64), "conv2d_7": (7, 64, 1, 64),
        "dense": (1506, 200), "dense_1": (200, 50),
    }  # fmt: skip
    widths = [1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200]
    found = {f"{name}/kernel": rng.normal(size=shape) for name, shape in kernels.items()}
    found |= {f"{name}/bias": rng.normal(size=shape[-1]) for name, shape in kernels.items()}
    for index, width in enumerate(widths):
        name = f"batch_normalization_{index}" if index else "batch_normalization"
        found |= {f"{name}/{part}": rng.normal(size=width) for part in NORM_PARTS}
    return found | {"beta1_power": np.array(0.9), "conv2d/kernel/Adam": np.zeros(3)}


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    rng = np.random.default_rng(1)
    tensors = {
        "conv2d/bias": rng.normal(size=200),
        "conv2d/kernel": rng.normal(size=(2, 3, 1, 5)),
        "conv2d_1/bias": rng.normal(size=3),
        "beta1_power": np.array(0.5),
    }
    found = dict(read_tensors(*checkpoint(tensors)))
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        np.testing.assert_array_equal(found[name], value.astype(np.float32))


def test_a_wheel_becomes_weights_with_licence_and_tags(tmp_path: Path) -> None:
    tensors, tags = original_tensors(), [f"tag {i}" for i in range(50)]
    index, values = checkpoint(tensors)
    with zipfile.ZipFile(tmp_path / "w.whl", "w") as archive:
        archive.writestr(f"{CHECKPOINT}.index", index)
        archive.writestr(f"{CHECKPOINT}.data-00000-of-00001", values)
        archive.writestr("musicnn-0.1.0.dist-info/LICENSE.md", "Copyright (c) someone\n")
        archive.writestr("musicnn/configuration.py", f"SR = 1\nMTT_LABELS = {tags}\n")
    convert(tmp_path / "w.whl", tmp_path / "m.safetensors")
    with safetensors.safe_open(tmp_path / "m.safetensors", framework="np") as file:
        assert json.loads(file.metadata()["tags"]) == tags
        weight = file.get_tensor("middle.0.conv.weight")  # [out, in, frames]
        expected = tensors["conv2d_5/kernel"][:, :, 0, :].transpose(2, 1, 0)
        np.testing.assert_array_equal(weight, expected.astype(np.float32))
        assert len(list(file.keys())) == 8 * 2 + 2 * 2 + len(NORMS) * len(NORM_PARTS)
    assert "Copyright (c) someone" in (tmp_path / "m.LICENSE").read_text()


def test_another_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / musicnn.WHEEL).write_bytes(b"another")
    before = assets.MUSICNN.stat().st_mtime_ns
    monkeypatch.setattr(sys, "argv", ["musicnn", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="another file"):
        musicnn.main()
    assert assets.MUSICNN.stat().st_mtime_ns == before


def test_a_configuration_is_read_without_running_it() -> None:
    assert musicnn.tags_of("import absent\nMTT_LABELS = ['a', 'b']") == ["a", "b"]
    with pytest.raises(SystemExit):
        musicnn.tags_of("X = 1")
