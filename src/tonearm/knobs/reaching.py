"""Takes that meet targets: words, steering, a choice among tries, and trims.

    words     a tempo in BPM is written into the prompt, in place of its own words for one
    steering  every other target becomes an amount by the table of its knob; in the second half of
              the tries, by the share of the table's effect that the first half had. A tempo that the words have
              missed is steered there too
    choice    every try is measured, and the one nearest to all targets is taken. A change is counted
              from the mean of the plain twins: takes of the same prompt and seeds without the knobs
    trims     the rest of the way, where it is short (trimming.py)

The means that acted are stated with the take.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.load import load_tracker
from tonearm.generation.request import AudioLike, TakeRequest
from tonearm.generation.take import Take, new_music
from tonearm.knobs.goals import BPM, Goals
from tonearm.knobs.outcome import TEMPO_TOLERANCE, Outcome
from tonearm.knobs.tempo_words import TempoPrompt, with_tempo
from tonearm.knobs.trimming import MAX_STRETCH, trims_for
from tonearm.model import Model
from tonearm.musicgen.sampling import Sampling
from tonearm.progress import Progress
from tonearm.steering import Steer, Steering, SteeringLike, SteeringVector, as_steering
from tonearm.steering.amounts import with_strengths
from tonearm.steering.combination import share_of, with_share
from tonearm.steering.resolve import with_public_names

TRACKER = "bundled"
MAX_TRIES = 64
WORST = 1e3  # distance of a target of which nothing was measured


@dataclass(frozen=True)
class Settings:
    """How targets may be met.

    tries    takes to choose among
    words    a tempo may be written into the prompt
    vectors  a tempo may be steered too
    trims    the audio may be trimmed
    """

    tries: int = 1
    words: bool = True
    vectors: bool = True
    trims: bool = True

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
    """One take, with its measurements.

    take     the take
    amounts  by knob
    values   of the measures of all goals, knobs first
    plain    the same of its plain twin; None where no change was asked for
    """

    take: Take
    amounts: Mapping[str, float]
    values: tuple[float | None, ...]
    plain: tuple[float | None, ...]


@dataclass(frozen=True)
class Reached:
    """A take and how it met its targets.

    take      the chosen one, trimmed
    outcomes  one per target: knobs in the order asked, then the tempo
    acted     every means that acted, in words
    tries     outcomes of all tries, before any trim
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
    trims: bool = True,
    seconds: float = 10.0,
    seed: int | None = None,
    sampling: Sampling | None = None,
    negative: str | None = None,
    continue_from: AudioLike | None = None,
    melody: AudioLike | None = None,
    tracker: BeatTracker | None = None,
    batch_size: int | None = None,
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
        trims: the audio may be trimmed: time stretch, shelving filter, gain. A take that continues
            audio never is, since that audio would be trimmed too.
        seconds: of new music, before any time stretch.
        seed: of the first try; the others use the next seeds. Default: a random one.
        sampling: as `Model.sampling` makes it.
        negative: words to steer away from.
        continue_from: audio to continue; the new music alone is measured.
        melody: audio whose melody to follow.
        tracker: of tempos; default: the bundled one.
        batch_size: takes that are decoded at once, plain twins included; default: as many as fit.
        progress: called with frames done and frames in all, of one round.

    Raises:
        TonearmError: no target, a target outside the range of its knob or with a schedule, or any
            mistake in the arguments.
    """
    boundary.instance(model, "model", Model, "a Model, as tonearm.load returns it")
    settings = Settings(tries, words, vectors, trims and continue_from is None)
    steering, given = as_steering(targets)
    if all(steer.target is None for steer in steering.steers):
        raise TonearmError("no target was given; give one such as tempo=128bpm or brightness=+3st")
    named = _vectors(model, steering, given)
    tracker = tracker or load_tracker(TRACKER)
    goals = Goals.of(steering, named, tracker)
    prompts = TempoPrompt(boundary.text(prompt, "prompt"), ())
    if goals.tempo is not None and settings.words:
        prompts = with_tempo(prompt, goals.tempo.bpm)
    first = secrets.randbelow(2**31) if seed is None else boundary.integer(seed, "seed")
    base = TakeRequest(
        prompts.text, first, Steering(), sampling, negative, seconds, continue_from, melody
    )
    made: list[Try] = []
    for count in settings.rounds:
        amounts = _amounts(goals, made, settings)
        seeds = range(first + len(made), first + len(made) + count)
        made += _round(model, base, seeds, goals, amounts, named, batch_size, progress)
    references = _references(goals, made)
    outcomes = [_outcomes(goals, one.values, references) for one in made]
    number = min(range(len(made)), key=lambda index: _distance(outcomes[index]))
    acted = _said_of_words(prompt, prompts)
    acted += [
        f"vector {name}: amount {amount:+.2f}"
        for name, amount in made[number].amounts.items()
        if amount
    ]
    take, found = made[number].take, outcomes[number]
    if len(made) > 1:
        acted.append(f"choice: try {number + 1} of {len(made)}, seed {take.provenance.seed}")
    if settings.trims:
        take, found = _trimmed(take, found, goals, references)
        acted += take.provenance.trims.texts() if take.provenance.trims else ()
    requested, _ = with_public_names(steering, named, model.vectors.public_name)
    update: dict[str, object] = {"requested": requested}
    if prompts.text != prompt:
        update["requested_prompt"] = prompt
    take = replace(take, provenance=take.provenance.model_copy(update=update))
    return Reached(take, found, tuple(acted), tuple(outcomes), tracker)


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


def _said_of_words(prompt: str, written: TempoPrompt) -> list[str]:
    """The change of the prompt, in words."""
    if written.text == prompt:
        return []
    left = ", ".join(f'"{word}"' for word in written.left_out)
    return [f'words: "{written.text}"' + (f", without {left}" if left else "")]


def _amounts(goals: Goals, made: Sequence[Try], settings: Settings) -> dict[str, float]:
    """Amounts of the next round, by knob: by the tables, then by the share of them that the tries had."""
    references = _references(goals, made)
    amounts = {}
    for place, goal in enumerate(goals.knobs):
        known = [goal.outcome(one.values[place], references[place]) for one in made]
        share = goal.share_of(known, [one.amounts[goal.steer.vector] for one in made])
        amounts[goal.steer.vector] = goal.amount(share)
    tempo = goals.tempo
    if tempo is not None and made and settings.vectors:
        tempos = [one.values[-1] for one in made if one.values[-1]]
        nearest = min(tempos, key=lambda value: abs(value / tempo.bpm - 1), default=tempo.bpm)
        reached = MAX_STRETCH if settings.trims else TEMPO_TOLERANCE
        if abs(nearest / tempo.bpm - 1) > reached:
            amounts[tempo.name] = tempo.amount_towards(nearest)
    return amounts


def _round(
    model: Model,
    base: TakeRequest,
    seeds: Sequence[int],
    goals: Goals,
    amounts: Mapping[str, float],
    vectors: Mapping[str, SteeringVector],
    batch_size: int | None,
    progress: Progress | None,
) -> list[Try]:
    """Make and measure takes of one set of amounts, with plain twins where a change was asked for."""
    asked = {goal.steer.vector: goal.steer for goal in goals.knobs}
    steers = [
        asked[name].model_copy(update={"target": None, "unit": None, "amount": amount})
        if name in asked
        else Steer(vector=name, amount=amount)
        for name, amount in amounts.items()
        if amount
    ]
    plain = goals.plain
    steered = plain.model_copy(update={"steers": (*plain.steers, *steers)})
    requests = [replace(base, seed=seed, steering=steered) for seed in seeds]
    has_twins = any(goal.is_relative for goal in goals.knobs)
    if has_twins:
        twin = _twin_steering(plain, steered, vectors)
        requests += [replace(base, seed=seed, steering=twin) for seed in seeds]
    used = {name: vector for name, vector in vectors.items() if name in _names(requests)}
    takes = list(
        model.generate_batch(requests, vectors=used, batch_size=batch_size, progress=progress)
    )
    own, twins = takes[: len(seeds)], takes[len(seeds) :]
    before = [goals.values(new_music(twin)) for twin in twins] or [()] * len(own)
    return [
        Try(take, amounts, goals.values(new_music(take)), values)
        for take, values in zip(own, before, strict=True)
    ]


def _twin_steering(
    plain: Steering, steered: Steering, vectors: Mapping[str, SteeringVector]
) -> Steering:
    """The steering of plain twins, with the strengths that its steers have in the takes: sqrt and
    mean divide by the number of all steers.
    """
    if plain.combine not in ("sqrt", "mean"):
        return plain
    return with_share(with_strengths(plain, vectors), share_of(steered))


def _names(requests: Sequence[TakeRequest]) -> set[str]:
    return {steer.vector for one in requests for steer in one.steering.steers}


def _references(goals: Goals, made: Sequence[Try]) -> list[float | None]:
    """Mean of the plain twins' values, for every knob; None without twins."""
    return [
        goal.mean([one.plain[place] for one in made if one.plain])
        for place, goal in enumerate(goals.knobs)
    ]


def _outcomes(
    goals: Goals, values: Sequence[float | None], references: Sequence[float | None]
) -> tuple[Outcome, ...]:
    """Outcomes of the knobs, then of the tempo."""
    found = [
        goal.outcome(value, reference)
        for goal, value, reference in zip(goals.knobs, values, references, strict=False)
    ]
    if goals.tempo is not None:
        found.append(goals.tempo.outcome(values[-1]))
    return tuple(found)


def _distance(outcomes: Sequence[Outcome]) -> float:
    """Sum of the squared deviations, in tolerances."""
    return sum(min(outcome.distance, WORST) ** 2 for outcome in outcomes)


def _trimmed(
    take: Take,
    outcomes: tuple[Outcome, ...],
    goals: Goals,
    references: Sequence[float | None],
) -> tuple[Take, tuple[Outcome, ...]]:
    """The take with its trims, measured again; the same take where they bring it no nearer."""
    asked = [
        (goal, goal.value_asked(reference))
        for goal, reference in zip(goals.knobs, references, strict=True)
    ]
    trims = trims_for(take.clip, goals.tempo, asked)
    if not trims:
        return take, outcomes
    trimmed = take.trimmed(trims)
    found = _outcomes(goals, goals.values(trimmed.clip), references)
    return (trimmed, found) if _distance(found) < _distance(outcomes) else (take, outcomes)
