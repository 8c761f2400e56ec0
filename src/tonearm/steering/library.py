"""Library of steering vectors, looked up by name, file or bundled asset."""

from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

from tonearm import assets, boundary
from tonearm.backend import ModelShape
from tonearm.errors import TonearmError
from tonearm.steering.bundle_file import load_member
from tonearm.steering.references import split_reference
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
    checkpoint, then as a path to a .safetensors file, or a reference to a vector of a bundle, such
    as `pack.safetensors#tempo`. Anything else raises TonearmError. Where a bundled vector and a
    file in the current folder have one name, the bundled one is used and a warning names both; a
    path such as `energy.safetensors` always means the file.
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
            path, member = self._file(name)
            version = _version(path)
            vector = load_vector(path) if member is None else load_member(path, member)
            check_vector(self.shape, vector)
            self._read[name] = read = _File(path, version, vector)
        return read.vector

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self[name] is not None
        except TonearmError:
            return False

    def _file(self, name: str) -> tuple[Path, str | None]:
        """Locate the file of a vector, and its name in there if the file is a bundle."""
        if not name.strip():
            raise TonearmError(f"no vector {quoted(name)}; give a name or a {SUFFIX} file")
        check_path(name, "vector")
        if reference := split_reference(name):
            return Path(reference[0]), reference[1]
        if Path(name).suffix == SUFFIX:
            return Path(name), None
        beside = Path(f"{name}{SUFFIX}")
        is_file = len(beside.name.encode()) <= MAX_NAME_BYTES and beside.is_file()
        if name in self.shape.vectors:
            if is_file:
                warn_of_namesake(name, "bundled vector", beside)
            return self.shape.vectors[name], None
        if is_file:
            return beside, None
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
        """Name to write in files: of a vector that was read from a path, its last part only; of one
        of a bundle, that of its own file.
        """
        is_path = name in self._read and name not in self._added and name not in self.shape.vectors
        if is_path and (reference := split_reference(name)):
            return f"{reference[1]}{SUFFIX}"
        return Path(name).name if is_path else name

    def is_bundled(self, name: str) -> bool:
        return name not in self._added and name in self.shape.vectors
