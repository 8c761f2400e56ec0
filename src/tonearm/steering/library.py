"""Where a vector's name is looked up: this session's own, then those that ship for the checkpoint, then a file of that name."""

from collections.abc import Iterator, MutableMapping
from functools import cache
from pathlib import Path

from tonearm import assets
from tonearm.errors import TonearmError
from tonearm.musicgen.checkpoint import POCKET, Checkpoint
from tonearm.steering.resolve import check_vector
from tonearm.steering.vector import SteeringVector
from tonearm.steering.vector_file import SUFFIX, load_vector


@cache
def bundled() -> dict[str, Path]:
    """The vectors that ship for pocket: name -> file."""
    return {path.stem: path for path in sorted(assets.POCKET_VECTORS.glob(f"*{SUFFIX}"))}


class VectorLibrary(MutableMapping[str, SteeringVector]):
    """Vectors by name. `shelf[name]` is learned here, a path to a .safetensors file, or bundled; anything else is a TonearmError."""

    def __init__(self, checkpoint: Checkpoint):
        self.checkpoint = checkpoint
        self._own: dict[str, SteeringVector] = {}
        self._read: dict[str, SteeringVector] = {}

    def __getitem__(self, name: str) -> SteeringVector:
        if name in self._own:
            return self._own[name]
        if name not in self._read:
            vector = load_vector(self._file(name))
            check_vector(self.checkpoint, vector)
            self._read[name] = vector
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self[name] is not None
        except TonearmError:
            return False

    def _file(self, name: str) -> Path:
        path = Path(name)
        if path.suffix == SUFFIX:
            return path
        if self.checkpoint.name == POCKET and name in bundled():
            return bundled()[name]
        if path.with_name(path.name + SUFFIX).is_file():
            return path.with_name(path.name + SUFFIX)
        known = sorted({*self._own, *(bundled() if self.checkpoint.name == POCKET else ())})
        if not known:
            raise TonearmError(
                f"no vector {name!r}; none ship for {self.checkpoint.name}: make one with `tonearm learn`, or give a {SUFFIX} file"
            )
        raise TonearmError(f"no vector {name!r}; there are {', '.join(known)}, or give a {SUFFIX} file")

    def __setitem__(self, name: str, vector: SteeringVector) -> None:
        check_vector(self.checkpoint, vector)
        self._own[name] = vector

    def __delitem__(self, name: str) -> None:
        del self._own[name]

    def __iter__(self) -> Iterator[str]:
        return iter(
            {**dict.fromkeys(self._own), **(dict.fromkeys(bundled()) if self.checkpoint.name == POCKET else {})}
        )

    def __len__(self) -> int:
        return len(list(iter(self)))

    def is_bundled(self, name: str) -> bool:
        return name not in self._own and self.checkpoint.name == POCKET and name in bundled()
