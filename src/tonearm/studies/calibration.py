"""Calibration of a vector's amounts: how far each sign goes while the music stays whole.

For every sign, strengths of a geometric grid are tried in each configuration, with the same prompts
and seeds as unsteered takes. A strength passes where

    faults      the share of takes with a fault is at most 3 points above that of plain takes
    pulse       mean pulse clarity is at least 0.9 of that of plain takes
    text        the CLAP score of take and prompt falls by at most 0.03

and where the measure of the attribute moves the right way beyond its 95 % interval. Of the
strengths that pass, the one with the most effect is tried again on prompts that did not choose it.
Where it passes there too, it becomes the amount of 1, with what was measured there as evidence;
otherwise the next smaller one is tried, `CONFIRMATIONS` times in all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.evaluators.load import default_tagger, load_clap
from tonearm.hashing import hash_texts
from tonearm.model import Model
from tonearm.steering import (
    Calibration,
    Configuration,
    Evidence,
    SignCalibration,
    Steering,
    SteeringVector,
)
from tonearm.steering.calibration import DIFFERENCES
from tonearm.studies.effects_measures import NUMBERS, evaluators_fingerprint, load_evaluators
from tonearm.studies.effects_trials import Effect, effect
from tonearm.studies.injection import layers_of, steer_of
from tonearm.studies.steered_takes import Prompts, Record, Setting, run_settings
from tonearm.text import quoted

# push per layer as a share of the activation norm there, mean over the steered layers
PUSHES = (0.008, 0.012, 0.018, 0.027, 0.04)
CONFIRMATIONS = 3
SIGNS = {1: "positive", -1: "negative"}
FIRST_SEED, CONFIRMATION_SEED = 7000, 8000


@dataclass(frozen=True)
class Limits:
    """What counts as whole music, against plain takes of the same prompts and seeds."""

    fault_gain: float = 0.03
    pulse_ratio: float = 0.9
    text_loss: float = 0.03


@dataclass(frozen=True)
class Outcome:
    """One strength of one configuration and sign, against plain takes."""

    sign: int
    configuration: Configuration
    strength: float
    change: Effect
    faulty_plain: float
    faulty_steered: float
    pulse_ratio: float
    text_loss: float
    plain: float

    def failure(self, limits: Limits) -> str:
        """The first limit that is exceeded, in words; empty where the music stays whole and the
        attribute moves the right way.
        """
        low, high = sorted((self.sign * self.change.low, self.sign * self.change.high))
        if not low > 0:
            return f"no certain effect: {self.sign * self.change.change:+.2g} [{low:+.2g}, {high:+.2g}]"
        if self.faulty_steered - self.faulty_plain > limits.fault_gain + 1e-9:
            return (
                f"faults in {self.faulty_steered:.0%} of takes, {self.faulty_plain:.0%} unsteered"
            )
        if self.pulse_ratio < limits.pulse_ratio:
            return f"pulse clarity {self.pulse_ratio:.2f} of that unsteered"
        if self.text_loss > limits.text_loss:
            return f"CLAP score lower by {self.text_loss:.3f}"
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
            faulty_steered=round(self.faulty_steered, 6),
            pulse_ratio=round(self.pulse_ratio, 6),
            text_loss=round(self.text_loss, 6),
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
    limits: Limits = Limits(),
    seconds: float = 10.0,
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
        pushes: added norm per layer as shares of the activation norm, in rising order.
        limits: of whole music.
        seconds: of each take; faults need 10.
        store: folder of records, from which a stopped calibration continues.
        workers: processes that measure; 0 for this one.
        progress: called with takes done and takes in all, per stage.

    Returns:
        The vector with its calibration. A sign without a strength that passes has the reason.

    Raises:
        TonearmError: an unknown measure, prompts in both sets, or too few of them.
    """
    value_of = reader(measure)
    texts = [
        tuple(boundary.text(one, "prompt") for one in given) for given in (choosing, confirming)
    ]
    if min(map(len, texts)) < 2 or set(texts[0]) & set(texts[1]):
        raise TonearmError(
            "calibration needs two sets of 2 or more prompts without one in common; "
            "one chooses the strength and one confirms it"
        )
    configurations = [_with_source(vector, configuration) for configuration in configurations]
    trials = [
        (sign, configuration, push * _unit_strength(vector, configuration, model))
        for configuration in configurations
        for push in pushes
        for sign in SIGNS
    ]

    def outcomes(which: int, tried: Sequence[tuple[int, Configuration, float]]) -> list[Outcome]:
        prompts = Prompts(texts[which], (FIRST_SEED, CONFIRMATION_SEED)[which], seconds)
        settings = [Setting("plain", Steering())]
        settings += [
            Setting(f"{steer}|{configuration.model_dump_json()}", Steering(steers=(steer,)))
            for sign, configuration, strength in tried
            for steer in [steer_of(vector.name, configuration, sign * strength)]
        ]
        file = store and store / f"{vector.name}-{('choosing', 'confirming')[which]}.jsonl"
        records = run_settings(
            model,
            settings,
            prompts,
            {vector.name: vector},
            file,
            _protocol(model, vector, seconds, texts[which]),
            workers=workers,
            progress=progress,
        )
        return [
            _outcome(*trial, records["plain"], records[setting.name], value_of, measure)
            for trial, setting in zip(tried, settings[1:], strict=True)
        ]

    found = outcomes(0, trials)
    signs = {}
    for sign, name in SIGNS.items():
        signs[name] = _calibrated_sign(
            sign,
            [one for one in found if one.sign == sign],
            lambda one: outcomes(1, [(one.sign, one.configuration, one.strength)])[0],
            limits,
            measure,
            len(texts[1]),
        )
    calibration = Calibration(
        **signs,
        protocol=(
            f"{model.shape.public_name} {model.shape.fingerprint}, {measure}, "
            f"{len(texts[0])} prompts to choose and {len(texts[1])} to confirm, takes of "
            f"{seconds:g} s, seeds from {FIRST_SEED} and {CONFIRMATION_SEED}; limits: "
            f"{100 * limits.fault_gain:g} points of faulty takes, {limits.pulse_ratio:g} of the pulse "
            f"clarity, {limits.text_loss:g} of the CLAP score"
        ),
    )
    info = vector.info.model_copy(update={"calibration": calibration})
    return SteeringVector(vector.directions, info)


def _calibrated_sign(
    sign: int,
    outcomes: Sequence[Outcome],
    confirm: Callable[[Outcome], Outcome],
    limits: Limits,
    measure: str,
    prompts: int,
) -> SignCalibration:
    """Choose the strength of one sign among the outcomes, and confirm it."""
    passing = [one for one in outcomes if not one.failure(limits)]
    if not passing:
        best = max(outcomes, key=lambda one: sign * one.change.change)
        return SignCalibration(
            configuration=best.configuration, failure=f"{measure}: {best.failure(limits)}"
        )
    ranked = sorted(passing, key=lambda one: sign * one.change.change, reverse=True)
    reason = ""
    for chosen in ranked[:CONFIRMATIONS]:
        confirmed = confirm(chosen)
        reason = confirmed.failure(limits)
        if not reason:
            return SignCalibration(
                strength=float(f"{chosen.strength:.4g}"),
                configuration=chosen.configuration,
                evidence=confirmed.evidence(measure, prompts),
            )
    return SignCalibration(
        configuration=ranked[0].configuration, failure=f"not confirmed on other prompts: {reason}"
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
    plain: Sequence[Record],
    steered: Sequence[Record],
    value_of: Callable[[Record], float | None],
    measure: str,
) -> Outcome:
    def means(name: str) -> tuple[float, float]:
        pairs = [
            (one[name]["value"], other[name]["value"])
            for one, other in zip(plain, steered, strict=True)
        ]
        known = [pair for pair in pairs if None not in pair] or [(np.nan, np.nan)]
        before, after = np.mean(np.array(known, dtype=float), axis=0)
        return float(before), float(after)

    relative = not measure.startswith(DIFFERENCES)
    before = [value_of(record) for record in plain]
    known = [value for value in before if value is not None]
    pulse, clap = means("pulse_clarity"), means("clap_score")
    return Outcome(
        sign=sign,
        configuration=configuration,
        strength=strength,
        change=effect(before, [value_of(record) for record in steered], relative),
        faulty_plain=float(np.mean([record["faulty"] for record in plain])),
        faulty_steered=float(np.mean([record["faulty"] for record in steered])),
        pulse_ratio=pulse[1] / pulse[0],
        text_loss=clap[0] - clap[1],
        plain=float(np.mean(known)) if known else float("nan"),
    )


def _with_source(vector: SteeringVector, configuration: Configuration) -> Configuration:
    """Write out the source layer, so that the calibration does not depend on the best layer."""
    if configuration.strategy == "all-to-all" or configuration.source_layer is not None:
        return configuration
    return configuration.model_copy(update={"source_layer": vector.info.best_layer})


def _unit_strength(vector: SteeringVector, configuration: Configuration, model: Model) -> float:
    """Strength at which a configuration adds, on average over its layers, the activation's norm."""
    norms = vector.info.activation_norms
    targets = layers_of(configuration, vector, model.shape.layer_count)
    if not norms:
        raise TonearmError(
            f"vector {vector.name} has no activation norms, which set the scale of strengths; "
            "learn it again"
        )
    if configuration.operator in ("rotate", "blend"):
        return 1.0
    added = [float(vector[source].norm()) for source in targets.values()]
    return sum(norms[layer] for layer in targets) / sum(added)


def _protocol(model: Model, vector: SteeringVector, seconds: float, texts: Sequence[str]) -> str:
    return (
        f"{model.shape.fingerprint} {model.checkpoint.device.type} {model.checkpoint.precision} "
        f"{vector.content_hash()[:8]}@{vector.info.best_layer} {seconds:g} s "
        f"{hash_texts(texts, ())[:8]} {evaluators_fingerprint(load_evaluators())}"
    )
