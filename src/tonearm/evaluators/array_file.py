"""Numeric arrays in .npy and .npz files: what a header states is checked before memory is reserved.

NumPy reads a header in full trust: it reserves the memory of the stated shape, an archive of
megabytes may hold gigabytes of zeros, and damage ends in errors of zipfile, zlib, struct, tokenize
and NumPy itself. Here each array is read by its header, from a stream of limited length.

Source: the specification in `numpy.lib.format`, versions 1.0 to 3.0.
"""

import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.escapes import shortened
from tonearm.text import first_line

ARRAY_FILES = (".npy", ".npz")
ARCHIVE = b"PK"
MAX_VALUES = 2**28  # of an array: 2 GiB as 64-bit floats, half a million rows of 512
MAX_REASON = 200  # characters of a library's message
REMEDY = "give a .npy or .npz file of numbers"


def read_array(path: str | os.PathLike[str]) -> np.ndarray:
    """Read an array of real numbers from a .npy file, or from a .npz file of one array.

    Returns:
        The array in the byte order of the machine, of the stored type; it may be read-only.

    Raises:
        TonearmError: no file, one that is damaged or of another kind, or more than MAX_VALUES.
    """
    path = Path(boundary.path(path, "array file"))
    if not path.is_file():
        raise TonearmError(f"no file at {path}; {REMEDY}")
    try:
        with path.open("rb") as file:
            if file.read(2) != ARCHIVE:
                file.seek(0)
                return _read_stream(file, path.stat().st_size)
            return _read_archive(file)
    except TonearmError as error:
        raise TonearmError(f"cannot read {path}: {error}") from None
    # Damage reaches zipfile, zlib, tokenize, ast and struct, each with errors of its own.
    except Exception as error:
        reason = shortened(" ".join(first_line(error).split()), MAX_REASON)
        raise TonearmError(f"cannot read {path} as an array ({reason}); {REMEDY}") from error


def _read_archive(file: IO[bytes]) -> np.ndarray:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        if len(entries) != 1:
            raise TonearmError(f"it holds {len(entries)} arrays; give a file with one")
        with archive.open(entries[0]) as stream:
            values = _read_stream(stream, entries[0].file_size)
            stream.read(1)  # at its end, zipfile compares the checksum
    return values


def _read_stream(stream: IO[bytes], size: int) -> np.ndarray:
    """Read one array in the format of .npy.

    Args:
        stream: at its beginning.
        size: of the stream in bytes, as stated.
    """
    shape, in_columns, dtype = _read_header(stream)
    if dtype.kind not in "fiub":
        raise TonearmError(f"it holds values of type {shortened(str(dtype))}; {REMEDY}")
    count = math.prod(shape)
    if min(shape, default=1) < 0 or count * dtype.itemsize > size:
        raise TonearmError(
            f"it states the shape {shortened(str(list(shape)))}, and its {size} bytes do not hold "
            "that; copy or export it again"
        )
    if count > MAX_VALUES:
        raise TonearmError(
            f"it holds {count} values; give at most {MAX_VALUES}, such as fewer rows"
        )
    content = stream.read(count * dtype.itemsize)
    if len(content) < count * dtype.itemsize:
        raise TonearmError("it is cut off; copy or export it again")
    values = np.frombuffer(content, dtype).reshape(shape, order="F" if in_columns else "C")
    return values.astype(dtype.newbyteorder("="), copy=False)


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns are contiguous, and type of the array."""
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version != (2, 0):
        raise TonearmError(
            f"it has version {version[0]}.{version[1]} of the format; write it again"
        )
    return np.lib.format.read_array_header_2_0(stream)
