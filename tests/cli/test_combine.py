"""--combine: the rule for several steers, on the command line."""

import json

import pytest

from tests.steering.test_combination import turned
from tonearm import save_vector
from tonearm.generation.provenance import read_sidecar

PAIR = ("--steer", "energy=raw:0.8", "--steer", "other=0.6@rotate")


@pytest.fixture
def other(folder, energy):
    save_vector(turned(energy, 0.3, "other"), folder / "other.safetensors")


@pytest.mark.parametrize(
    ("rule", "strengths", "printed"),
    [
        ("none", [0.8, 0.6], ""),
        ("mean", [0.4, 0.3], "combined by mean: strengths of add, blend, rotate, slerp times 0.5"),
        ("sqrt", [0.8 / 2**0.5, 0.6 / 2**0.5], "times 0.707"),
        ("orthogonal", [0.8, 0.6], "each keeps what is orthogonal to those before"),
    ],
)
def test_the_rule_is_printed_and_carried_out(play, folder, other, rule, strengths, printed):
    outcome = play(*PAIR, "--combine", rule, "-o", "a.wav")
    assert outcome.code == 0 and outcome.err == "", outcome.err
    assert printed in " ".join(outcome.out.split())
    assert ("combined by" in outcome.out) == bool(printed)
    recorded = read_sidecar(folder / "a.json")
    assert [one.strength for one in recorded.steering.steers] == pytest.approx(strengths)
    assert recorded.stated_steering.combine == rule


def test_the_rule_of_a_file_holds_unless_another_is_given(play, folder, other):
    steers = [{"vector": "energy", "strength": 0.8}, {"vector": "other", "strength": 0.6}]
    (folder / "x.json").write_text(json.dumps({"combine": "mean", "steers": steers}))
    for options, expected in (((), "mean"), (("--combine", "sqrt"), "sqrt")):
        assert play("--steering", "x.json", *options, "-o", "a.wav", "--force").code == 0
        assert read_sidecar(folder / "a.json").requested.combine == expected
    assert play("--steering", "x.json", "--combine", "none", "-o", "a.wav", "--force").code == 0
    assert [one.strength for one in read_sidecar(folder / "a.json").steering.steers] == [0.8, 0.6]


def test_every_steering_of_a_comparison_has_the_rule(run, tiny, folder, other):
    outcome = run(
        *("compare", "a folk tune", "--seconds", 0.5, "--seed", 7, "--out", "compared", *PAIR),
        *("--also", "energy=raw:0.5,other=raw:0.5", "--combine", "mean", *tiny()),
    )
    assert outcome.code == 0, outcome.err
    for name in ("steered-1", "steered-2"):
        assert read_sidecar(folder / "compared" / f"{name}.json").requested.combine == "mean"
    assert "(mean)" in (folder / "compared" / "index.html").read_text()


def test_one_knob_is_one_line_on_stderr(play, folder, energy):
    save_vector(turned(energy, 0.9, "other"), folder / "other.safetensors")
    outcome = play(*PAIR, "-o", "a.wav")
    assert outcome.code == 0 and outcome.err.count("\n") == 1
    assert outcome.err.startswith("tonearm: warning: energy and other are one knob: the cosine")


def test_an_unknown_rule_is_one_line(play, other):
    outcome = play(*PAIR, "--combine", "sum")
    assert outcome.code == 2 and outcome.err.count("\n") == 1
    assert "combine" in outcome.err and "'mean' or 'orthogonal' (given: 'sum')" in outcome.err
