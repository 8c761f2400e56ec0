"""Library of steering vectors, looked up by name, file or bundled asset."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from tonearm import assets, boundary
from tonearm.backend import ModelShape
from tonearm.errors import TonearmError
from tonearm.steering.resolve import check_vector
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import SUFFIX, load_vector
from tonearm.text import MAX_NAME_BYTES, check_path, quoted, warn_of_namesake


def bundled_vectors() -> dict[str, Path]:
    """Files of the vectors that ship for pocket, by name."""
    return {path.stem: path for path in sorted(assets.POCKET_VECTORS.glob(f"*{SUFFIX}"))}


@dataclass(frozen=True)
class _File:
    """A file that was read; it is read again when its version has changed."""

    path: Path
    version: tuple[int, ...]
    vector: SteeringVector


def _version(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()  # reading it reports the error
    return (stat.st_dev, stat.st_ino, stat.st_mtime_ns, stat.st_size)


class VectorLibrary(MutableMapping[str, SteeringVector]):
    """Vectors by name.

    A name is first looked up among the vectors that were added, then among those bundled with the
    checkpoint, then as a path to a .safetensors file. Anything else raises TonearmError. Where a
    bundled vector and a file in the current folder have one name, the bundled one is used and a
    warning names both; a path such as `energy.safetensors` always means the file.
    """

    def __init__(self, shape: ModelShape):
        self.shape = shape
        self._added: dict[str, SteeringVector] = {}
        self._read: dict[str, _File] = {}

    def __getitem__(self, name: str) -> SteeringVector:
        boundary.text(name, "the vector's name")
        if name in self._added:
            return self._added[name]
        read = self._read.get(name)
        if read is None or read.version != _version(read.path):
            path = self._file(name)
            version, vector = _version(path), load_vector(path)
            check_vector(self.shape, vector)
            self._read[name] = read = _File(path, version, vector)
        return read.vector

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self[name] is not None
        except TonearmError:
            return False

    def _file(self, name: str) -> Path:
        if not name.strip():
            raise TonearmError(f"no vector {quoted(name)}; give a name or a {SUFFIX} file")
        check_path(name, "vector")
        path = Path(name)
        if path.suffix == SUFFIX:
            return path
        beside = Path(f"{name}{SUFFIX}")
        is_file = len(beside.name.encode()) <= MAX_NAME_BYTES and beside.is_file()
        if name in self.shape.vectors:
            if is_file:
                warn_of_namesake(name, "bundled vector", beside)
            return self.shape.vectors[name]
        if is_file:
            return beside
        known = sorted({*self._added, *self.shape.vectors})
        if not known:
            raise TonearmError(
                f"no vector {quoted(name)}; none ship for {self.shape.name}: make one with `tonearm learn`, "
                f"or give a {SUFFIX} file"
            )
        raise TonearmError(
            f"no vector {quoted(name)}; there are {', '.join(known)}, or give a {SUFFIX} file"
        )

    def __setitem__(self, name: str, vector: SteeringVector) -> None:
        boundary.text(name, "the vector's name")
        boundary.instance(vector, f"vector {quoted(name)}", SteeringVector, "a SteeringVector")
        check_vector(self.shape, vector)
        self._added[name] = vector

    def __delitem__(self, name: str) -> None:
        if name not in self._added:
            raise TonearmError(f"no vector {quoted(name)} was added, so that it cannot be removed")
        del self._added[name]

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._added, *self.shape.vectors]))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def public_name(self, name: str) -> str:
        """Name to write in files: of a vector that was read from a path, its last part only."""
        is_path = name in self._read and name not in self._added and name not in self.shape.vectors
        return Path(name).name if is_path else name

    def is_bundled(self, name: str) -> bool:
        return name not in self._added and name in self.shape.vectors
