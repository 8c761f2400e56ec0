"""Material of a study's run: takes of its store that share prompt and seed."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.listening.conditions import Condition, known_values
from tonearm.listening.material import Item, Material, TakeSource
from tonearm.studies.store import DATABASE, Store, StoredTrial
from tonearm.text import quoted

SETTING = "setting"
PromptAndSeed = tuple[int, int]  # prompt and seed


def is_run(folder: Path) -> bool:
    """Whether a folder holds a store."""
    return (folder / DATABASE).is_file()


def run_material(
    folder: Path, conditions: Sequence[Condition] = (), study: str | None = None
) -> Material:
    """Find the items of a run; takes that were not made yet do not count.

    Args:
        folder: of the run.
        conditions: by facts; none for one per setting, in a study that has settings.
        study: name of the study, where the store has several.

    Raises:
        TonearmError: no such study, a condition without takes or with several takes of one prompt
            and seed, or no item with all conditions.
    """
    with Store.existing(folder) as store:
        trials = [
            (stage, trial)
            for stage, trial in store.trials(_study(store, folder, study))
            if store.has_take(trial.key)
        ]
    if not trials:
        raise TonearmError(f"{folder} has no audio of takes; give a run that keeps its audio")
    facts = [{**trial.facts, "stage": stage} for stage, trial in trials]
    chosen = list(conditions) or _settings(facts, folder)
    names = [one.name for one in chosen]
    if len(set(names)) < len(names):
        raise TonearmError(f"two conditions are named {quoted(_repeated(names))}; rename one")
    found = {
        one.name: _takes_of(one, [trial for _, trial in trials], facts, folder) for one in chosen
    }
    shared = sorted(set.intersection(*(set(takes) for takes in found.values())))
    if not shared:
        counts = ", ".join(f"{quoted(name)} has {len(takes)}" for name, takes in found.items())
        raise TonearmError(
            f"no prompt and seed of {folder} has a take in every condition ({counts}); "
            "choose conditions of the same prompts and seeds"
        )
    return Material(tuple(names), tuple(_item(key, found, folder) for key in shared))


def _study(store: Store, folder: Path, name: str | None) -> str:
    names = store.studies()
    if name is not None and name not in names:
        known = ", ".join(names) or "none"
        raise TonearmError(f"{folder} has no study {quoted(name)}; it has {known}")
    if name is None and len(names) != 1:
        held = ", ".join(map(quoted, names)) or "no study yet"
        raise TonearmError(f"{folder} holds {held}; choose one with --study")
    return name or names[0]


def _settings(facts: Sequence[Mapping[str, Any]], folder: Path) -> list[Condition]:
    """One condition per setting."""
    if not all(SETTING in one for one in facts):
        known = ", ".join(dict.fromkeys(name for one in facts for name in one))
        raise TonearmError(
            f"the takes of {folder} have no settings; choose conditions with --condition "
            f"NAME=FACT:VALUE,..., by the facts {known}"
        )
    return [
        Condition(name, {SETTING: name}) for name in dict.fromkeys(one[SETTING] for one in facts)
    ]


def _takes_of(
    condition: Condition,
    trials: Sequence[StoredTrial],
    facts: Sequence[Mapping[str, Any]],
    folder: Path,
) -> dict[PromptAndSeed, StoredTrial]:
    """Takes of a condition by prompt and seed."""
    _check_facts(condition, facts, folder)
    found: dict[PromptAndSeed, StoredTrial] = {}
    for trial, known in zip(trials, facts, strict=True):
        if not condition.matches(known):
            continue
        if not isinstance(known.get("prompt"), int) or not isinstance(known.get("seed"), int):
            raise TonearmError(
                f"takes of condition {quoted(condition.name)} have no prompt and seed, by which "
                "takes are compared; choose other facts"
            )
        first = found.setdefault((known["prompt"], known["seed"]), trial)
        if first.key != trial.key:
            differing = [name for name in trial.facts if trial.facts[name] != first.facts.get(name)]
            raise TonearmError(
                f"condition {quoted(condition.name)} has two takes of prompt {known['prompt']} and "
                f"seed {known['seed']}; choose one by {', '.join(differing) or 'stage'}"
            )
    if not found:
        raise TonearmError(
            f"no take of {folder} has all facts of condition {quoted(condition.name)}; "
            "leave one out, or give another value"
        )
    return found


def _check_facts(condition: Condition, facts: Sequence[Mapping[str, Any]], folder: Path) -> None:
    """Refuse a fact or a value that no take has."""
    for name, text in condition.facts.items():
        if not any(name in one for one in facts):
            known = ", ".join(dict.fromkeys(fact for one in facts for fact in one))
            raise TonearmError(f"takes of {folder} have no fact {quoted(name)}; they have {known}")
        if not any(Condition("", {name: text}).matches(one) for one in facts):
            raise TonearmError(
                f"no take of {folder} has {name}:{text}; {name} is {known_values(facts, name)}"
            )


def _item(
    key: PromptAndSeed, found: Mapping[str, Mapping[PromptAndSeed, StoredTrial]], folder: Path
) -> Item:
    prompt, seed = key
    trials = {name: takes[key] for name, takes in found.items()}
    texts = dict.fromkeys(trial.arguments.get("text") for trial in trials.values())
    return Item(
        f"prompt {prompt}, seed {seed}",
        next(iter(texts)) if len(texts) == 1 else None,
        {
            name: TakeSource(f"take {trial.key}", partial(_read, folder, trial.key))
            for name, trial in trials.items()
        },
    )


def _read(folder: Path, key: str) -> Clip:
    with Store.existing(folder) as store:
        return store.clip(key)


def _repeated(names: Sequence[str]) -> str:
    return next(name for name in names if names.count(name) > 1)
