"""GGUF files of one-dimensional float32 tensors: reader and writer.

Conventions: little-endian; lengths and counts are 64-bit; the data of tensors begin at a multiple
of the alignment, which is 32 where the metadata state no other. Versions 2 and 3 have one layout.

Every length in a file is compared with the bytes that are left before anything is reserved.

Source: the GGUF specification of ggml (docs/gguf.md), version 3.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tonearm.errors import TonearmError
from tonearm.files.text_file import MIB
from tonearm.text import quoted

MAGIC = b"GGUF"
VERSION, READ_VERSIONS = 3, (2, 3)
ALIGNMENT, ALIGNMENT_KEY = 32, "general.alignment"
F32 = 0  # type of tensors
MAX_BYTES = 256 * MIB
MAX_NAME = 256  # bytes of a key or of a tensor's name
MAX_ENTRIES = 65_536  # keys, tensors, or items of an array
AGAIN = "copy or export it again"

UINT32, FLOAT32, BOOL, STRING, ARRAY = 4, 6, 7, 8, 9
SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", UINT32: "<I", 5: "<i", FLOAT32: "<f", BOOL: "<B",
    10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip

Value = bool | int | float | str


@dataclass(frozen=True)
class Gguf:
    """Content of a file.

    metadata  by key; of a file that was read, arrays are lists
    tensors   by name, float32 [D]
    """

    metadata: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, np.ndarray] = field(default_factory=dict)


def gguf_bytes(content: Gguf) -> bytes:
    """Return the bytes of a file.

    An int is written as uint32, a float as float32, a bool as bool and a str as a string.
    """
    parts = [MAGIC, struct.pack("<IQQ", VERSION, len(content.tensors), len(content.metadata))]
    for key, value in content.metadata.items():
        parts += [_string_bytes(key), _value_bytes(value)]
    data = [np.ascontiguousarray(one, "<f4").tobytes() for one in content.tensors.values()]
    offset = 0
    for name, one in zip(content.tensors, data, strict=True):
        parts.append(_string_bytes(name) + struct.pack("<IQIQ", 1, len(one) // 4, F32, offset))
        offset += len(_padded(one))
    return _padded(b"".join(parts)) + b"".join(map(_padded, data))


def _string_bytes(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _value_bytes(value: Value) -> bytes:
    if isinstance(value, bool):
        return struct.pack("<IB", BOOL, value)
    if isinstance(value, int):
        return struct.pack("<II", UINT32, value)
    if isinstance(value, float):
        return struct.pack("<If", FLOAT32, value)
    return struct.pack("<I", STRING) + _string_bytes(value)


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % ALIGNMENT)


def read_gguf(path: Path) -> Gguf:
    """Read a file of one-dimensional float32 tensors.

    Raises:
        TonearmError: no file, one that is too large, damaged or of another version, or a tensor of
            another type or shape.
    """
    if not path.is_file():
        raise TonearmError(f"no file at {path}; give a GGUF file")
    if path.stat().st_size > MAX_BYTES:
        raise TonearmError(
            f"{path} is larger than {MAX_BYTES // MIB} MiB, the limit of a control vector; "
            "give a file of directions, not of a model"
        )
    try:
        return _Reader(path.read_bytes()).read()
    except OSError as error:
        raise TonearmError(f"cannot read {path}: {error.strerror or error}; {AGAIN}") from None
    except TonearmError as error:
        raise TonearmError(f"cannot read {path} as GGUF: {error}") from None


class _Reader:
    """Reads from the beginning; no length is trusted."""

    def __init__(self, content: bytes):
        self.content = content
        self.position = 0

    def read(self) -> Gguf:
        if self.take(4) != MAGIC:
            raise TonearmError("it does not begin with GGUF; give a GGUF file")
        version = self.number("<I")
        if version not in READ_VERSIONS:
            raise TonearmError(f"it has version {version}; give one of version 2 or 3")
        tensor_count, key_count = self.count("tensors"), self.count("keys")
        metadata: dict[str, Any] = {}
        for _ in range(key_count):
            key = self.name()
            if key in metadata:
                raise TonearmError(f"the key {quoted(key)} is there twice; {AGAIN}")
            metadata[key] = self.value()
        entries = [self.tensor_entry() for _ in range(tensor_count)]
        if 4 * sum(length for _, length, _ in entries) > len(self.content):
            raise TonearmError(f"its tensors are larger than the file; {AGAIN}")
        start = self.position + -self.position % _alignment(metadata)
        tensors: dict[str, np.ndarray] = {}
        for name, length, offset in entries:
            if name in tensors:
                raise TonearmError(f"the tensor {quoted(name)} is there twice; {AGAIN}")
            self.position = start + offset
            tensors[name] = np.frombuffer(self.take(4 * length), "<f4").astype(np.float32)
        return Gguf(metadata, tensors)

    def take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self.content):
            raise TonearmError(f"it is cut off, or states a wrong length; {AGAIN}")
        taken = self.content[self.position : end]
        self.position = end
        return taken

    def number(self, form: str) -> Any:
        (found,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return found

    def count(self, what: str) -> int:
        found: int = self.number("<Q")
        if found > MAX_ENTRIES:
            raise TonearmError(f"it states {found} {what}; at most {MAX_ENTRIES} are possible")
        return found

    def string(self) -> str:
        try:
            return self.take(self.number("<Q")).decode()
        except UnicodeDecodeError:
            raise TonearmError(f"it holds a text that is not UTF-8; {AGAIN}") from None

    def name(self) -> str:
        found = self.string()
        if len(found.encode()) > MAX_NAME:
            raise TonearmError(f"it holds a name of more than {MAX_NAME} bytes; {AGAIN}")
        return found

    def value(self) -> Any:
        kind = self.number("<I")
        if kind != ARRAY:
            return self.scalar(kind)
        item = self.number("<I")
        return [self.scalar(item) for _ in range(self.count("items of an array"))]

    def scalar(self, kind: int) -> Value:
        if kind == STRING:
            return self.string()
        if kind not in SCALARS:
            raise TonearmError(f"it holds a value of the unknown type {kind}; {AGAIN}")
        found = self.number(SCALARS[kind])
        return bool(found) if kind == BOOL else found  # type: ignore[no-any-return]

    def tensor_entry(self) -> tuple[str, int, int]:
        """Name, length and offset of a tensor."""
        name, dimensions = self.name(), self.number("<I")
        if dimensions != 1:
            raise TonearmError(
                f"the tensor {quoted(name)} has {dimensions} dimensions; directions have one"
            )
        length, kind, offset = (self.number(form) for form in ("<Q", "<I", "<Q"))
        if kind != F32:
            raise TonearmError(f"the tensor {quoted(name)} is of type {kind}, not F32 (0); {AGAIN}")
        return name, length, offset


def _alignment(metadata: Mapping[str, Any]) -> int:
    found = metadata.get(ALIGNMENT_KEY, ALIGNMENT)
    if not isinstance(found, int) or isinstance(found, bool) or not 8 <= found <= 4096 or found % 8:
        raise TonearmError(f"{ALIGNMENT_KEY} {quoted(found)} is not possible; {AGAIN}")
    return found
