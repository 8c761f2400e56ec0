"""Goals: targets of one take, with the means to act on them and to measure them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp, isfinite, log
from statistics import fmean

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker
from tonearm.knobs.outcome import Outcome
from tonearm.knobs.readers import Reader, reader_of
from tonearm.steering import Steer, Steering, SteeringVector
from tonearm.steering.response import KnobRange
from tonearm.steering.targets import amount_for, knob_range
from tonearm.steering.units import ChangeUnit

MIN_BPM, MAX_BPM = 30.0, 300.0
MIN_SHARE, MAX_SHARE = 0.4, 2.5  # of the table's effect that takes are believed to have
TEMPO_KNOB, BPM = "tempo", "bpm"


@dataclass(frozen=True)
class TempoGoal:
    """A tempo in BPM. It needs no vector, so that any checkpoint can have it.

    name    of the knob
    bpm     asked
    reader  of the tempo of a clip
    knob    range of the tempo vector, where there is a calibrated one
    """

    name: str
    bpm: float
    reader: Reader
    knob: KnobRange | None

    def outcome(self, value: float | None) -> Outcome:
        """The outcome of a measured tempo."""
        return Outcome(self.name, self.bpm, "bpm", value, None, value, "tempo")

    def amount_towards(self, measured: float) -> float:
        """The amount of the vector that moves a measured tempo towards the asked one, within its
        range; 0 without a vector.
        """
        if self.knob is None:
            return 0.0
        change = self.knob.unit.change(measured, self.bpm)
        return self.knob.amount_for(min(max(change, self.knob.low), self.knob.high))


@dataclass(frozen=True)
class KnobGoal:
    """A change, or a level, of the measure of a calibrated vector.

    steer    as it was asked for
    knob     range of its vector
    reader   of its measure
    """

    steer: Steer
    knob: KnobRange
    reader: Reader

    @property
    def measure(self) -> str:
        return self.knob.measure

    @property
    def is_relative(self) -> bool:
        return self.steer.unit in (None, self.knob.unit.name)

    @property
    def effect(self) -> float:
        """The change that the table is asked for; of a level, from the calibration's plain mean."""
        assert self.steer.target is not None
        if self.is_relative:
            return self.steer.target
        return self.knob.unit.change(self.knob.plain, self.steer.target)

    def amount(self, share: float) -> float:
        """The amount for takes that have `share` of the table's effect, within the range."""
        wanted = self.effect / min(max(share, MIN_SHARE), MAX_SHARE)
        return self.knob.amount_for(min(max(wanted, self.knob.low), self.knob.high))

    def outcome(self, value: float | None, reference: float | None) -> Outcome:
        """The outcome of a measured value.

        Args:
            value: of the measure, of a take.
            reference: of the same music without the knobs; of no account for a level.
        """
        assert self.steer.target is not None
        name, asked = self.steer.vector, self.steer.target
        unit = self.knob.unit
        if not self.is_relative:
            assert unit.absolute
            return Outcome(name, asked, unit.absolute, value, None, value, self.measure)
        change = known_change(unit, reference, value)
        return Outcome(name, asked, unit.name, change, reference, value, self.measure)

    def value_asked(self, reference: float | None) -> float | None:
        """The value of the measure that the target means; None where the reference is unknown."""
        assert self.steer.target is not None
        if not self.is_relative:
            return self.steer.target
        return None if reference is None else self.knob.unit.applied(reference, self.steer.target)

    def mean(self, values: Sequence[float | None]) -> float | None:
        """Mean of the known values, on the scale of the unit; None where none is known."""
        known = [value for value in values if value is not None]
        if self.knob.unit.scale == "log":
            known = [value for value in known if value > 0]
            return exp(fmean(map(log, known))) if known else None
        return fmean(known) if known else None

    def share_of(self, outcomes: Sequence[Outcome], amounts: Sequence[float]) -> float:
        """The share of the table's effect that takes had, by least squares through 0; 1 where
        nothing is known.
        """
        pairs = []
        for outcome, amount in zip(outcomes, amounts, strict=True):
            plain = self.knob.plain if outcome.plain is None else outcome.plain
            change = known_change(self.knob.unit, plain, outcome.value)
            if change is not None:
                pairs.append((self._expected(amount), change))
        square = sum(expected**2 for expected, _ in pairs)
        share = sum(expected * found for expected, found in pairs) / square if square else 1.0
        return share if isfinite(share) else 1.0

    def _expected(self, amount: float) -> float:
        response = self.knob.responses.get(1 if amount > 0 else -1)
        return response.effect_at(abs(amount)) if response else 0.0


def known_change(unit: ChangeUnit, plain: float | None, value: float | None) -> float | None:
    """The change in a unit; None where a value is unknown, or has no logarithm on a log scale."""
    if plain is None or value is None or (unit.scale == "log" and min(plain, value) <= 0):
        return None
    return unit.change(plain, value)


@dataclass(frozen=True)
class Goals:
    """All targets of a take.

    tempo  None where none was asked for
    knobs  of vectors
    plain  steering of the plain twins: the steers with amounts or strengths, which act as they are
    """

    tempo: TempoGoal | None
    knobs: tuple[KnobGoal, ...]
    plain: Steering

    @property
    def others(self) -> tuple[Steer, ...]:
        return self.plain.steers

    def values(self, clip: Clip) -> tuple[float | None, ...]:
        """Measures of all goals of a clip: of the knobs, then of the tempo."""
        readers = [goal.reader for goal in self.knobs]
        readers += [] if self.tempo is None else [self.tempo.reader]
        return tuple(reader(clip) for reader in readers)

    @classmethod
    def of(
        cls, steering: Steering, vectors: Mapping[str, SteeringVector], tracker: BeatTracker
    ) -> "Goals":
        """Divide a steering into targets and other steers.

        Args:
            steering: with targets.
            vectors: by the names that it uses; a tempo in BPM does without.
            tracker: of tempos.

        Raises:
            TonearmError: a tempo out of MIN_BPM to MAX_BPM, two targets of one knob, a target with a
                schedule, a vector without a table, a unit of another measure, or a target outside its
                range.
        """
        _check_single(steering)
        tempo, knobs, others = None, [], []
        for steer in steering.steers:
            if steer.target is None:
                others.append(steer)
            elif steer.unit == BPM:
                if tempo is not None:
                    raise TonearmError("two tempos are asked for; give one")
                tempo = _tempo_goal(steer, vectors, tracker)
            else:
                knobs.append(_knob_goal(steer, vectors[steer.vector], tracker))
        plain = steering.model_copy(update={"steers": tuple(others)})
        return cls(tempo, tuple(knobs), plain)


def _check_single(steering: Steering) -> None:
    """Raise TonearmError for two targets of one vector, which one amount cannot meet."""
    names = [steer.vector for steer in steering.steers if steer.target is not None]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TonearmError(f"two targets of {twice} are asked for; give one")


def _tempo_goal(
    steer: Steer, vectors: Mapping[str, SteeringVector], tracker: BeatTracker
) -> TempoGoal:
    assert steer.target is not None
    if not MIN_BPM <= steer.target <= MAX_BPM:
        raise TonearmError(
            f"{steer.vector}: {steer.target:g} bpm is not possible; give {MIN_BPM:g} to {MAX_BPM:g}"
        )
    _check_whole(steer)
    if steer.monitor is not None:
        raise TonearmError(f"{steer.vector}: a tempo in bpm has no monitor; omit it")
    knob = None
    if steer.vector in vectors:
        try:
            knob = knob_range(vectors[steer.vector], steer.vector)
        except TonearmError:  # not calibrated: words, tries and the time stretch remain
            knob = None
        if knob is not None and knob.unit.absolute != BPM:
            raise TonearmError(
                f"{steer.vector} is calibrated in {knob.unit.name}; ask for a tempo as "
                f"{TEMPO_KNOB}={steer.target:g}bpm"
            )
    elif steer.vector != TEMPO_KNOB:
        raise TonearmError(
            f"no vector {steer.vector} is calibrated in bpm; ask for a tempo as "
            f"{TEMPO_KNOB}={steer.target:g}bpm"
        )
    return TempoGoal(steer.vector, steer.target, reader_of("tempo", tracker), knob)


def _check_whole(steer: Steer) -> None:
    """Raise TonearmError for a target with a schedule."""
    if steer.schedule is not None:
        raise TonearmError(
            f"{steer.vector}: a measured target cannot have a schedule, because it is measured over "
            "the whole take; omit the schedule, or steer by an amount"
        )


def _knob_goal(steer: Steer, vector: SteeringVector, tracker: BeatTracker) -> KnobGoal:
    _check_whole(steer)
    knob = knob_range(vector, steer.vector)
    amount_for(steer, knob)  # refuses a unit of another measure, and an effect outside the range
    return KnobGoal(steer, knob, reader_of(knob.measure, tracker))
