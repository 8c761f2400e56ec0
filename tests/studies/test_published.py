"""Registry of published studies: each is a package with the functions that the command calls."""

import sys
from importlib import import_module
from inspect import signature
from pathlib import Path
from types import SimpleNamespace

import pytest

from tonearm import studies
from tonearm.studies.published import STUDIES, PublishedStudy


def parameters(function):
    return list(signature(function).parameters)


@pytest.mark.parametrize("name", STUDIES)
def test_a_registered_study_is_a_package_of_its_name_with_the_functions(name):
    published = STUDIES[name]
    design, study = (import_module(f"tonearm.studies.{name}.{one}") for one in ("design", "study"))
    assert published.name == name == study.NAME and published.summary
    assert (design.SMOKE.name, design.WHOLE.name) == ("smoke", "whole")
    expected = ["model", "folder", "design", "settings", "progress", *published.options]
    assert parameters(study.run_study) == expected
    assert parameters(study.estimate) == ["model", "design", *published.options]
    assert parameters(study.report) == ["folder", "page"]


def test_every_package_with_a_study_is_registered():
    packages = {file.parent.name for file in Path(studies.__file__).parent.glob("*/study.py")}
    assert packages == set(STUDIES)


@pytest.mark.parametrize(("smoke", "design"), [(True, "a few"), (False, "all")])
def test_a_study_gets_its_sizes_and_its_options(monkeypatch, smoke, design):
    calls = []

    def called(*arguments, **options):
        calls.append((*arguments, options))
        return "result"

    functions = dict.fromkeys(("run_study", "estimate", "report"), called)
    for module, content in (("design", {"SMOKE": "a few", "WHOLE": "all"}), ("study", functions)):
        name = f"tonearm.studies.planted.{module}"
        monkeypatch.setitem(sys.modules, name, SimpleNamespace(**content))
    planted = PublishedStudy("planted", "of nothing", ("genres",))
    assert planted.run("model", "folder", smoke, "settings", "progress", genres="here") == "result"
    assert planted.estimate("model", smoke, genres="here") == "result"
    assert planted.report("folder", "page") == "result"
    assert calls == [
        ("model", "folder", design, "settings", "progress", {"genres": "here"}),
        ("model", design, {"genres": "here"}),
        ("folder", "page", {}),
    ]
