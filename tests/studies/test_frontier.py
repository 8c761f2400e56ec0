"""Frontier study: equal pushes, planted records, and the page."""

import pytest

from tests.steering.vectors import vector_of
from tonearm.steering import Configuration, Steer
from tonearm.steering.vector import SteeringVector
from tonearm.studies.frontier import Point, candidates, strength_of
from tonearm.studies.frontier_report import FIGURE, write_report
from tonearm.studies.injection import layers_of, steer_of


@pytest.fixture
def vector(melody):
    found = vector_of(melody, "push")
    norms = {layer: 10.0 + layer for layer in found.layers}
    info = found.info.model_copy(update={"activation_norms": norms, "best_layer": 1})
    return SteeringVector(found.directions, info)


def test_candidates_have_different_names_and_are_valid_steers(melody):
    found = candidates(9, best=5)
    assert len({candidate.name for candidate in found}) == len(found) > 15
    for candidate in found:
        assert steer_of("v", candidate.configuration, 0.1).raw_strength == 0.1


@pytest.mark.parametrize(
    "configuration",
    [
        Configuration(source_layer=1),
        Configuration(strategy="all-to-all"),
        Configuration(strategy="all-to-all", layers=(0, 2)),
        Configuration(strategy="one-to-one", source_layer=2),
        Configuration(operator="rotate", source_layer=0),
    ],
)
def test_every_configuration_adds_the_same_push(melody, vector, configuration):
    strength = strength_of(6.0, configuration, vector, melody.shape)
    targets = layers_of(configuration, vector, melody.shape)
    if configuration.operator == "rotate":
        added = [strength * vector.info.activation_norms[layer] for layer in targets]
    else:
        added = [strength * float(vector[source].norm()) for source in targets.values()]
    assert sum(added) == pytest.approx(6.0)


def test_a_ramp_becomes_a_schedule():
    steer = steer_of("v", Configuration(ramp=1.0, source_layer=0), -0.2)
    assert steer.schedule.factors([0.0, 0.5, 2.0]).tolist() == [0, 0.5, 1]
    assert steer == Steer(vector="v", strength=-0.2, source_layer=0, schedule=steer.schedule)


def test_the_page_has_a_row_per_candidate_and_both_signs(tmp_path):
    points = [
        Point("tempo", name, sign, push, 0.1, 0.3 * sign * push, 0.05, 0.9, 0.01, 1.5)
        for name in ("one-to-all", "all-to-all")
        for sign in (1, -1)
        for push in (1.0, 2.0)
    ]
    plain = {"faulty": 0.1, "pulse_clarity": 0.6, "clap_score": 0.2}
    page = write_report(points, plain, "Protocol: planted.", tmp_path).read_text()
    assert page.count("| **one-to-all** |") == page.count("| all-to-all |") == 2
    assert "| +60% | 5% | 0.90 | -0.010 | 1.50 | -60% |" in page
    assert (tmp_path / FIGURE).stat().st_size > 10_000
