"""Asked against measured: the knobs of pocket on prompts that calibrated nothing.

    python -m benchmarks.knobs --store build/knob-check               # resumable
    python -m benchmarks.knobs --store build/knob-check --page docs/knobs.md

    tempo    a BPM drawn from 80 to 160 for each held-out prompt, three ways of asking: the prompt says
             nothing of a tempo, it says another one in a word that the knob leaves out, or in a word
             that it does not know
    drums    "without drums" on held-out prompts of genres with drums: amounts -1 and -2 of the knob, the
             quietest drums of four tries, the words in the prompt, and the harmonic part of plain and
             of steered takes
    change   60 % of the range of each sign of a knob with a physical unit, on each held-out prompt:
             open loop, choice among four tries, each with and without trims, and closed loop, which
             for brightness, loudness and tempo also holds levels as an inner loop; a change is counted
             from the mean of four plain takes of the prompt, and prompts of which none has the
             measure are left out

The unit is the prompt; every number is of held-out prompts. Rows are appended to JSON Lines as they are
measured, and a run that was stopped continues.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from librosa.effects import harmonic

import tonearm
from benchmarks.knob_levels import level_table
from benchmarks.rows import Row, Rows
from tonearm.audio import Clip
from tonearm.datasets import prompts
from tonearm.errors import TonearmError
from tonearm.evaluators.base import BeatTracker
from tonearm.evaluators.clap import ClapEvaluator
from tonearm.evaluators.librosa_tracker import LibrosaTracker
from tonearm.evaluators.load import default_tagger, load_clap, load_tracker
from tonearm.generation.request import TakeRequest
from tonearm.generation.take import Take
from tonearm.knobs import Reached, reach
from tonearm.knobs.actuators import LevelActuator
from tonearm.knobs.closed_loop import follow
from tonearm.knobs.goals import Goals, KnobGoal
from tonearm.measures import faults, measure_clap_score, measure_loudness, measure_tempo
from tonearm.measures.high_onset_level import measure_high_onset_level
from tonearm.measures.tags import measure_tags
from tonearm.model import Model
from tonearm.steering import Steer, Steering, load_vector
from tonearm.steering.targets import knob_range

PROMPTS = 30
TRIES = 4
LOWEST_BPM, HIGHEST_BPM = 80, 160
SEEDS = {"tempo": 50_000, "change": 60_000, "drums": 65_000}
EXPERIMENTS = ("tempo", "drums", "change")
DRUM_GENRES = ("rock", "hip", "electro", "house", "techno", "dance", "funk", "reggae")
SHARE = 0.6  # of a range
Levels = Sequence[tuple[float, float]]
PHYSICAL = ("st", "lu", "onsets", "db", "%")
HELD = ("brightness", "loudness", "tempo")  # knobs whose levels are held too
# A word for another tempo than the one asked: in the list that is left out, and beyond it.
KNOWN_WORDS = {"slow": "slow", "fast": "fast"}
OTHER_WORDS = {"slow": "languid", "fast": "lively"}


TEMPO_ARMS: dict[str, dict[str, Any]] = {
    "as written": {"words": False, "vectors": False, "trims": False},
    "words": {"vectors": False, "trims": False},
    "words, stretch": {"vectors": False},
    "words, choice of 4": {"tries": TRIES, "vectors": False, "trims": False},
    "words, choice of 4, stretch": {"tries": TRIES, "vectors": False},
    "words, vector, choice of 4, stretch": {"tries": TRIES},
}


class Remembering(Model):
    """A model that makes equal takes of one experiment once: arms share their tries.

    Args:
        model: to generate with.
        known: takes that exist already, by their requests.
    """

    def __init__(self, model: Model, known: Mapping[TakeRequest, Take] = {}):
        vars(self).update(vars(model))
        self.takes = {_key(request): take for request, take in known.items()}

    def generate_batch(  # type: ignore[override]
        self, requests: Sequence[TakeRequest], **options: Any
    ) -> Iterator[Take]:
        absent = [one for one in requests if _key(one) not in self.takes]
        made = super().generate_batch(absent, **options) if absent else ()
        for one, take in zip(absent, made, strict=True):
            self.takes[_key(one)] = take
        return iter([self.takes[_key(one)] for one in requests])


def _key(request: TakeRequest) -> tuple[str, int, Steering]:
    return request.prompt, request.seed, request.steering


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", type=Path, default=Path("build/knob-check"))
    parser.add_argument("--vectors", type=Path, help="folder of vectors; default: the bundled ones")
    parser.add_argument("--only", nargs="*", choices=EXPERIMENTS, help="experiments")
    parser.add_argument("--knobs", nargs="*", help="of the experiment change; default: all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    model = tonearm.load(dtype="float32")
    for path in sorted(arguments.vectors.glob("*.safetensors")) if arguments.vectors else ():
        model.vectors[path.stem] = load_vector(path)
    experiments = arguments.only or EXPERIMENTS
    if "tempo" in experiments:
        tempo(model, Rows(arguments.store / "tempo.jsonl"))
    if "drums" in experiments:
        without_drums(model, Rows(arguments.store / "drums.jsonl"))
    if "change" in experiments:
        rows = Rows(arguments.store / "change.jsonl")
        for name in arguments.knobs or list(model.vectors):
            change(model, name, rows)
    if arguments.page:
        from benchmarks.knobs_page import write_page

        write_page(arguments.store, arguments.page)


def tempo(given: Model, rows: Rows) -> None:
    """Ask for tempos."""
    texts = prompts.held_out()[:PROMPTS]
    asked = np.random.default_rng(1).integers(LOWEST_BPM, HIGHEST_BPM + 1, len(texts))
    for index, (text, bpm) in enumerate(zip(texts, asked.tolist(), strict=True)):
        model = Remembering(given)
        for kind, prompt in _tempo_prompts(text, bpm):
            seed = SEEDS["tempo"] + TRIES * index
            facts = {"experiment": "tempo", "kind": kind, "prompt": index, "asked": bpm}
            steer = Steer(vector="tempo", target=bpm, unit="bpm")
            arms = {
                arm: _asking(model, prompt, steer, settings, seed)
                for arm, settings in TEMPO_ARMS.items()
            }
            arms["vector alone"] = _vector_alone(model, prompt, bpm, seed)
            for arm, run in arms.items():
                rows.complete(f"{kind}|{index}|{arm}", {**facts, "arm": arm}, run)


def _tempo_prompts(text: str, bpm: int) -> Iterator[tuple[str, str]]:
    """A prompt that says nothing of a tempo, and two that say another one."""
    other = "slow" if bpm >= (LOWEST_BPM + HIGHEST_BPM) / 2 else "fast"
    yield "says nothing", text
    yield "says another, known word", f"{text}, {KNOWN_WORDS[other]}"
    yield "says another, unknown word", f"{text}, {OTHER_WORDS[other]}"


def _vector_alone(model: Remembering, prompt: str, bpm: float, seed: int) -> Callable[[], Row]:
    """The open loop of the vector, at the end of its range where the tempo is beyond it."""

    def run() -> Row:
        knob = knob_range(model.vectors["tempo"])
        change = knob.unit.change(knob.plain, bpm)
        amount = knob.amount_for(min(max(change, knob.low), knob.high))
        take = model.generate(prompt, steer={"tempo": amount}, seed=seed)
        measured = measure_tempo(take.clip, _tracker()).measurement.number
        return {"value": measured, **_quality(take.clip, prompt)}

    return run


def _reached(found: Reached, prompt: str) -> Row:
    outcome = found.outcomes[-1]
    return {
        "value": outcome.value,
        "acted": list(found.acted),
        **_quality(found.take.clip, prompt),
    }


@cache
def _clap() -> ClapEvaluator:
    return load_clap("bundled")


@cache
def _tracker() -> BeatTracker:
    return load_tracker("bundled")


def _quality(clip: Clip, prompt: str) -> Row:
    return {
        "librosa": measure_tempo(clip, LibrosaTracker()).measurement.number,
        "clap": measure_clap_score(clip, _clap(), prompt).number,
        "faulty": bool(faults(clip)),
    }


def without_drums(model: Model, rows: Rows) -> None:
    """Take the drums out: by the knob, words, choice, separation, and these together."""
    tagger = default_tagger()
    texts = [
        text for text in prompts.held_out() if any(genre in text.lower() for genre in DRUM_GENRES)
    ]

    def measured(clip: Clip, text: str) -> Row:
        tags = measure_tags(clip, tagger).probabilities or {}
        return {
            "level": measure_high_onset_level(clip).number,
            "tag": tags.get("drums"),
            "loudness": measure_loudness(clip).number,
            **_quality(clip, text),
        }

    for index, text in enumerate(texts):
        facts = {"experiment": "drums", "prompt": index}
        for arm, clip_of in _drum_arms(model, text, SEEDS["drums"] + index).items():
            rows.complete(
                f"{index}|{arm}",
                {**facts, "arm": arm},
                lambda clip_of=clip_of, text=text: measured(clip_of(), text),
            )


def _drum_arms(model: Model, text: str, seed: int) -> dict[str, Callable[[], Clip]]:
    """Ways to take the drums out of a prompt's take, each of which makes its clip when called."""
    seeds = [seed + 1000 * number for number in range(TRIES)]  # the others' seeds are between

    @cache
    def made(amount: float, number: int = 0, words: str = "") -> Clip:
        return model.generate(text + words, steer={"drums": amount}, seed=seeds[number]).clip

    def quietest(amount: float) -> Clip:
        return min((made(amount, number) for number in range(TRIES)), key=_high_onsets)

    return {
        "plain": lambda: made(0),
        "knob": lambda: made(-1),
        "knob, amount -2": lambda: made(-2),
        "choice of 4": lambda: quietest(0),
        "knob, choice of 4": lambda: quietest(-1),
        "words": lambda: made(0, words=", without drums"),
        "separation": lambda: _harmonic(made(0)),
        "knob, separation": lambda: _harmonic(made(-1)),
        "knob, choice of 4, separation": lambda: _harmonic(quietest(-1)),
    }


def _high_onsets(clip: Clip) -> float:
    level = measure_high_onset_level(clip).number
    return float("inf") if level is None else level


def _harmonic(clip: Clip) -> Clip:
    return Clip(harmonic(clip.samples), clip.sample_rate)


def change(given: Model, name: str, rows: Rows) -> None:
    """Ask a knob for a share of the range of each of its signs."""
    try:
        knob = knob_range(given.vectors[name])
    except TonearmError:
        return
    if knob.unit.name not in PHYSICAL:
        return
    held = Rows(rows.path.with_name("levels.jsonl"))
    levels = level_table(given, name, held, _tracker()) if name in HELD else None
    for sign, response in knob.responses.items():
        asked = round(SHARE * response.limit, 2)
        steer = Steer(vector=name, target=asked, unit=knob.unit.name)
        (goal,) = Goals.of(Steering(steers=(steer,)), given.vectors, _tracker()).knobs
        for index, prompt in enumerate(prompts.held_out()[:PROMPTS]):
            seed = SEEDS["change"] + TRIES * index
            plain = _plain_takes(given, prompt, seed)
            model = Remembering(given, plain)
            clips = [take.clip for take in plain.values()]
            open_loop, four = {"trims": False}, {"tries": TRIES}
            facts = {
                "experiment": "change",
                "knob": name,
                "sign": sign,
                "prompt": index,
                "asked": asked,
                "unit": knob.unit.name,
            }
            key = f"{name}|{sign}|{index}"
            rows.complete(f"{key}|plain", {**facts, "arm": "plain"}, _plain(clips, prompt, goal))
            if rows.by_key[f"{key}|plain"]["reference"] is None:  # no confirmed beat
                continue
            arms = {
                "open loop": _asking(model, prompt, steer, open_loop, seed),
                "choice of 4": _asking(model, prompt, steer, open_loop | four, seed),
                "choice of 4, trims": _asking(model, prompt, steer, four, seed),
                "closed loop": _following(model, prompt, steer, clips, seed),
            }
            if levels is not None:
                arms["levels, open loop"] = _holding(model, prompt, goal, levels, seed)
                arms["levels, closed loop"] = _following(model, prompt, steer, clips, seed, levels)
            for arm, run in arms.items():
                rows.complete(f"{key}|{arm}", {**facts, "arm": arm}, run)


@cache
def _plain_takes(model: Model, prompt: str, seed: int) -> dict[TakeRequest, Take]:
    """The plain takes of all seeds."""
    requests = [TakeRequest(prompt, seed + number) for number in range(TRIES)]
    return dict(zip(requests, model.generate_batch(requests), strict=True))


def _plain(clips: Sequence[Clip], prompt: str, goal: KnobGoal) -> Callable[[], Row]:
    """The mean of the plain takes, and the quality of the first."""

    def run() -> Row:
        reference = goal.mean([goal.reader(clip) for clip in clips])
        return {"reference": reference, **_quality(clips[0], prompt)}

    return run


def _asking(
    model: Remembering, prompt: str, steer: Steer, settings: dict[str, Any], seed: int
) -> Callable[[], Row]:
    def run() -> Row:
        found = reach(model, prompt, steer, seed=seed, tracker=_tracker(), **settings)
        return _reached(found, prompt)

    return run


def _following(
    model: Remembering,
    prompt: str,
    steer: Steer,
    plain: Sequence[Clip],
    seed: int,
    levels: Levels | None = None,
) -> Callable[[], Row]:
    def run() -> Row:
        found = follow(
            model, prompt, steer, seed=seed, levels=levels, plain=plain, tracker=_tracker()
        )
        return {
            "value": found.outcome.value,
            "amounts": [list(one) for one in found.values],
            **_quality(found.take.clip, prompt),
        }

    return run


def _holding(
    model: Remembering, prompt: str, goal: KnobGoal, levels: Levels, seed: int
) -> Callable[[], Row]:
    """The level of the table, held from start to end."""

    def run() -> Row:
        actuator = LevelActuator(levels)
        steer = {goal.steer.vector: actuator.steer(actuator.value_for(goal.effect))}
        clip = model.generate(prompt, steer=steer, seed=seed).clip
        return {"value": goal.reader(clip), **_quality(clip, prompt)}

    return run


if __name__ == "__main__":
    main()
