"""Rows of an experiment in a file of JSON Lines, by key: a run that was stopped continues."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """The rows of a file; one that was cut while it was written is left out."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


class Rows:
    """Rows of one file.

    Args:
        path: of the file, which need not exist.
    """

    def __init__(self, path: Path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        found = read_rows(path) if path.exists() else []
        self.by_key: dict[str, Row] = {row["key"]: row for row in found}

    def complete(self, key: str, facts: Row, measure: Callable[[], Row]) -> None:
        """Measure a row that is not there."""
        if key in self.by_key:
            return
        row = {"key": key, **facts, **measure()}
        self.by_key[key] = row
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, allow_nan=False) + "\n")
