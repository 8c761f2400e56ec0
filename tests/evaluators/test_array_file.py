"""Arrays in .npy and .npz files: limits before memory, and one line for damaged files."""

import io
import os
import random
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from tonearm.errors import TonearmError
from tonearm.evaluators import array_file
from tonearm.evaluators.array_file import MAX_VALUES, read_array

MUTATIONS = 200


def saved(values: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def archived(compressed: bool = False, **arrays: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def header(shape: str, kind: str = "<f4") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(500) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


ROWS = np.random.default_rng(0).normal(size=(20, 4))


@pytest.mark.parametrize(
    "values",
    [
        ROWS,
        ROWS.astype("f2"),
        ROWS.astype(">f4"),
        np.asfortranarray(ROWS),
        np.arange(6).reshape(2, 3),
        ROWS > 0,
        ROWS[0],
        np.array(3.5),
    ],
    ids=lambda values: f"{values.dtype}{list(values.shape)}",
)
def test_arrays_of_numbers_are_read(tmp_path: Path, values: np.ndarray) -> None:
    for content in (saved(values), archived(rows=values), archived(True, rows=values)):
        (tmp_path / "x").write_bytes(content)
        found = read_array(tmp_path / "x")
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype.newbyteorder("=")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (saved(ROWS.astype(complex)), "of type complex128"),
        (saved(np.zeros((3, 4), "M8[s]")), "of type datetime64"),
        (saved(np.zeros((3, 4), "U3")), "of type <U3"),
        (saved(np.zeros(3, [("a", "f4"), ("b", "f4")])), "of type"),
        (header("(3,)", "|O") + b"cos\nsystem\n", "of type object"),
        (saved(ROWS)[:-1], "it is cut off"),
        (saved(ROWS)[:60], "cannot read"),
        (archived(rows=ROWS)[:-30], "cannot read"),
        (archived(a=ROWS, b=ROWS), "holds 2 arrays"),
        (b"", "cannot read"),
        (b"PK", "cannot read"),
        (header("(2000000000, 4)"), "do not hold that"),
        (header("(99999999999999999999999, 4)"), "do not hold that"),
        (header("(-1, 4)"), "do not hold that"),
        (header("(4.0, 4)"), "cannot read"),
        (header("(20,) * 9000"), "cannot read"),
        (header("(" * 200 + "20" + ")" * 200), "cannot read"),
        (b"\x93NUMPY\x03\x00" + saved(ROWS)[8:], "version 3.0"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.npy").write_bytes(content)
    with pytest.raises(TonearmError, match=message) as error:
        read_array(tmp_path / "x.npy")
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


@pytest.mark.parametrize("seed", range(4))
def test_mutated_files_are_read_or_refused_in_one_line(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    sources = [
        saved(ROWS),
        archived(rows=ROWS),
        archived(True, rows=ROWS),
        saved(ROWS.astype("i2")),
    ]
    refused = 0
    for _ in range(MUTATIONS):
        content = bytearray(rng.choice(sources))
        for _ in range(rng.choice([1, 1, 2, 4])):
            place = rng.randrange(min(len(content), rng.choice([130, 10_000])))
            kind = rng.randrange(4)
            if kind == 0:
                content[place] = rng.choice(
                    [rng.randrange(256), *b"0123456789(){}',:<>|fiucOVSUMm"]
                )
            elif kind == 1:
                content[place : place + 4] = rng.choice([0, 2**31, 2**32 - 1]).to_bytes(4, "little")
            elif kind == 2:
                del content[place : place + rng.choice([1, 8, 100])]
            else:
                content[place:place] = bytes(rng.choice(b"0123456789(){}',: ") for _ in range(3))
            content = content or bytearray(b"P")
        (tmp_path / "x.npy").write_bytes(content)
        try:
            found = read_array(tmp_path / "x.npy")
        except TonearmError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 600
        else:
            assert found.dtype.kind in "fiub"
    assert MUTATIONS / 2 < refused < MUTATIONS


def test_a_changed_byte_in_an_archive_is_found(tmp_path: Path) -> None:
    content = bytearray(archived(rows=ROWS))
    content[content.index(ROWS.tobytes()) + 100] ^= 1
    (tmp_path / "x.npz").write_bytes(content)
    with pytest.raises(TonearmError, match="CRC"):
        read_array(tmp_path / "x.npz")


def test_an_archive_that_holds_much_more_than_its_size_is_refused_before_memory_is_reserved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(array_file, "MAX_VALUES", 2**20)
    content = archived(True, rows=np.zeros(2**20 + 1))
    assert len(content) < 2**15
    (tmp_path / "x.npz").write_bytes(content)
    tracemalloc.start()
    with pytest.raises(TonearmError, match="holds 1048577 values; give at most 1048576"):
        read_array(tmp_path / "x.npz")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def test_a_sparse_file_of_gigabytes_is_refused_before_memory_is_reserved(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(header(f"({2**30}, 2)"))
    os.truncate(tmp_path / "x.npy", 2**33 + 2000)
    tracemalloc.start()
    with pytest.raises(TonearmError, match=f"at most {MAX_VALUES}"):
        read_array(tmp_path / "x.npy")
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()
