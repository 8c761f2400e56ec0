"""Calibration of a vector's amounts: how far each sign goes within the damage limits.

For every sign, strengths of a geometric grid in units of the vector's activations
(tonearm/studies/strength_grids.py) are tried on a set of prompts, with unsteered takes of the same
prompts and seeds. Three kinds of damage are measured:

    faults      gain in the share of takes with a fault, at most 3 points
    pulse       loss of mean pulse clarity, at most a tenth
    text        loss of the CLAP score of take and prompt, at most 0.03

Each is noisy over tens of prompts, so it is fitted over all strengths by a function that never
falls (isotonic regression), and the strength of an amount of 1 is the largest at which no fitted
damage exceeds its limit by more than half its standard error, within the grid. Of several
configurations, the one with the most effect there is taken.

The strength is then tried on prompts that did not choose it. It is confirmed where the measure of
the attribute moves the right way beyond its 95 % interval and no damage exceeds its limit by more
than its standard error; what is measured there is the evidence. Otherwise four fifths of the
strength are tried, `CONFIRMATIONS` times in all, and then the sign fails.

A sign that passes gets the tables of its knob (knob_tables.py): the response over amounts, which
gives targets in physical units a meaning, the leakage to other measures, and the drift.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import isfinite, nan
from pathlib import Path
from statistics import fmean

import numpy as np

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.evaluators.load import default_tagger, load_clap
from tonearm.model import Model
from tonearm.stats.effect import Effect, Scale, effect
from tonearm.steering import (
    Calibration,
    Configuration,
    Evidence,
    SignCalibration,
    Steering,
    SteeringVector,
)
from tonearm.steering.calibration import DIFFERENCES
from tonearm.studies.injection import steer_of
from tonearm.studies.knob_tables import by_prompt, means_of, with_tables
from tonearm.studies.measure_groups import NUMBERS, with_groups_of
from tonearm.studies.records import Record
from tonearm.studies.steered_takes import Prompts, Setting, run_settings
from tonearm.studies.strength_grids import FACTORS, PUSHES, strength_grid
from tonearm.text import quoted

# standard errors of a damage beyond its limit, when a strength is chosen and when it is confirmed
CHOICE_TOLERANCE, CONFIRMATION_TOLERANCE = 0.5, 1.0
CONFIRMATIONS, STEP_BACK = 4, 0.8
GROUPS = ("signal", "beats", "clap")
# more, by the kind of the measure
# of attributes, by the name of the vector
MEASURES = {
    "tempo": "bundled_tempo",
    "brightness": "spectral_centroid",
    "loudness": "loudness",
    "density": "onset_rate",
    "energy": "tag:loud",
    "drums": "high_onset_level",
}
SIGNS = {1: "positive", -1: "negative"}
FIRST_SEED, CONFIRMATION_SEED = 7000, 8000


@dataclass(frozen=True)
class Limits:
    """What counts as whole music, against plain takes of the same prompts and seeds."""

    fault_gain: float = 0.03
    pulse_loss: float = 0.1
    text_loss: float = 0.03


@dataclass(frozen=True)
class Outcome:
    """One strength of one configuration and sign, against plain takes.

    change        of the measure of the attribute
    faults        change of the share of takes with a fault, a difference
    pulse         change of mean pulse clarity, relative
    text          change of the CLAP score of take and prompt, a difference
    faulty_plain  share of plain takes with a fault
    plain         mean of the measure without steering
    """

    sign: int
    configuration: Configuration
    strength: float
    change: Effect
    faults: Effect
    pulse: Effect
    text: Effect
    faulty_plain: float
    plain: float

    def failure(self, limits: Limits) -> str:
        """Why the strength is not confirmed, in words; empty where it is."""
        low, high = sorted((self.sign * self.change.low, self.sign * self.change.high))
        if not low > 0:
            effect_there = self.sign * self.change.change
            return f"no significant effect: {effect_there:+.2g} [{low:+.2g}, {high:+.2g}]"
        for name, damage in (("pulse clarity", self.pulse), ("CLAP score", self.text)):
            if not isfinite(damage.change):
                return f"the {name} is known of {damage.n} prompts, too few to compare"
        if _tolerated(self.faults, 1, CONFIRMATION_TOLERANCE) > limits.fault_gain:
            return f"{100 * self.faults.change:.0f} points more takes have a fault"
        if _tolerated(self.pulse, -1, CONFIRMATION_TOLERANCE) > limits.pulse_loss:
            return f"the pulse clarity falls by {-self.pulse.change:.0%}"
        if _tolerated(self.text, -1, CONFIRMATION_TOLERANCE) > limits.text_loss:
            return f"the CLAP score falls by {-self.text.change:.2f}"
        return ""

    def evidence(self, measure: str, prompts: int) -> Evidence:
        return Evidence(
            measure=measure,
            plain=round(self.plain, 6),
            steered=round(self.change.mean, 6),
            effect=round(self.change.change, 6),
            low=round(self.change.low, 6),
            high=round(self.change.high, 6),
            faulty_plain=round(self.faulty_plain, 6),
            faulty_steered=round(self.faulty_plain + self.faults.change, 6),
            pulse_ratio=round(1 + self.pulse.change, 6),
            text_loss=round(-self.text.change, 6),
            prompts=prompts,
        )


def calibrate(
    model: Model,
    vector: SteeringVector,
    measure: str,
    choosing: Sequence[str],
    confirming: Sequence[str],
    *,
    configurations: Sequence[Configuration] = (Configuration(),),
    pushes: Sequence[float] = PUSHES,
    factors: Sequence[float] = FACTORS,
    limits: Limits = Limits(),
    seconds: float = 10.0,
    takes: int = 1,
    store: Path | None = None,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> SteeringVector:
    """Calibrate both signs of a vector.

    Args:
        model: the checkpoint of the vector.
        vector: to be calibrated.
        measure: of the attribute: a measure of studies such as spectral_centroid, onset_rate or
            loudness; `tag:<tag>`, a probability by musicnn; or `clap:<text>`, the cosine with a
            text by the bundled CLAP.
        choosing: neutral prompts that choose the strength.
        confirming: other neutral prompts, which confirm it.
        configurations: that are tried; a source layer left out is the vector's best layer.
        pushes: added norms as shares of the activation norm, both summed over all layers, in rising
            order; configurations are so compared at equal force, however many layers they steer.
        factors: of blend, in place of pushes: α as a share of the component of the activations
            along the direction, in rising order.
        limits: of whole music.
        seconds: of each take; faults need 10.
        takes: of each prompt, over which its values are averaged.
        store: folder of a store, from which a stopped calibration continues.
        workers: processes that measure; 0 for this one.
        progress: called with takes done and takes in all, per stage.

    Returns:
        The vector with its calibration. A sign without a strength that passes has the reason.

    Raises:
        TonearmError: an unknown measure, prompts in both sets or too few of them, an operator that
            has no strength to search, or a vector without the scales of its activations.
    """
    value_of = reader(measure)
    if boundary.integer(takes, "takes") < 1:
        raise TonearmError(f"takes is {takes}; give 1 or more per prompt")
    texts = [
        tuple(boundary.text(one, "prompt") for one in given) for given in (choosing, confirming)
    ]
    if min(map(len, texts)) < 2 or set(texts[0]) & set(texts[1]):
        raise TonearmError(
            "calibration needs two sets of 2 or more prompts without one in common; "
            "one chooses the strength and one confirms it"
        )
    configurations = [_with_source(vector, configuration) for configuration in configurations]
    grids = [
        strength_grid(vector, configuration, model.shape, pushes, factors)
        for configuration in configurations
    ]
    trials = [
        (sign, configuration, strength)
        for configuration, grid in zip(configurations, grids, strict=True)
        for strength in grid.strengths
        for sign in SIGNS
    ]

    prompts_of = [
        Prompts(one * takes, seed, seconds, _groups(measure))
        for one, seed in zip(texts, (FIRST_SEED, CONFIRMATION_SEED), strict=True)
    ]

    run_stage = _stages(model, vector, store, workers, progress)

    def outcomes(which: int, tried: Sequence[tuple[int, Configuration, float]]) -> list[Outcome]:
        settings = [Setting("plain", Steering())]
        settings += [
            Setting(f"{steer}|{configuration.model_dump_json()}", Steering(steers=(steer,)))
            for sign, configuration, strength in tried
            for steer in [steer_of(vector.name, configuration, sign * strength)]
        ]
        records = run_stage(("choosing", "confirming")[which], settings, prompts_of[which])
        grouped = {name: by_prompt(found, len(texts[which])) for name, found in records.items()}
        return [
            _outcome(*trial, grouped["plain"], grouped[setting.name], value_of, measure)
            for trial, setting in zip(tried, settings[1:], strict=True)
        ]

    found = outcomes(0, trials)
    signs = {}
    for sign, name in SIGNS.items():
        signed = _calibrated_sign(
            [one for one in found if one.sign == sign],
            lambda one: outcomes(1, [(one.sign, one.configuration, one.strength)])[0],
            limits,
            measure,
            len(texts[1]),
        )
        signs[name] = with_tables(
            signed, sign, vector.name, measure, value_of, prompts_of[1], len(texts[1]), run_stage
        )
    calibration = Calibration(
        **signs,
        protocol=(
            f"{model.shape.public_name} {model.shape.fingerprint}, {measure}, "
            f"{len(texts[0])} prompts to choose and {len(texts[1])} to confirm, "
            f"{takes} takes of {seconds:g} s each on {model.checkpoint.device.type}, seeds from {FIRST_SEED} and {CONFIRMATION_SEED}; "
            f"{'; '.join(dict.fromkeys(grid.description for grid in grids))}; limits: "
            f"{100 * limits.fault_gain:g} points of faulty takes, {limits.pulse_loss:.0%} of the pulse "
            f"clarity, {limits.text_loss:g} of the CLAP score"
        ),
        tables=_tables_protocol(model, measure, len(texts[1]), takes, seconds),
    )
    info = vector.info.model_copy(update={"calibration": calibration})
    return replace(vector, info=info)


def tabulate(
    model: Model,
    vector: SteeringVector,
    prompts: Sequence[str],
    *,
    measure: str | None = None,
    seconds: float = 10.0,
    takes: int = 1,
    store: Path | None = None,
    workers: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> SteeringVector:
    """Measure the tables of a calibrated vector; its strengths and evidence stay.

    Args:
        model: the checkpoint of the vector.
        vector: calibrated.
        prompts: neutral ones that did not choose its strengths.
        measure: of the attribute; default: that of the calibration.
        others: as for `calibrate`.

    Raises:
        TonearmError: a vector without a calibration, or an unknown measure.
    """
    calibration = vector.info.calibration
    if calibration is None:
        raise TonearmError(
            f"vector {vector.name} is not calibrated, so it has no amounts to tabulate; "
            "calibrate it first"
        )
    measure = measure_for(vector) if measure is None else measure
    value_of = reader(measure)
    texts = tuple(boundary.text(one, "prompt") for one in prompts)
    if len(texts) < 2:
        raise TonearmError("tables need 2 or more prompts, better 30")
    all_takes = Prompts(texts * takes, CONFIRMATION_SEED, seconds, _groups(measure))
    run_stage = _stages(model, vector, store, workers, progress)
    signs = {
        name: with_tables(
            calibration.of(sign),
            sign,
            vector.name,
            measure,
            value_of,
            all_takes,
            len(texts),
            run_stage,
        )
        for sign, name in SIGNS.items()
    }
    update = {**signs, "tables": _tables_protocol(model, measure, len(texts), takes, seconds)}
    info = vector.info.model_copy(update={"calibration": calibration.model_copy(update=update)})
    return replace(vector, info=info)


def _tables_protocol(model: Model, measure: str, prompts: int, takes: int, seconds: float) -> str:
    return (
        f"{model.shape.public_name} {model.shape.fingerprint}, {measure}, {prompts} prompts, "
        f"{takes} takes of {seconds:g} s each on {model.checkpoint.device.type}, seeds from "
        f"{CONFIRMATION_SEED}"
    )


def _groups(measure: str) -> tuple[str, ...]:
    return with_groups_of(GROUPS, [measure])


def _stages(
    model: Model,
    vector: SteeringVector,
    store: Path | None,
    workers: int,
    progress: Callable[[int, int], None] | None,
) -> Callable[[str, Sequence[Setting], Prompts], dict[str, list[Record]]]:
    """The function that makes and measures the takes of a stage."""

    def run_stage(
        stage: str, settings: Sequence[Setting], prompts: Prompts
    ) -> dict[str, list[Record]]:
        return run_settings(
            model,
            f"calibration of {vector.name}, {stage}",
            settings,
            prompts,
            {vector.name: vector},
            store,
            workers=workers,
            progress=progress,
        )

    return run_stage


def _calibrated_sign(
    outcomes: Sequence[Outcome],
    confirm: Callable[[Outcome], Outcome],
    limits: Limits,
    measure: str,
    prompts: int,
) -> SignCalibration:
    """Choose the strength of one sign from its outcomes, and confirm it."""
    by_configuration: dict[Configuration, list[Outcome]] = {}
    for one in outcomes:
        by_configuration.setdefault(one.configuration, []).append(one)
    chosen = max(
        (_farthest(tried, limits) for tried in by_configuration.values()),
        key=lambda one: one.sign * one.change.change,
    )
    reason = ""
    for _ in range(CONFIRMATIONS):
        confirmed = confirm(chosen)
        reason = confirmed.failure(limits)
        if not reason:
            return SignCalibration(
                strength=chosen.strength,
                configuration=chosen.configuration,
                evidence=confirmed.evidence(measure, prompts),
            )
        chosen = replace(chosen, strength=_rounded(chosen.strength * STEP_BACK))
    return SignCalibration(configuration=chosen.configuration, failure=f"{measure}: {reason}")


def _farthest(outcomes: Sequence[Outcome], limits: Limits) -> Outcome:
    """The strength at which the first fitted damage reaches its limit, within those tried, with the
    effect interpolated there.
    """
    strengths = [one.strength for one in outcomes]
    strength = min(
        strength_at_limit(strengths, damage, limit)
        for damage, limit in (
            ([_tolerated(one.faults, 1, CHOICE_TOLERANCE) for one in outcomes], limits.fault_gain),
            ([_tolerated(one.pulse, -1, CHOICE_TOLERANCE) for one in outcomes], limits.pulse_loss),
            ([_tolerated(one.text, -1, CHOICE_TOLERANCE) for one in outcomes], limits.text_loss),
        )
    )
    effects = [one.change.change for one in outcomes]
    effect_there = float(np.interp(strength, [0.0, *strengths], [0.0, *effects]))
    nearest = min(outcomes, key=lambda one: abs(one.strength - strength))
    change = replace(nearest.change, change=effect_there)
    return replace(nearest, strength=_rounded(strength), change=change)


def _tolerated(change: Effect, worse: int, errors: float) -> float:
    """Damage less some of its standard errors; `worse` is the sign of a change for the worse."""
    return worse * change.change - errors * change.error


def strength_at_limit(strengths: Sequence[float], damage: Sequence[float], limit: float) -> float:
    """Find the largest strength whose damage, fitted by isotonic regression, is within a limit.

    The fit is 0 without steering, never falls with strength, and is linear between the strengths.

    Args:
        strengths: tried, above 0 and rising.
        damage: at each, NaN where it is not known.
        limit: of the damage, above 0.

    Returns:
        The strength; the largest one tried where the limit is not reached.
    """
    from sklearn.isotonic import isotonic_regression

    known = [i for i, value in enumerate(damage) if np.isfinite(value)]
    s = np.array([0.0, *(strengths[i] for i in known)])
    fitted = isotonic_regression(np.maximum([0.0, *(damage[i] for i in known)], 0.0), y_min=0.0)
    above = np.flatnonzero(fitted > limit)
    if not len(above):
        return max(strengths)
    first = int(above[0])
    share = (limit - fitted[first - 1]) / (fitted[first] - fitted[first - 1])
    return float(s[first - 1] + share * (s[first] - s[first - 1]))


def _rounded(strength: float) -> float:
    return float(f"{strength:.3g}")


def measure_for(vector: SteeringVector) -> str:
    """The measure of a vector: that of its calibration, or by its name.

    Raises:
        TonearmError: neither is known.
    """
    calibration = vector.info.calibration
    for sign in () if calibration is None else SIGNS:
        assert calibration is not None
        if (evidence := calibration.of(sign).evidence) is not None:
            return evidence.measure
    name = vector.name.lower()
    if name in MEASURES:
        return MEASURES[name]
    if name in default_tagger().tags:
        return f"tag:{name}"
    raise TonearmError(
        f"no measure is known for vector {quoted(vector.name)}; give --measure, such as "
        "spectral_centroid, loudness, onset_rate, tag:piano or clap:jazz"
    )


def reader(measure: str) -> Callable[[Record], float | None]:
    """Return the function that reads a measure from the record of a take.

    Raises:
        TonearmError: an unknown measure, tag or word.
    """
    kind, _, name = boundary.text(measure, "measure").partition(":")
    if kind == "tag" and name:
        known = default_tagger().tags
        if name not in known:
            raise TonearmError(f"no tag {quoted(name)}; there are {', '.join(known)}")
        return lambda record: record["tags"] and record["tags"][name]
    if kind == "clap" and name:
        clap = load_clap("bundled")
        clap.check_words(name)
        row = clap.embed_texts([name])[0]
        return lambda record: (
            None if record["embedding"] is None else float(np.array(record["embedding"]) @ row)
        )
    if measure not in NUMBERS:
        raise TonearmError(
            f"no measure {quoted(measure)} for a calibration; use one of {', '.join(NUMBERS)}, "
            "tag:TAG (by musicnn), or clap:WORDS (by the bundled CLAP)"
        )
    return lambda record: record[measure]["value"]


def _outcome(
    sign: int,
    configuration: Configuration,
    strength: float,
    plain: Sequence[Sequence[Record]],
    steered: Sequence[Sequence[Record]],
    value_of: Callable[[Record], float | None],
    measure: str,
) -> Outcome:
    """Compare plain and steered takes, given by prompt."""

    def change(value_of: Callable[[Record], float | None], scale: Scale) -> Effect:
        return effect(means_of(plain, value_of), means_of(steered, value_of), scale)

    def faulty(record: Record) -> float:
        return float(record["faulty"])

    known = [value for value in means_of(plain, value_of) if value is not None]
    return Outcome(
        sign=sign,
        configuration=configuration,
        strength=strength,
        change=change(value_of, "difference" if measure.startswith(DIFFERENCES) else "ratio"),
        faults=change(faulty, "difference"),
        pulse=change(lambda record: record["pulse_clarity"]["value"], "ratio"),
        text=change(lambda record: record["clap_score"]["value"], "difference"),
        faulty_plain=fmean(value for value in means_of(plain, faulty) if value is not None),
        plain=fmean(known) if known else nan,
    )


def _with_source(vector: SteeringVector, configuration: Configuration) -> Configuration:
    """Write out the source layer, so that the calibration does not depend on the best layer."""
    if configuration.strategy == "all-to-all" or configuration.source_layer is not None:
        return configuration
    return configuration.model_copy(update={"source_layer": vector.info.best_layer})
