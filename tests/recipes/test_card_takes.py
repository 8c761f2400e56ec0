"""Takes of a model card: made once, resumed, and read back by part."""

import numpy as np
import pytest
from recipes.card_takes import card_takes, of_part

from tonearm.generation.request import TakeRequest
from tonearm.studies import measure_groups
from tonearm.studies.measure_groups import Group
from tonearm.studies.plan import Trial
from tonearm.studies.run import Settings


def level(clip):
    return float(np.abs(clip.samples).mean())


def planned(prompt, first, count):
    return [
        Trial(TakeRequest(prompt, first + i, seconds=0.4), {"index": i}, ("level",))
        for i in range(count)
    ]


TRIALS = {"words": planned("a fast tune", 5, 3), "numbers": planned("a slow tune", 5, 2)}


@pytest.fixture
def calls(melody, monkeypatch):
    """Numbers of takes that were made and measured, by call."""
    found = {"made": [], "measured": []}
    generate_batch = type(melody).generate_batch

    def counting(self, requests, **options):
        found["made"].append(len(requests))
        return generate_batch(self, requests, **options)

    def measure(requests):
        found["measured"].append(len(requests))
        return [{"level": level(request.clip)} for request in requests]

    monkeypatch.setattr(type(melody), "generate_batch", counting)
    monkeypatch.setitem(
        measure_groups.LOADERS, "level", lambda: Group("level", "planted", False, measure)
    )
    measure_groups.group.cache_clear()
    yield found
    measure_groups.group.cache_clear()


def records_and_levels(model, folder, **settings):
    with card_takes(TRIALS, model, folder, Settings(workers=0, **settings)) as found:
        levels = [level(found.clip(record)) for record in found.records]
        return {part: of_part(found, part) for part in TRIALS}, levels


def test_takes_are_made_and_measured_once_and_read_back_by_part(melody, calls, tmp_path):
    by_part, levels = records_and_levels(melody, tmp_path)
    assert [record["index"] for record in by_part["words"]] == [0, 1, 2]
    assert [record["index"] for record in by_part["numbers"]] == [0, 1]
    assert [record["level"] for part in by_part.values() for record in part] == levels
    assert len(set(levels)) == 5
    assert records_and_levels(melody, tmp_path) == (by_part, levels)
    assert sum(calls["made"]) == sum(calls["measured"]) == 5


def test_a_run_that_its_limit_stops_continues_with_the_rest(melody, calls, tmp_path):
    for limit, there in ((2, 2), (2, 4)):
        with pytest.raises(SystemExit, match=f"unchanged: {there} of 5 takes are there"):
            records_and_levels(melody, tmp_path, limit=limit)
    by_part, _ = records_and_levels(melody, tmp_path, limit=2)
    assert {part: len(records) for part, records in by_part.items()} == {"words": 3, "numbers": 2}
    assert sum(calls["made"]) == sum(calls["measured"]) == 5
