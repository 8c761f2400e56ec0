"""Takes that meet targets: words, steering, a choice among tries, and a time stretch.

    words     a tempo in BPM is written into the prompt, in place of what it says of one
    steering  every other target becomes an amount by the table of its knob; in the second half of
              the tries, by what the first half had of the table's effect. A tempo that the words have
              missed is steered there too
    choice    every try is measured, against its plain twin where a change was asked for; the one
              nearest to all targets is taken
    stretch   the last few per cent of a tempo, by a time stretch that keeps attacks

What acted is stated with the take.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.load import load_tracker
from tonearm.generation.request import AudioLike, TakeRequest
from tonearm.generation.take import Take
from tonearm.knobs.goals import BPM, Goals
from tonearm.knobs.outcome import Outcome
from tonearm.knobs.tempo_words import TempoPrompt, with_tempo
from tonearm.model import Model
from tonearm.musicgen.sampling import Sampling
from tonearm.progress import Progress
from tonearm.steering import Steer, Steering, SteeringLike, SteeringVector, as_steering
from tonearm.steering.resolve import with_public_names

TRACKER = "bundled"
MAX_TRIES = 64
MAX_STRETCH = 0.08  # beyond it, a time stretch is heard
MIN_STRETCH = 0.003  # below it, none is worth it
WORST = 1e3  # distance of a target of which nothing was measured


@dataclass(frozen=True)
class Settings:
    """How targets may be met.

    tries    takes to choose among
    words    a tempo may be written into the prompt
    vectors  a tempo may be steered too
    stretch  a tempo may be stretched
    """

    tries: int = 1
    words: bool = True
    vectors: bool = True
    stretch: bool = True

    def __post_init__(self) -> None:
        if not 1 <= boundary.integer(self.tries, "tries") <= MAX_TRIES:
            raise TonearmError(f"{self.tries} tries are not possible; give 1 to {MAX_TRIES}")

    @property
    def rounds(self) -> tuple[int, ...]:
        """Tries of each round: the second one learns from the first."""
        second = self.tries // 2
        return (self.tries - second, second) if second else (self.tries,)


@dataclass(frozen=True)
class Try:
    """One take with its outcomes and its amounts by knob."""

    take: Take
    outcomes: tuple[Outcome, ...]
    amounts: Mapping[str, float]

    @property
    def distance(self) -> float:
        """Sum of the squared deviations, in tolerances."""
        return sum(min(outcome.distance, WORST) ** 2 for outcome in self.outcomes)


@dataclass(frozen=True)
class Reached:
    """A take and how it met its targets.

    take      the chosen one
    outcomes  one per target: knobs in the order asked, then the tempo
    acted     in words: what was done
    tries     outcomes of all tries, before any stretch
    tracker   that measured tempos
    """

    take: Take
    outcomes: tuple[Outcome, ...]
    acted: tuple[str, ...]
    tries: tuple[tuple[Outcome, ...], ...]
    tracker: BeatTracker

    @property
    def is_met(self) -> bool:
        """Whether every target is met."""
        return all(outcome.is_met for outcome in self.outcomes)


def reach(
    model: Model,
    prompt: str,
    targets: SteeringLike,
    *,
    tries: int = 1,
    words: bool = True,
    vectors: bool = True,
    stretch: bool = True,
    seconds: float = 10.0,
    seed: int | None = None,
    sampling: Sampling | None = None,
    negative: str | None = None,
    continue_from: AudioLike | None = None,
    melody: AudioLike | None = None,
    tracker: BeatTracker | None = None,
    progress: Progress | None = None,
) -> Reached:
    """Generate a take that meets targets in physical units.

    Args:
        model: to generate with.
        prompt: the music in words.
        targets: such as `{"tempo": "128bpm", "brightness": "+3st"}`; steers with amounts or
            strengths among them act as they are.
        tries: takes to choose among.
        words: a tempo may be written into the prompt.
        vectors: a tempo may be steered too.
        stretch: a tempo may be stretched.
        seconds: of new music, before any time stretch.
        seed: of the first try; the others use the next seeds. Default: a random one.
        sampling: as `Model.sampling` makes it.
        negative: words to steer away from.
        continue_from: audio to continue.
        melody: audio whose melody to follow.
        tracker: of tempos; default: the bundled one.
        progress: called with frames done and frames in all, of one round.

    Raises:
        TonearmError: no target, a target outside the range of its knob, or any mistake in the
            arguments.
    """
    boundary.instance(model, "model", Model, "a Model, as tonearm.load returns it")
    settings = Settings(tries, words, vectors, stretch)
    steering, given = as_steering(targets)
    if all(steer.target is None for steer in steering.steers):
        raise TonearmError("no target was given; give one such as tempo=128bpm or brightness=+3st")
    named = _vectors(model, steering, given)
    tracker = tracker or load_tracker(TRACKER)
    goals = Goals.of(steering, named, tracker)
    prompts = TempoPrompt(boundary.text(prompt, "prompt"), ())
    if goals.tempo is not None and settings.words:
        prompts = with_tempo(prompt, goals.tempo.bpm)
    first = secrets.randbelow(2**31) if seed is None else seed
    base = TakeRequest(
        prompts.text, first, Steering(), sampling, negative, seconds, continue_from, melody
    )
    made: list[Try] = []
    for count in settings.rounds:
        amounts = _amounts(goals, made, settings)
        seeds = range(first + len(made), first + len(made) + count)
        made += _round(model, base, seeds, goals, amounts, named, progress)
    number = min(range(len(made)), key=lambda index: made[index].distance)
    chosen = made[number]
    acted = []
    if prompts.text != prompt:
        left = ", ".join(f'"{word}"' for word in prompts.left_out)
        acted.append(f'words: "{prompts.text}"' + (f", without {left}" if left else ""))
    acted += [
        f"vector {name}: amount {amount:+.2f}" for name, amount in chosen.amounts.items() if amount
    ]
    if len(made) > 1:
        seed = chosen.take.provenance.seed
        acted.append(f"choice: try {number + 1} of {len(made)}, seed {seed}")
    take, outcomes = chosen.take, chosen.outcomes
    if goals.tempo is not None and settings.stretch:
        stretched = _stretched(take, outcomes, goals)
        if stretched is not None:
            take, outcomes = stretched
            acted.append(f"time stretch: {take.provenance.stretch:.3f} times as fast")
    requested, _ = with_public_names(steering, named, model.vectors.public_name)
    update: dict[str, object] = {"requested": requested}
    if prompts.text != prompt:
        update["requested_prompt"] = prompt
    take = replace(take, provenance=take.provenance.model_copy(update=update))
    return Reached(take, outcomes, tuple(acted), tuple(one.outcomes for one in made), tracker)


def _vectors(
    model: Model, steering: Steering, given: Mapping[str, SteeringVector]
) -> dict[str, SteeringVector]:
    """The vectors of a steering; a tempo in BPM may be without."""
    found = {}
    for steer in steering.steers:
        name = steer.vector
        if name in given:
            found[name] = given[name]
        elif steer.unit != BPM or name in model.vectors:
            found[name] = model.vectors[name]
    return found


def _amounts(goals: Goals, tries: Sequence[Try], settings: Settings) -> dict[str, float]:
    """Amounts of the next round, by knob: by the tables, then by what the tries had of them."""
    amounts = {}
    for place, goal in enumerate(goals.knobs):
        known = [one.outcomes[place] for one in tries]
        share = goal.share_of(known, [one.amounts[goal.steer.vector] for one in tries])
        amounts[goal.steer.vector] = goal.amount(share)
    tempo = goals.tempo
    if tempo is not None and tries and settings.vectors:
        heard = [one.outcomes[-1].measured for one in tries]
        known_tempos = [value for value in heard if value]
        nearest = min(known_tempos, key=lambda value: abs(value / tempo.bpm - 1), default=tempo.bpm)
        if abs(nearest / tempo.bpm - 1) > MAX_STRETCH:
            amounts[tempo.name] = tempo.amount_towards(nearest)
    return amounts


def _round(
    model: Model,
    base: TakeRequest,
    seeds: Sequence[int],
    goals: Goals,
    amounts: Mapping[str, float],
    vectors: Mapping[str, SteeringVector],
    progress: Progress | None,
) -> list[Try]:
    """Make and measure takes of one set of amounts, with plain twins where a change was asked for.

    A target's schedule scales its amount over time, as elsewhere.
    """
    schedules = {goal.steer.vector: goal.steer.schedule for goal in goals.knobs}
    steers = [
        Steer(vector=name, amount=amount, schedule=schedules.get(name))
        for name, amount in amounts.items()
        if amount
    ]
    steered = Steering(steers=(*goals.others, *steers))
    plain = Steering(steers=goals.others)
    requests = [replace(base, seed=seed, steering=steered) for seed in seeds]
    has_twins = any(goal.is_relative for goal in goals.knobs)
    if has_twins:
        requests += [replace(base, seed=seed, steering=plain) for seed in seeds]
    used = {name: vector for name, vector in vectors.items() if name in _names(requests)}
    takes = list(model.generate_batch(requests, vectors=used, progress=progress))
    own, twins = takes[: len(seeds)], takes[len(seeds) :] or takes
    return [
        Try(take, _outcomes(goals, take.clip, twin.clip), amounts)
        for take, twin in zip(own, twins, strict=True)
    ]


def _names(requests: Sequence[TakeRequest]) -> set[str]:
    return {steer.vector for one in requests for steer in one.steering.steers}


def _outcomes(goals: Goals, clip: Clip, twin: Clip) -> tuple[Outcome, ...]:
    """Outcomes of the knobs, then of the tempo."""
    found = [goal.outcome(clip, twin) for goal in goals.knobs]
    if goals.tempo is not None:
        found.append(goals.tempo.outcome(clip))
    return tuple(found)


def _stretched(
    take: Take, outcomes: tuple[Outcome, ...], goals: Goals
) -> tuple[Take, tuple[Outcome, ...]] | None:
    """The take at the asked tempo, where it is within MAX_STRETCH; measured again. None where no
    stretch is needed, or where it does not bring the tempo nearer.
    """
    assert goals.tempo is not None
    before = outcomes[-1]
    rate = before.asked / before.measured if before.measured else float("inf")
    if not isfinite(rate) or not MIN_STRETCH < abs(rate - 1) <= MAX_STRETCH:
        return None
    stretched = take.stretched(round(rate, 4))
    after = goals.tempo.outcome(stretched.clip)
    if after.distance >= before.distance:
        return None
    return stretched, (*outcomes[:-1], after)
