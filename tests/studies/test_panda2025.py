"""The whole study in its smoke size on a tiny checkpoint, with planted measures; and its parts."""

import re

import pytest

from tests.studies.miniature_panda import TINY, plant
from tonearm.errors import TonearmError
from tonearm.methods import vector_of_store
from tonearm.model import Model
from tonearm.studies.measure_groups import group
from tonearm.studies.panda2025 import materials as materials_module
from tonearm.studies.panda2025.study import (
    NAME,
    planned_takes,
    report,
    run_study,
)
from tonearm.studies.run import Settings
from tonearm.studies.store import Store


@pytest.fixture
def model(melody, monkeypatch):
    plant(monkeypatch)
    group.cache_clear()
    yield Model(melody.checkpoint)
    group.cache_clear()


def test_the_smoke_study_makes_every_figure_and_table_and_resumes(model, tmp_path, monkeypatch):
    assert run_study(model, tmp_path, TINY, Settings(workers=0, limit=20)) is None
    with pytest.raises(TonearmError, match="is not complete: stage"):
        report(tmp_path)

    def refuse(*_, **__):
        raise AssertionError("it is made again")

    monkeypatch.setattr(materials_module, "measure_structure", refuse)
    monkeypatch.setattr(vector_of_store, "as_vector", refuse)
    page = run_study(model, tmp_path, TINY, Settings(workers=0))
    text = page.read_text()
    assert "Smoke run" in text and text.count("<svg") >= 10 and text.count("<audio") >= 10
    with Store(tmp_path) as store:
        counts = store.counts(NAME)
        assert all(done == trials for done, trials in counts.values()) and len(counts) == 6
        made = int(store.throughput()["takes"])
        records = store.records(NAME)
    assert 0.6 < planned_takes(TINY, True) / made < 2
    experiments = {record["experiment"] for record in records}
    assert {
        "strengths",
        "ridge",
        "forms",
        "equal divergence",
        "random",
        "instruments",
    } <= experiments
    monkeypatch.setattr(Model, "generate_batch", refuse)
    before = (tmp_path / "report.md").read_text()
    assert report(tmp_path, tmp_path / "docs" / "study.md") == page
    assert (tmp_path / "report.md").read_text() == before
    copy = (tmp_path / "docs" / "study.md").read_text()
    links = re.findall(r"!\[.*?\]\((.+?)\)", copy) + re.findall(r'src="(.+?)"', copy)
    assert len(links) >= 20 and all((tmp_path / "docs" / link).is_file() for link in links)
    (tmp_path / "given.jsonl.xz").write_bytes(b"no xz")
    with pytest.raises(TonearmError, match="missing or damaged; delete it and run the study again"):
        report(tmp_path)
