"""Tables of users: CSV with a header, or JSON Lines."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from tonearm.errors import TonearmError
from tonearm.files.text_file import parse_json, read_text
from tonearm.text import check_text, first_line


def read_table(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a .csv file with a header, or a .jsonl file of objects.

    Args:
        file: UTF-8 text.
        columns: present and not empty in every row.

    Yields:
        Number of the row, from 1, and its values by column.

    Raises:
        TonearmError: the file cannot be read or is too large, or a row lacks one of `columns`.
    """
    remedy = f"give UTF-8 with {' and '.join(columns)} in every row"
    text = read_text(file, "table", remedy)
    # Each format has its own rule for lines: a quoted field of CSV may contain line breaks, and a
    # string of JSON Lines may contain U+2028, at which `str.splitlines` would cut.
    lines = io.StringIO(text, newline="" if file.suffix == ".csv" else None)
    try:
        if file.suffix == ".csv":
            rows = list(csv.DictReader(lines))
        else:
            rows = [dict(parse_json(line, str(file), remedy)) for line in lines if line.strip()]
    except (ValueError, TypeError, csv.Error) as error:  # a row that is no object, a long field
        raise TonearmError(f"cannot read {file} ({first_line(error)}); {remedy}") from error
    for number, row in enumerate(rows, 1):
        values = {key: str(value) for key, value in row.items() if key and value not in (None, "")}
        if not all(column in values for column in columns):
            raise TonearmError(f"row {number} of {file} lacks {' or '.join(columns)}; {remedy}")
        for column in columns:
            check_text(values[column], f"{column} in row {number} of {file}")
        yield number, values
