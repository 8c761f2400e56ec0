"""Records as tables for other programs."""

import pytest

from tonearm.errors import TonearmError
from tonearm.studies.export import export_records, flat

RECORDS = [
    {"condition": "plain", "tempo": {"name": "tempo", "value": 90.5}, "embedding": [1, 2], "n": 1},
    {"condition": "fast", "tempo": {"name": "tempo", "value": None}, "tags": {"a": 1}, "n": "x"},
]


def test_a_measurement_becomes_its_value_and_lists_become_json():
    assert flat(RECORDS[0]) == {"condition": "plain", "tempo": 90.5, "embedding": "[1, 2]", "n": 1}


def test_csv_has_every_column_of_any_record(tmp_path):
    export_records(RECORDS, tmp_path / "r.csv")
    lines = (tmp_path / "r.csv").read_text().splitlines()
    assert lines[0] == "condition,tempo,embedding,n,tags"
    assert lines[2] == 'fast,,,x,"{""a"": 1}"'


def test_parquet_has_the_same_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    export_records(RECORDS, tmp_path / "r.parquet")
    rows = parquet.read_table(tmp_path / "r.parquet").to_pylist()
    assert [row["tempo"] for row in rows] == [90.5, None]
    assert [row["n"] for row in rows] == ["1", "x"] and rows[1]["tags"] == '{"a": 1}'


def test_other_suffixes_and_no_records_are_refused(tmp_path):
    with pytest.raises(TonearmError, match=r"ends in \.csv or \.parquet"):
        export_records(RECORDS, tmp_path / "r.xlsx")
    with pytest.raises(TonearmError, match="no records yet"):
        export_records([], tmp_path / "r.csv")
