"""Selection of the items of a corpus by the values of their columns, which are compared as text."""

from collections.abc import Collection, Mapping, Sequence

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.text import quoted

MOST_VALUES = 12  # in a message


def checked_where(where: object) -> dict[str, str]:
    """Return values by column. Raises TonearmError for other types."""
    pairs = boundary.instance(where, "where", Mapping, "values by column")  # type: ignore[type-abstract]
    return {
        boundary.text(name, "where"): boundary.text(value, f"where[{quoted(name)}]")
        for name, value in pairs.items()
    }


def is_selected(columns: Mapping[str, object], where: Mapping[str, str]) -> bool:
    """Whether an item has all values.

    Args:
        columns: of the item.
        where: values by column.
    """
    return all(name in columns and str(columns[name]) == value for name, value in where.items())


def no_column(source: str, name: str, columns: Sequence[str]) -> TonearmError:
    """Make the error for an unknown column.

    Args:
        source: of the items.
        name: of the column.
        columns: that exist.
    """
    return TonearmError(f"{source} has no column {quoted(name)}; its columns are {listed(columns)}")


def no_item(
    source: str, where: Mapping[str, str], values: Mapping[str, Collection[str]]
) -> TonearmError:
    """Make the error for a selection of no item.

    Args:
        source: of the items.
        where: values by column.
        values: that occur, by column.
    """
    for name, value in where.items():
        if value not in values[name]:
            return TonearmError(
                f"no item of {source} has {quoted(value)} as {name}; "
                f"its values are {listed(sorted(values[name]))}"
            )
    return TonearmError(f"no item of {source} has {shown_where(where)}; choose other values")


def shown_where(where: Mapping[str, str]) -> str:
    """Write a selection as "octave=4 and root_note_name=C"."""
    return " and ".join(f"{name}={value}" for name, value in where.items())


def listed(names: Sequence[str]) -> str:
    """List names for a message, MOST_VALUES at most."""
    shown = ", ".join(names[:MOST_VALUES]) or "(none)"
    return shown + (f" and {len(names) - MOST_VALUES} more" if len(names) > MOST_VALUES else "")
