"""Latency benchmark of the studio: its tables, and a short run in Chromium."""

import pytest
from benchmarks import studio
from benchmarks.studio import measure, p95, tables

FOUND = {
    "moves": [{"to_sample": 0.1 * i, "round_trip": 0.01, "whole": i < 3} for i in range(1, 5)],
    "starts": [6.0],
    "loads": [0.5, 0.6, 0.9],
    "lost": 0,
    "seconds": 60.0,
    "played": 60.0,
    "underruns": 1,
    "dropped": 0,
    "server_cores": 0.5,
    "browser_cores": 0.25,
    "speed": 2.0,
    "least_speed": 1.5,
    "mode": "live",
    "lead": 0.2,
    "lookahead": 0.3,
    "device_latency": 0.04,
    "machine": "a machine",
}


def test_the_95th_percentile_is_a_value():
    assert p95(range(1, 101)) == 95
    assert p95([3.0]) == 3.0
    assert p95([2.0, 1.0]) == 2.0


def test_the_table_has_the_moves_during_which_nothing_was_late():
    lines = tables(FOUND)
    assert (
        "| slider to the sample from which the change sounds | 2 | 150 ms | 200 ms | 200 ms |"
        in lines
    )
    assert "| opening of the page to the first sound | 3 | 0.60 s | 0.90 s | 0.90 s |" in lines
    assert "| underruns | 1 |" in lines


@pytest.mark.slow
@pytest.mark.browser
def test_a_short_run_measures_everything(browser, tmp_path, monkeypatch):
    monkeypatch.setattr(studio, "STARTS", 1)
    monkeypatch.setattr(studio, "LOADS", 1)
    monkeypatch.setattr(studio, "PLAY_IN", 1.0)
    found = measure(browser, tmp_path, ["--seed", "1", "--mode", "live"], seconds=8.0, seed=1)
    assert found["moves"] and found["lost"] == 0 and found["played"] > 0
    assert all(one["to_sample"] > 0 and one["round_trip"] > 0 for one in found["moves"])
    assert found["server_cores"] > 0 and found["browser_cores"] > 0
    assert found["starts"][0] > found["loads"][0] > 0
    assert len(tables(found)) > 10
