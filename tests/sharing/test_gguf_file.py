"""GGUF files: equal to those of the reference package, and refused in one line when damaged."""

import struct
from pathlib import Path

import numpy as np
import pytest

from tests.sharing.files import text, write_gguf
from tonearm.errors import TonearmError
from tonearm.sharing import gguf_file
from tonearm.sharing.gguf_file import Gguf, gguf_bytes, read_gguf

# Written by GGUFWriter of the package gguf 0.19.0, with the content of REFERENCE.
BY_GGUF = Path(__file__).with_name("by_gguf_0_19.gguf")
REFERENCE = Gguf(
    {
        "general.architecture": "controlvector",
        "controlvector.model_hint": "musicgen_melody",
        "controlvector.layer_count": 2,
        "glp.alpha_default": 0.25,
        "glp.orthonormal": True,
    },
    {f"direction.{n}": (np.arange(5, dtype=np.float32) - n) / 7 for n in (1, 2)},
)


def same(a: Gguf, b: Gguf) -> bool:
    return (
        a.metadata == b.metadata
        and a.tensors.keys() == b.tensors.keys()
        and all(np.array_equal(a.tensors[name], b.tensors[name]) for name in a.tensors)
    )


def header(version: int = 3, tensors: int = 0, keys: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, keys)


def entry(name: str, dimensions: int = 1, length: int = 4, kind: int = 0, offset: int = 0) -> bytes:
    shape = struct.pack("<Q", length) * dimensions
    return text(name) + struct.pack("<I", dimensions) + shape + struct.pack("<IQ", kind, offset)


def test_a_file_is_the_one_that_the_package_gguf_writes():
    assert gguf_bytes(REFERENCE) == BY_GGUF.read_bytes()
    assert same(read_gguf(BY_GGUF), REFERENCE)


def test_a_round_trip_is_exact(tmp_path):
    odd = np.array([-0.0, 1e-45, 3.4e38], np.float32)
    path = write_gguf(
        tmp_path / "x.gguf", {"größe": "„ä“", "n": 2**32 - 1}, {"a": odd, "b": odd[:1]}
    )
    again = read_gguf(path)
    assert again.metadata == {"größe": "„ä“", "n": 2**32 - 1}
    assert again.tensors["a"].tobytes() == odd.tobytes() and len(again.tensors["b"]) == 1


def test_values_of_every_type_and_another_alignment_are_read(tmp_path):
    values = [
        (0, "<B", 200), (1, "<b", -3), (2, "<H", 9), (3, "<h", -9), (5, "<i", -7), (7, "<B", 1),
        (10, "<Q", 2**40), (11, "<q", -(2**40)), (12, "<d", 1e300),
    ]  # fmt: skip
    content = header(version=2, tensors=1, keys=len(values) + 2)
    for kind, form, value in values:
        content += text(f"key.{kind}") + struct.pack("<I", kind) + struct.pack(form, value)
    content += text("list") + struct.pack("<IIQ", 9, 8, 2) + text("a") + text("b")
    content += text("general.alignment") + struct.pack("<II", 4, 64)
    content += entry("direction.3", length=2, offset=64)
    content += b"\0" * (-len(content) % 64 + 64) + struct.pack("<ff", 1.0, 2.0)
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    found = read_gguf(path)
    for kind, _, value in values:
        assert found.metadata[f"key.{kind}"] == value
    assert found.metadata["list"] == ["a", "b"] and found.metadata["key.7"] is True
    assert list(found.tensors["direction.3"]) == [1.0, 2.0]


def test_every_truncation_is_refused(tmp_path):
    content = BY_GGUF.read_bytes()
    path = tmp_path / "x.gguf"
    padding = -20 % 32  # after the last tensor, of five numbers
    for length in range(len(content) - padding):
        path.write_bytes(content[:length])
        with pytest.raises(TonearmError, match=r"cannot read .* as GGUF"):
            read_gguf(path)


def test_a_flipped_bit_is_refused_or_read(tmp_path):
    path = tmp_path / "x.gguf"
    for place in range(len(content := BY_GGUF.read_bytes())):
        for bit in (0, 7):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:
                read_gguf(path)
            except TonearmError as error:
                assert "\n" not in str(error) and len(str(error)) < 600


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cut off"),
        (b"GGML" + bytes(40), "does not begin with GGUF"),
        (header(version=1), "version 1; give one of version 2 or 3"),
        (header(version=4), "version 4"),
        (header(tensors=2**63), "states 9223372036854775808 tensors"),
        (header(keys=2**40), "keys; at most"),
        (header(keys=1) + struct.pack("<Q", 2**62), "cut off"),
        (header(keys=1) + text("k" * 300) + bytes(8), "more than 256 bytes"),
        (header(keys=1) + text("k") + struct.pack("<I", 13), "unknown type 13"),
        (header(keys=1) + text("k") + struct.pack("<IIQ", 9, 9, 1), "unknown type 9"),
        (header(keys=1) + text("k") + struct.pack("<IIQ", 9, 4, 2**50), "items of an array"),
        (header(keys=1) + text("k") + struct.pack("<IQ", 8, 2) + b"\xff\xfe", "not UTF-8"),
        (header(keys=2) + (text("k") + struct.pack("<II", 4, 1)) * 2, "'k' is there twice"),
        (header(tensors=1) + entry("w", dimensions=2), "has 2 dimensions"),
        (header(tensors=1) + entry("w", dimensions=0), "has 0 dimensions"),
        (header(tensors=1) + entry("w", kind=1), "of type 1, not F32"),
        (header(tensors=1) + entry("w", length=2**61), "larger than the file"),
        (header(tensors=1) + entry("w", offset=2**60) + bytes(64), "cut off"),
        (header(tensors=2) + entry("w", length=1) * 2 + bytes(64), "'w' is there twice"),
        (header(tensors=9) + b"".join(entry(str(i), length=60) for i in range(9)) + bytes(256),
         "larger than the file"),
        (header(keys=1) + text("general.alignment") + struct.pack("<II", 4, 0), "general.alignment 0"),
        (header(keys=1) + text("general.alignment") + struct.pack("<II", 4, 2**31), "alignment"),
        (header(keys=1) + text("general.alignment") + struct.pack("<IB", 7, 1), "alignment True"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_refused_in_one_line(tmp_path, content, message):
    path = tmp_path / "x.gguf"
    path.write_bytes(content)
    with pytest.raises(TonearmError, match=message) as error:
        read_gguf(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_absent_and_large_files_are_refused_before_they_are_read(tmp_path):
    with pytest.raises(TonearmError, match="no file at"):
        read_gguf(tmp_path)
    path = tmp_path / "model.gguf"
    with path.open("wb") as file:
        file.truncate(gguf_file.MAX_BYTES + 1)
    with pytest.raises(TonearmError, match="larger than 256 MiB, the limit of a control vector"):
        read_gguf(path)
