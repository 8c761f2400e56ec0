"""Calibration of amounts: which strength is chosen, and what makes a sign fail.

The rules are tested on planted records; `tests/acceptance` runs a calibration on pocket.
"""

import numpy as np
import pytest

import tonearm.studies.calibration as calibration
from tests.steering.vectors import vector_of
from tonearm import TonearmError
from tonearm.steering import Configuration
from tonearm.steering.vector import SteeringVector
from tonearm.studies.calibration import Limits, calibrate, reader, strength_at_limit
from tonearm.studies.knob_tables import AMOUNTS, response_of

CHOOSING = [f"a folk tune {i}" for i in range(20)]
CONFIRMING = [f"a jazz tune {i}" for i in range(30)]


def record(onsets, faulty=False, pulse=0.7, clap=0.3, loudness=-20.0):
    return {
        "onset_rate": {"value": onsets},
        "loudness": {"value": loudness},
        "pulse_clarity": {"value": pulse},
        "clap_score": {"value": clap},
        "faulty": faulty,
    }


class Planted:
    """Stands in for generation: records as functions of the steers' strength.

    effect, faulty, pulse and clap map a signed strength, relative to that of the largest push, to
    the change of the onset rate, the share of faulty takes, pulse clarity and CLAP score; late is
    the share of the effect that is left in late excerpts.
    """

    def __init__(
        self,
        effect,
        faulty=lambda s: 0.0,
        pulse=lambda s: 0.7,
        clap=lambda s: 0.3,
        loudness=lambda s: -20.0,
        late=1.0,
    ):
        self.effect, self.faulty, self.pulse, self.clap = effect, faulty, pulse, clap
        self.loudness, self.late = loudness, late
        self.settings = []  # names by call
        self.stages = []

    def __call__(self, model, name, settings, prompts, vectors, folder, **_):
        count = len(prompts.texts)
        noise = np.random.default_rng(count).normal(0, 0.05, count)
        self.settings.append([setting.name for setting in settings])
        self.stages.append(name.rpartition(", ")[2])
        return {
            setting.name: [
                record(
                    (3 + noise[i]) * (1 + kept * self.effect(strength)),
                    (i + 1) / count <= self.faulty(strength),
                    self.pulse(strength),
                    self.clap(strength),
                    self.loudness(strength),
                )
                for i in range(count)
            ]
            for setting in settings
            for strength in [sum(steer.raw_strength for steer in setting.steering.steers)]
            for kept in [self.late if setting.excerpt and setting.excerpt[0] > 0 else 1.0]
        }


@pytest.fixture
def vector(melody):
    found = vector_of(melody, "push")
    norms = {layer: float(found[layer].norm()) for layer in found.layers}
    info = found.info.model_copy(update={"activation_norms": norms, "best_layer": 1})
    return SteeringVector(found.directions, info)


def calibrated(monkeypatch, melody, vector, planted, **arguments):
    monkeypatch.setattr(calibration, "run_settings", planted)
    arguments = {"pushes": (0.1, 0.2, 0.4, 0.8), **arguments}
    found = calibrate(melody, vector, "onset_rate", CHOOSING, CONFIRMING, **arguments)
    return found.info.calibration


def strength_of(vector, melody, push):
    """Strength of a push, one-to-all from layer 1."""
    layers = range(melody.shape.layer_count)
    return push * sum(float(vector[i].norm()) for i in layers) / (len(layers) * vector.norms()[1])


def test_the_farthest_strength_with_whole_music_becomes_the_amount_of_1(
    monkeypatch, melody, vector
):
    """Pulse clarity that falls in proportion to the strength reaches its limit at half the way."""
    half = strength_of(vector, melody, 0.4)
    planted = Planted(effect=lambda s: s, pulse=lambda s: 0.7 * (1 - 0.1 * abs(s / half)))
    found = calibrated(monkeypatch, melody, vector, planted)
    for sign, signed in ((1, found.positive), (-1, found.negative)):
        assert signed.strength == pytest.approx(half, rel=0.01)
        assert signed.configuration == Configuration(source_layer=1)
        evidence = signed.evidence
        assert evidence.prompts == len(CONFIRMING) and evidence.measure == "onset_rate"
        assert evidence.effect == pytest.approx(sign * half, rel=0.01)
        assert evidence.low <= evidence.effect <= evidence.high
        assert evidence.pulse_ratio == pytest.approx(0.9, abs=0.01)
        assert evidence.faulty_steered == evidence.text_loss == 0


def test_without_damage_the_largest_strength_tried_is_taken(monkeypatch, melody, vector):
    found = calibrated(monkeypatch, melody, vector, Planted(effect=lambda s: s))
    expected = strength_of(vector, melody, 0.8)
    assert found.positive.strength == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (dict(faulty=lambda s: 0.5 * (s != 0)), "50 points more takes have a fault"),
        (dict(pulse=lambda s: 0.35 if s else 0.7), "the pulse clarity falls by 50%"),
        (dict(clap=lambda s: 0.2 if s else 0.3), "the CLAP score falls by 0.10"),
    ],
)
def test_a_sign_whose_every_strength_damages_the_music_fails(
    monkeypatch, melody, vector, damage, reason
):
    found = calibrated(monkeypatch, melody, vector, Planted(lambda s: 5 * s, **damage))
    for signed in (found.positive, found.negative):
        assert signed.strength is None and reason in signed.failure


def test_a_vector_that_moves_both_signs_the_same_way_has_one_sign(monkeypatch, melody, vector):
    found = calibrated(monkeypatch, melody, vector, Planted(effect=abs))
    assert found.positive.strength is not None
    assert found.negative.strength is None and "no significant effect" in found.negative.failure


def test_a_vector_without_an_effect_fails(monkeypatch, melody, vector):
    found = calibrated(monkeypatch, melody, vector, Planted(effect=lambda s: 0.0))
    assert "no significant effect" in found.positive.failure
    assert "no significant effect" in found.negative.failure


def test_a_strength_that_other_prompts_do_not_confirm_is_reduced(monkeypatch, melody, vector):
    limit = strength_of(vector, melody, 0.55)

    class Optimistic(Planted):
        def __call__(self, model, name, settings, prompts, *others, **options):
            self.faulty = (
                (lambda s: 0.0)
                if len(prompts.texts) == len(CHOOSING)
                else (lambda s: 0.5 * (abs(s) > limit))
            )
            return super().__call__(model, name, settings, prompts, *others, **options)

    planted = Optimistic(effect=lambda s: s)
    found = calibrated(monkeypatch, melody, vector, planted)
    expected = strength_of(vector, melody, 0.8) * 0.8**2
    assert found.positive.strength == pytest.approx(expected, rel=0.01)
    sizes = [
        len(names)
        for names, stage in zip(planted.settings, planted.stages, strict=True)
        if stage in ("choosing", "confirming")
    ]
    assert sizes == [1 + 8, *[2] * 6]


def test_the_configuration_with_the_most_effect_at_its_limit_is_taken(monkeypatch, melody, vector):
    class ByStrategy(Planted):
        def __call__(self, model, name, settings, *others, **options):
            both = {}
            for setting in settings:
                own = all(s.strategy == "all-to-all" for s in setting.steering.steers)
                self.effect = (lambda s: 2 * s) if own else (lambda s: s)
                both |= super().__call__(model, name, [setting], *others, **options)
            return both

    own = Configuration(strategy="all-to-all")
    planted = ByStrategy(effect=None)
    found = calibrated(monkeypatch, melody, vector, planted, configurations=(Configuration(), own))
    assert found.positive.configuration == found.negative.configuration == own


def test_takes_of_a_prompt_are_averaged_and_the_prompt_stays_the_unit(monkeypatch, melody, vector):
    """A second take of each prompt that cancels the noise of the first leaves no interval."""

    class TwoTakes(Planted):
        def __call__(self, model, name, settings, prompts, *others, **options):
            found = super().__call__(model, name, settings, prompts, *others, **options)
            half = len(prompts.texts) // 2
            if name.endswith("drift"):
                return found
            assert prompts.texts[:half] == prompts.texts[half:]
            for records in found.values():
                for first, second in zip(records[:half], records[half:], strict=True):
                    mean = 3 * (1 + self.effect(self.strength(records, found)))
                    second["onset_rate"]["value"] = 2 * mean - first["onset_rate"]["value"]
            return found

        def strength(self, records, found):
            (name,) = [name for name in found if found[name] is records]
            return 0.0 if name == "plain" else float(name.split("|")[0].split()[-1])

    planted = TwoTakes(effect=lambda s: s)
    found = calibrated(monkeypatch, melody, vector, planted, takes=2)
    evidence = found.positive.evidence
    assert evidence.prompts == len(CONFIRMING)
    assert evidence.low == pytest.approx(evidence.high) == pytest.approx(found.positive.strength)
    with pytest.raises(TonearmError, match="takes is 0; give 1 or more"):
        calibrated(monkeypatch, melody, vector, planted, takes=0)


def test_a_sign_that_passes_has_its_response_in_the_unit_of_the_measure(
    monkeypatch, melody, vector
):
    """A response that saturates: half of the amount has three quarters of the effect."""
    limit = strength_of(vector, melody, 0.8)

    def effect(strength):
        share = strength / limit
        return share * (2 - abs(share)) / 3

    found = calibrated(monkeypatch, melody, vector, Planted(effect=effect))
    for sign, signed in ((1, found.positive), (-1, found.negative)):
        response = signed.response
        assert response.unit == "onsets" and response.prompts == len(CONFIRMING)
        assert response.plain == pytest.approx(3, abs=0.05)
        assert response.limit == pytest.approx(sign * 1.0, rel=0.02)
        assert response.effect_at(0.5) == pytest.approx(sign * 0.75, rel=0.02)
        assert response.amount_for(sign * 0.75) == pytest.approx(0.5, abs=0.02)
        with pytest.raises(TonearmError, match="outside the range, 0 to"):
            response.amount_for(sign * 1.2)


def test_a_response_never_turns_back(monkeypatch, melody, vector):
    """The mean of neighbours that fall is their common level, so that a target has one amount."""
    limit = strength_of(vector, melody, 0.8)
    bumps = {0.0: 0.0, 0.25: 0.3, 0.5: 0.1, 0.75: 0.5, 1.0: 0.6}

    def effect(strength):
        return np.sign(strength) * np.interp(
            abs(strength) / limit, list(bumps), list(bumps.values())
        )

    response = calibrated(monkeypatch, melody, vector, Planted(effect=effect)).positive.response
    effects = [point.effect for point in response.points]
    assert effects == sorted(effects)
    assert response.effect_at(0.3) == pytest.approx(0.2 * 3, rel=0.05)


def test_what_else_moves_and_how_much_is_left_are_stored(monkeypatch, melody, vector):
    limit = strength_of(vector, melody, 0.8)
    planted = Planted(effect=lambda s: s, loudness=lambda s: -20 + 2 * s / limit, late=0.4)
    signed = calibrated(monkeypatch, melody, vector, planted).positive
    leak = signed.leakage["loudness"]
    assert leak.unit == "lu" and leak.is_certain
    assert leak.change == pytest.approx(2, abs=0.01)
    assert not signed.leakage["clap_score"].is_certain
    assert "onset_rate" not in signed.leakage
    assert signed.drift.kept == pytest.approx(0.4, rel=0.02)
    assert signed.drift.prompts == 10


def test_a_sign_that_fails_has_no_tables(monkeypatch, melody, vector):
    planted = Planted(effect=lambda s: 0.0)
    signed = calibrated(monkeypatch, melody, vector, planted).positive
    assert signed.response is None and signed.drift is None and not signed.leakage
    assert not {"response", "drift"} & set(planted.stages)


def test_configurations_are_compared_at_equal_added_norm(monkeypatch, melody, vector):
    """Half of the layers get twice the strength."""
    strengths = []

    class Recorded(Planted):
        def __call__(self, model, name, settings, *others, **options):
            strengths.append(
                {
                    steer.layers: steer.raw_strength
                    for setting in settings
                    for steer in setting.steering.steers
                    if steer.raw_strength > 0
                }
            )
            return super().__call__(model, name, settings, *others, **options)

    norms = dict.fromkeys(vector.layers, 1.0)
    unit = {layer: row / row.norm() for layer, row in vector.directions.items()}
    info = vector.info.model_copy(update={"activation_norms": norms})
    vector = SteeringVector(unit, info)
    half = tuple(vector.layers)[: len(vector.layers) // 2]
    configurations = [
        Configuration(strategy="all-to-all", layers=layers)
        for layers in (tuple(vector.layers), half)
    ]
    calibrated(
        monkeypatch,
        melody,
        vector,
        Recorded(effect=lambda s: s),
        configurations=configurations,
        pushes=(0.1,),
    )
    ratio = len(vector.layers) / len(half)
    assert strengths[0][half] == pytest.approx(0.1 * ratio)
    assert strengths[0][tuple(vector.layers)] == pytest.approx(0.1)


@pytest.mark.parametrize("strategy", ["one-to-one", "all-to-all"])
def test_alpha_of_blend_is_found_around_the_component_of_the_activations(
    monkeypatch, melody, vector, strategy
):
    """The pulse reaches its limit at 0.4 of the component on the positive side, 0.2 on the other."""
    layers = range(melody.shape.layer_count)
    update = {
        "positive_projections": dict.fromkeys(layers, 7.0),
        "negative_projections": dict.fromkeys(layers, 1.0),
    }  # a component of 5
    vector = SteeringVector(vector.directions, vector.info.model_copy(update=update))
    planted = Planted(
        effect=lambda s: s / 10,
        pulse=lambda s: 0.7 * (1 - 0.1 * abs(s) / (2.0 if s > 0 else 1.0)),
    )
    configuration = Configuration(operator="blend", strategy=strategy)
    found = calibrated(
        monkeypatch, melody, vector, planted, configurations=(configuration,), factors=(0.1, 0.5, 1)
    )
    assert found.positive.strength == pytest.approx(2.0, rel=0.01)
    assert found.negative.strength == pytest.approx(1.0, rel=0.01)
    assert f"blend {strategy}: α at 0.1 to 1 times 5, the component" in found.protocol
    info = vector.info.model_copy(update={"calibration": found})
    vector = SteeringVector(vector.directions, info)
    for amount, strength in ((1, found.positive.strength), (-0.5, -found.negative.strength / 2)):
        by_amount = melody.generate("a tune", steer={vector: amount}, seconds=0.2, seed=1)
        (steer,) = by_amount.provenance.steering.steers
        assert (steer.operator, steer.strategy) == ("blend", strategy)
        assert steer.strength == pytest.approx(strength)


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        ([0.0, 0.0, 0.1, 0.3], 0.25),  # halfway from 0.2 to 0.3
        ([0.1, 0.2, 0.3, 0.4], 0.05),  # from 0 without steering
        ([0.06, 0.0, 0.0, 0.1], 0.3375),  # the first three are one level of 0.02
        ([-0.2, -0.1, 0.0, 0.04], 0.4),  # not reached
        ([float("nan"), 0.0, float("nan"), 0.1], 0.3),  # between those that are known
        ([float("nan")] * 4, 0.4),
    ],
)
def test_a_strength_at_a_limit_is_read_from_damage_that_never_falls(damage, expected):
    found = strength_at_limit([0.1, 0.2, 0.3, 0.4], damage, 0.05)
    assert found == pytest.approx(expected)


def test_limits_are_those_given(monkeypatch, melody, vector):
    planted = Planted(effect=lambda s: 5 * s, faulty=lambda s: 0.5 * (s != 0))
    limits = Limits(fault_gain=1.0)
    found = calibrated(monkeypatch, melody, vector, planted, limits=limits)
    assert found.positive.strength == pytest.approx(strength_of(vector, melody, 0.8), rel=0.01)


def test_measures_of_tags_and_texts_are_read_from_records():
    record = {"tags": {"flute": 0.4}, "embedding": None}
    assert reader("tag:flute")(record) == 0.4
    assert reader("tag:flute")({"tags": None}) is None
    assert reader("clap:jazz")(record) is None
    for wrong, message in (
        ("tag:kazoo", "no tag 'kazoo'"),
        ("loudnes", "no measure 'loudnes'"),
        ("clap:", "no measure"),
    ):
        with pytest.raises(TonearmError, match=message):
            reader(wrong)


def test_prompts_that_choose_do_not_confirm(melody, vector):
    with pytest.raises(TonearmError, match="without one in common"):
        calibrate(melody, vector, "onset_rate", CHOOSING, CHOOSING)
    with pytest.raises(TonearmError, match="2 or more"):
        calibrate(melody, vector, "onset_rate", CHOOSING, CONFIRMING[:1])


def test_a_vector_without_activation_norms_is_refused(melody):
    with pytest.raises(TonearmError, match="no activation norms"):
        calibrate(melody, vector_of(melody, "push"), "onset_rate", CHOOSING, CONFIRMING)


def test_levels_are_compared_by_their_difference():
    """The ratio of two levels in decibels means nothing, and turns its sign below 0 dB."""
    from tonearm.stats.effect import effect
    from tonearm.steering.calibration import DIFFERENCES
    from tonearm.steering.units import unit_of

    for measure in ("loudness", "high_onset_level"):
        assert measure.startswith(DIFFERENCES) and unit_of(measure).scale == "difference"
    louder = effect([-20, -21, -19], [-14, -15, -13], "difference")
    assert louder.change == pytest.approx(6)


def test_an_amount_without_the_measure_is_left_out_of_the_response():
    """Fewer than two prompts have it there; the others carry the table."""
    plain = [[record(3.0)] for _ in range(5)]
    unknown = [[record(None)] for _ in range(5)]
    steered = [[[record(3.0 + amount)] for _ in range(5)] for amount in AMOUNTS]
    value_of = reader("onset_rate")
    found = response_of(plain, [unknown, *steered[1:]], value_of, "onset_rate")
    assert found.limit == pytest.approx(1) and found.effect_at(0.5) == pytest.approx(0.5)
    assert response_of(plain, [*steered[:3], unknown], value_of, "onset_rate") is None


def test_a_damage_that_cannot_be_measured_is_a_failure(monkeypatch, melody, vector):
    """Takes without a pulse clarity, such as short ones: nothing shows that the music stays whole."""
    planted = Planted(effect=lambda s: s, pulse=lambda s: None)
    found = calibrated(monkeypatch, melody, vector, planted)
    assert "the pulse clarity is known of 0 prompts" in found.positive.failure
