"""Parquet shards as the Hugging Face hub stores audio."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.measures.sounds import tone
from tonearm.audio import Clip


def encoded(clip: Clip | None = None, suffix: str = ".wav") -> bytes:
    return (clip or tone(330, 0.2)).encoded(suffix)


def write_shard(path: Path, rows: Sequence[Mapping[str, Any]], group: int = 2) -> None:
    """Write rows with the column audio, {bytes, path}, and the hub's metadata of features.

    Args:
        path: of the shard.
        rows: values by column.
        group: rows per row group.
    """
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    audio = pyarrow.struct([("bytes", pyarrow.binary()), ("path", pyarrow.string())])
    arrays = {
        name: pyarrow.array([row[name] for row in rows], audio if name == "audio" else None)
        for name in rows[0]
    }
    features = {"info": {"features": {"audio": {"_type": "Audio"}}}}
    table = pyarrow.table(arrays).replace_schema_metadata({"huggingface": json.dumps(features)})
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(table, path, row_group_size=group)
