"""Records of a store as a table for other programs: CSV or Parquet."""

import csv
import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.studies.records import Record

SUFFIXES = (".csv", ".parquet")


def export_records(records: Sequence[Record], path: Path) -> None:
    """Write one row per record: a column per fact, and per measure its value.

    Lists and objects, such as embeddings, are JSON in their cell.

    Args:
        records: with any columns.
        path: .csv, or .parquet, which needs pyarrow.

    Raises:
        TonearmError: another suffix, no records, or pyarrow is not installed.
    """
    if path.suffix not in SUFFIXES:
        raise TonearmError(f"{path} is no table; give a name that ends in {' or '.join(SUFFIXES)}")
    if not records:
        raise TonearmError("the store has no records yet; run the study first")
    rows = [flat(record) for record in records]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    if path.suffix == ".csv":
        with (
            atomic_write(path) as temporary,
            temporary.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(rows)
        return
    try:
        pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise TonearmError(
            "Parquet needs the package pyarrow; install tonearm[parquet], or export a .csv file"
        ) from None
    table = pyarrow.table({column: _typed([row.get(column) for row in rows]) for column in columns})
    with atomic_write(path) as temporary:
        parquet.write_table(table, temporary)


def _typed(values: list[Any]) -> list[Any]:
    """Values of one type for a column: numbers, booleans, or texts."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1 or kinds <= {int, float}:
        return values
    return [None if value is None else str(value) for value in values]


def flat(record: Record) -> dict[str, Any]:
    """One level of a record: a measurement becomes its value, other objects JSON."""
    row: dict[str, Any] = {}
    for name, value in record.items():
        if isinstance(value, Mapping) and "value" in value:
            row[name] = value["value"]
        else:
            row[name] = json.dumps(value) if isinstance(value, Mapping | list) else value
    return row
