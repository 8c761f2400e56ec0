"""Tables of a knob: response over amounts, leakage to other measures, drift over long takes.

All are measured on the prompts that confirmed the strength of amount 1, against plain takes of the
same prompts and seeds.

    response  takes at amounts AMOUNTS; means over prompts, fitted by a function that never turns
              back (isotonic regression), at 11 amounts; intervals are interpolated
    leakage   every other number at amount 1
    drift     takes three times as long: the effect in their first and in their last third
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from statistics import fmean

import numpy as np

from tonearm.stats.effect import Effect, Scale, effect
from tonearm.steering import Configuration, Steering
from tonearm.steering.calibration import Drift, Leak, SignCalibration
from tonearm.steering.response import POINTS, Response, ResponsePoint
from tonearm.steering.units import ChangeUnit, unit_of
from tonearm.studies.injection import steer_of
from tonearm.studies.measure_groups import NUMBERS
from tonearm.studies.records import Record
from tonearm.studies.steered_takes import Prompts, Setting

AMOUNTS = (0.25, 0.5, 0.75, 1.0)
DRIFT_PROMPTS, DRIFT_PARTS = 10, 3
CLAP_SCORE = "clap_score"
DECIMALS = 6

Reader = Callable[[Record], float | None]
Run = Callable[[str, Sequence[Setting], Prompts], Mapping[str, Sequence[Record]]]


@dataclass(frozen=True)
class KnobSign:
    """One sign of a vector at the strength of its amount 1.

    vector         its name
    sign           1 or -1
    configuration  of the injection
    strength       of amount 1, above 0
    """

    vector: str
    sign: int
    configuration: Configuration
    strength: float

    def setting(self, amount: float) -> Setting:
        """The setting of an amount from 0 to 1."""
        signed = self.sign * amount * self.strength
        steer = steer_of(self.vector, self.configuration, signed)
        name = f"{steer}|{self.configuration.model_dump_json()}"
        return Setting(name, Steering(steers=(steer,)))


@dataclass(frozen=True)
class Tables:
    """Response, leakage and drift of one sign; no response where the measure is undefined at amount
    1, and no drift where it is undefined in a part.
    """

    response: Response | None
    leakage: dict[str, Leak]
    drift: Drift | None


def measure_tables(
    knob: KnobSign, measure: str, value_of: Reader, prompts: Prompts, count: int, run: Run
) -> Tables:
    """Measure the tables of a sign.

    Args:
        knob: the sign.
        measure: of the attribute.
        value_of: reads it from a record.
        prompts: that confirmed the strength, `count` of them once per take.
        count: different prompts.
        run: makes and measures the takes of settings under the name of a stage.
    """
    settings = [knob.setting(amount) for amount in AMOUNTS]
    records = run("response", [Setting("plain", Steering()), *settings], prompts)
    plain = by_prompt(records["plain"], count)
    steered = [by_prompt(records[setting.name], count) for setting in settings]
    unit = unit_of(measure)
    return Tables(
        response_of(plain, steered, value_of, measure),
        leakage_of(plain, steered[-1], measure),
        _drift(knob, value_of, unit, prompts, count, run),
    )


def with_tables(
    signed: SignCalibration,
    sign: int,
    vector: str,
    measure: str,
    value_of: Reader,
    prompts: Prompts,
    count: int,
    run: Run,
) -> SignCalibration:
    """A sign with its tables; one that failed as it is. Arguments as for `measure_tables`.

    Args:
        signed: the calibration of the sign.
        sign: 1 or -1.
        vector: its name.
    """
    if signed.strength is None:
        return signed
    knob = KnobSign(vector, sign, signed.configuration, signed.strength)
    tables = measure_tables(knob, measure, value_of, prompts, count, run)
    return signed.model_copy(
        update={
            "response": tables.response,
            "leakage": tables.leakage,
            "drift": tables.drift,
        }
    )


def response_of(
    plain: Sequence[Sequence[Record]],
    steered: Sequence[Sequence[Sequence[Record]]],
    value_of: Reader,
    measure: str,
) -> Response | None:
    """Fit the response over amounts.

    Args:
        plain: records by prompt and take.
        steered: likewise, at each of AMOUNTS.
        value_of: reads the measure from a record.
        measure: its name.

    Returns:
        The response, without the amounts at which fewer than two prompts have the measure; None
        where amount 1 is one of them.
    """
    unit = unit_of(measure)
    measured = {
        amount: (found, damage_of(plain, takes))
        for amount, takes in zip(AMOUNTS, steered, strict=True)
        if isfinite((found := change_of(plain, takes, value_of, unit)).change)
    }
    if AMOUNTS[-1] not in measured:
        return None
    amounts = list(measured)
    effects, damages = zip(*measured.values(), strict=True)
    at = np.linspace(0, 1, POINTS)
    fitted = fitted_effects(amounts, [unit.of_effect(one.change) for one in effects], at)

    def over(values: Sequence[float]) -> list[float]:
        return [float(value) for value in np.interp(at, [0.0, *amounts], [0.0, *values])]

    columns = {
        "low": over([unit.of_effect(one.low) for one in effects]),
        "high": over([unit.of_effect(one.high) for one in effects]),
        "fault_gain": over([one[0] for one in damages]),
        "pulse_loss": over([one[1] for one in damages]),
        "text_loss": over([one[2] for one in damages]),
    }
    points = tuple(
        ResponsePoint(
            amount=round(float(amount), 3),
            effect=round(fitted[index], DECIMALS),
            **{name: round(column[index], DECIMALS) for name, column in columns.items()},
        )
        for index, amount in enumerate(at)
    )
    last = effects[-1]
    return Response(
        measure=measure,
        unit=unit.name,
        plain=round(last.plain, DECIMALS),
        points=points,
        prompts=last.n,
    )


def fitted_effects(
    amounts: Sequence[float], effects: Sequence[float], at: Sequence[float] | np.ndarray
) -> list[float]:
    """Fit effects by a function of the amount that begins at 0 and never turns back.

    Args:
        amounts: measured, above 0 and rising.
        effects: at each.
        at: amounts to evaluate the fit at; it is linear between those that were measured.

    Returns:
        The fit at each; it rises where the effect at the largest amount is above 0, else it falls.
    """
    from sklearn.isotonic import isotonic_regression

    sign = 1.0 if effects[-1] >= 0 else -1.0
    sized = np.maximum([0.0, *(sign * one for one in effects)], 0.0)
    weights = [1e6, *[1.0] * len(effects)]  # no amount has no effect
    fitted = isotonic_regression(sized, sample_weight=weights, y_min=0.0)
    fitted[0] = 0.0
    return [float(value) for value in sign * np.interp(at, [0.0, *amounts], fitted)]


def leakage_of(
    plain: Sequence[Sequence[Record]], steered: Sequence[Sequence[Record]], measure: str
) -> dict[str, Leak]:
    """Changes of every number but the knob's own, and of the CLAP score."""
    found = {}
    for name in (*NUMBERS, CLAP_SCORE):
        if name == measure or name not in plain[0][0]:
            continue
        unit = unit_of("clap:prompt" if name == CLAP_SCORE else name)
        change = change_of(plain, steered, reader_of(name), unit)
        numbers = [unit.of_effect(one) for one in (change.change, change.low, change.high)]
        if all(map(isfinite, numbers)):
            rounded = [round(one, DECIMALS) for one in numbers]
            found[name] = Leak(change=rounded[0], low=rounded[1], high=rounded[2], unit=unit.name)
    return found


def reader_of(name: str) -> Reader:
    """Read a number of a record."""
    return lambda record: record[name]["value"]


def _drift(
    knob: KnobSign, value_of: Reader, unit: ChangeUnit, prompts: Prompts, count: int, run: Run
) -> Drift | None:
    few = min(DRIFT_PROMPTS, count)
    part, whole = prompts.seconds, DRIFT_PARTS * prompts.seconds
    long = Prompts(prompts.texts[:few], prompts.first_seed, whole, prompts.groups)
    steered = knob.setting(1.0)
    excerpts = {"early": (0.0, part), "late": (whole - part, whole)}
    settings = [
        Setting(f"{place}|{name}", steering, excerpt=excerpt)
        for place, excerpt in excerpts.items()
        for name, steering in (("plain", Steering()), ("steered", steered.steering))
    ]
    records = run("drift", settings, long)
    found = {}
    for place in excerpts:
        plain, moved = (by_prompt(records[f"{place}|{name}"], few) for name in ("plain", "steered"))
        found[place] = unit.of_effect(change_of(plain, moved, value_of, unit).change)
    if not all(map(isfinite, found.values())):
        return None
    return Drift(
        seconds=whole,
        part=part,
        early=round(found["early"], DECIMALS),
        late=round(found["late"], DECIMALS),
        prompts=few,
    )


def change_of(
    plain: Sequence[Sequence[Record]],
    steered: Sequence[Sequence[Record]],
    value_of: Reader,
    unit: ChangeUnit,
) -> Effect:
    """Change of a measure over prompts, on the scale of its unit."""
    before, after = means_of(plain, value_of), means_of(steered, value_of)
    if unit.scale == "log":  # 0 has no logarithm
        before, after = ([value or None for value in one] for one in (before, after))
    return effect(before, after, unit.scale)


def damage_of(
    plain: Sequence[Sequence[Record]], steered: Sequence[Sequence[Record]]
) -> tuple[float, float, float]:
    """Gain of faulty takes, relative loss of pulse clarity, and loss of the CLAP score."""

    def change(value_of: Reader, scale: Scale) -> float:
        found = effect(means_of(plain, value_of), means_of(steered, value_of), scale)
        return found.change if isfinite(found.change) else 0.0

    return (
        change(lambda record: float(record["faulty"]), "difference"),
        -change(reader_of("pulse_clarity"), "ratio"),
        -change(reader_of(CLAP_SCORE), "difference"),
    )


def by_prompt(records: Sequence[Record], prompts: int) -> list[list[Record]]:
    """Group records, of all prompts once and then again, by prompt."""
    return [list(records[prompt::prompts]) for prompt in range(prompts)]


def means_of(records: Sequence[Sequence[Record]], value_of: Reader) -> list[float | None]:
    """The mean value of each prompt's takes; None where no take has one."""
    means: list[float | None] = []
    for takes in records:
        values = [value for value in map(value_of, takes) if value is not None]
        means.append(fmean(values) if values else None)
    return means
