"""References to one vector of a bundle, such as `pack.safetensors#tempo`.

A text that ends in .safetensors is always the path of a file, whatever else it holds, and the name
of a member never ends so and holds neither `#` nor a separator of folders. No path of a vector's
file is therefore a reference, and no reference is such a path.
"""

from tonearm.errors import TonearmError
from tonearm.steering.vector_file import SUFFIX
from tonearm.text import MAX_NAME_BYTES, name_fault, quoted

MEMBER = "#"


def split_reference(name: str) -> tuple[str, str] | None:
    """Split a reference into the bundle's path and the member's name; None for any other text."""
    path, mark, member = name.rpartition(SUFFIX + MEMBER)
    is_reference = bool(mark) and not member_fault(member)
    return (path + SUFFIX, member) if is_reference else None


def names_file(name: str) -> bool:
    """Whether a name is the path of a .safetensors file or a reference to a member of one."""
    return name.endswith(SUFFIX) or split_reference(name) is not None


def member_fault(name: str) -> str:
    """Fault of the name of a bundle's member; empty where there is none."""
    if name.endswith(SUFFIX):
        return f"ends in {SUFFIX}"
    if len(f"{name}{SUFFIX}".encode()) > MAX_NAME_BYTES:
        return "is too long"
    return name_fault(name)


def check_member(name: str) -> None:
    """Raise TonearmError for a name that no reference and no file could have."""
    if fault := member_fault(name):
        raise TonearmError(
            f"the name {quoted(name)} of a bundle's vector {fault}; use letters, digits, - and _"
        )
