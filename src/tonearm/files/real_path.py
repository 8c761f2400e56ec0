"""Paths without links."""

import os
from pathlib import Path


def real_path(path: Path) -> Path:
    """The path that links lead to; `Path.resolve` raises RuntimeError for a loop of links."""
    return Path(os.path.realpath(path))
