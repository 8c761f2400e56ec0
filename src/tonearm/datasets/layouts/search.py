"""The layouts, and the search for that of a folder."""

from pathlib import Path

from tonearm.datasets import parquet
from tonearm.datasets.layouts.base import Layout
from tonearm.datasets.layouts.fma import FMA
from tonearm.datasets.layouts.folders import FOLDERS
from tonearm.datasets.layouts.gtzan import GTZAN
from tonearm.datasets.layouts.metadata import METADATA_TABLE
from tonearm.datasets.layouts.music_genres import MUSIC_GENRES
from tonearm.datasets.layouts.syntheory import SYNTHEORY
from tonearm.errors import TonearmError
from tonearm.text import quoted

# In the order of the search: those with a table of their own come first.
LAYOUTS = {
    layout.name: layout for layout in (METADATA_TABLE, GTZAN, FMA, FOLDERS, MUSIC_GENRES, SYNTHEORY)
}


def find_layout(folder: Path, name: str | None = None) -> Layout:
    """Find the layout of a corpus by its files, or check that it has a named one.

    Raises:
        TonearmError: no such layout, a folder that has not the named one, or Parquet of none.
    """
    if name is not None and name not in LAYOUTS:
        raise TonearmError(f"no layout {quoted(name)}; use one of {', '.join(LAYOUTS)}")
    if name is not None:
        layout = LAYOUTS[name]
        if not layout.matches(folder):
            raise TonearmError(
                f"{folder} has not the layout {name}; it consists of {layout.expected}"
            )
        return layout
    found = next((one for one in LAYOUTS.values() if one.matches(folder)), None)
    if found is None and (shards := parquet.find_shards(folder)):
        columns = parquet.read_columns(shards, folder)
        raise TonearmError(
            f"the Parquet files in {folder} have the columns {', '.join(columns)}, which are those "
            f"of no layout; expected are {MUSIC_GENRES.expected}, or {SYNTHEORY.expected}"
        )
    return found or FOLDERS  # which describes the mistake
