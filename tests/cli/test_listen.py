"""tonearm listen: a test is made of takes, and results are analysed."""

import json
import re

import numpy as np
import pytest

from tests.listening.conftest import write_takes
from tests.listening.listeners import result_of, write
from tonearm.listening import read_key


@pytest.fixture
def takes(folder):
    return write_takes(folder / "takes")


def answered(folder, behaviour, people=3):
    key = read_key(folder)
    for number in range(people):
        write(result_of(key, f"L{number}", behaviour), folder / "results" / f"{number}.json")


def test_a_test_is_made_and_described_in_80_columns(run, takes):
    made = run("listen", "make", "abx", "takes", "--out", "test", "--items", 2, "--seed", 5)
    assert made.code == 0, made.err
    for words in ("abx, 4 trials, about 2 min", "fast; random", "2 of 4", "LUFS", "keep it from"):
        assert words in made.out
    assert max(map(len, made.out.splitlines())) <= 80
    assert (takes.parent / "test" / "page" / "index.html").is_file()


def test_json_states_the_design(run, takes):
    made = json.loads(run("listen", "make", "mushra", "takes", "--out", "t", "--json").out)
    assert made["reference"] == "plain" and made["anchor"] == "random" and made["trials"] == 4
    assert made["test"] == read_key(takes.parent / "t").test.digest
    assert made["items_available"] == 4


@pytest.mark.parametrize(
    ("kind", "options", "behaviour", "said"),
    [
        ("abx", (), lambda shown: shown[:2].index(shown[2]), r"fast +12 of 12 +1.00 +\[0.74, 1.00\]"),
        ("2afc", ("--question", "Which is louder?", "--pairs", "all"),
         lambda shown: int("fast" in shown[1:]), r"fast +plain +1.00"),
        ("mushra", (), lambda shown: [{"plain": 98, "fast": 70, "random": 9}[one] for one in shown],
         r"fast +70.0 +\[70.0, 70.0\] +-28.0"),
    ],
)  # fmt: skip
def test_results_are_analysed_in_80_columns_and_as_json(run, takes, kind, options, behaviour, said):
    assert run("listen", "make", kind, "takes", "--out", "test", *options).code == 0
    answered(takes.parent / "test", behaviour)
    found = run("listen", "analyse", "test", "test/results")
    assert found.code == 0, found.err
    assert re.search(said, found.out), found.out
    assert max(map(len, found.out.splitlines())) <= 80
    content = json.loads(run("listen", "analyse", "test", "test/results", "--json").out)
    assert content["listeners"] == ["L0", "L1", "L2"] and content["kind"] == kind


def test_those_left_out_and_excluded_are_named(run, takes):
    run("listen", "make", "mushra", "takes", "--out", "test")
    folder = takes.parent / "test"
    rng = np.random.default_rng(0)
    answered(
        folder, lambda shown: [95 if one == "plain" else int(rng.integers(80)) for one in shown]
    )
    key = read_key(folder)
    lazy = result_of(key, "L9", lambda shown: [50] * len(shown))
    write(lazy, folder / "results" / "9.json")
    early = result_of(key, "early", lambda shown: [50] * len(shown), answered=1)
    write(early, folder / "results" / "early.json")
    found = run("listen", "analyse", "test", "test/results")
    assert "incomplete: early" in found.out
    assert "L9: hidden reference below 90" in " ".join(found.out.split())
    assert "3, 12 answers" in found.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("make", "abx", "nowhere", "--out", "t"), "no folder at nowhere"),
        (("make", "axb", "takes", "--out", "t"), "kind 'axb' is not known"),
        (("make", "2afc", "takes", "--out", "t"), "give --question"),
        (("make", "abx", "takes", "--out", "takes"), "takes is not empty"),
        (("make", "abx", "takes", "--out", "t", "--excerpt", "2"), "no A-B"),
        (
            ("make", "abx", "takes", "--out", "t", "--excerpt", "5-9"),
            "excerpt from 5 s on needs at least",
        ),
        (("make", "abx", "takes", "--out", "t", "--condition", "a"), "is not NAME=FACT:VALUE"),
        (("make", "abx", "takes", "--out", "t", "--study", "x"), "--study applies to the run"),
        (("analyse", "takes", "fast.txt"), "no key of a listening test at takes/key.json"),
        (("analyse", "test", "fast.txt"), "cannot read fast.txt as JSON"),
        (("analyse", "test", "test/key.json"), "test/key.json: kind"),
    ],
)
def test_mistakes_are_one_line(run, takes, arguments, said):
    run("listen", "make", "abx", "takes", "--out", "test")
    outcome = run("listen", *arguments)
    assert outcome.code == 2 and outcome.out == ""
    assert outcome.err.count("\n") == 1 and said in outcome.err
