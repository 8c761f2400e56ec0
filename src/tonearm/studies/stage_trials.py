"""Trials of a stage, the groups that measure them, and the measurements that a store lacks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tonearm.studies.measure_groups import Group, group
from tonearm.studies.model_groups import MODEL_GROUPS, ModelGroup
from tonearm.studies.plan import Trial
from tonearm.studies.store import Store, StoredTrial

Texts = Mapping[str, str]
# Texts, and the groups that measure a take with them
AudioJobs = tuple[tuple[Texts, tuple[str, ...]], ...]


@dataclass(frozen=True)
class StageTrials:
    """Trials of a stage.

    trials        in order
    keys          of their takes, likewise
    audio_groups  of measures on audio, by name
    model_groups  of values that the model measures, by name
    """

    trials: Sequence[Trial]
    keys: Sequence[str]
    audio_groups: Mapping[str, Group]
    model_groups: Mapping[str, ModelGroup]

    @classmethod
    def of(cls, trials: Sequence[Trial], key_of: Callable[[Trial], str]) -> "StageTrials":
        """Find the keys of trials, and load their groups.

        Raises:
            TonearmError: an unknown group or vector.
        """
        names = dict.fromkeys(name for trial in trials for name in trial.groups)
        return cls(
            trials,
            [key_of(trial) for trial in trials],
            {name: group(name) for name in names if name not in MODEL_GROUPS},
            {name: MODEL_GROUPS[name] for name in names if name in MODEL_GROUPS},
        )

    @property
    def by_key(self) -> dict[str, Trial]:
        """One trial of each take."""
        return dict(zip(self.keys, self.trials, strict=True))

    @property
    def fingerprints(self) -> dict[str, str]:
        """Fingerprint of each group, by name."""
        return {
            **{name: one.fingerprint for name, one in self.audio_groups.items()},
            **{name: one.fingerprint for name, one in self.model_groups.items()},
        }

    def stored(self) -> list[StoredTrial]:
        """The trials as a store keeps them; with their texts where a group uses them."""
        return [
            StoredTrial(key, trial.groups, self._texts(trial, trial.groups), trial.facts)
            for key, trial in zip(self.keys, self.trials, strict=True)
        ]

    def audio_jobs(self, store: Store) -> dict[str, AudioJobs]:
        """Measurements on audio that a store lacks, by the keys of the takes."""
        lacking = dict.fromkeys(
            (key, tuple(self._texts(trial, [name]).items()), name)
            for key, trial in zip(self.keys, self.trials, strict=True)
            for name in trial.groups
            if name in self.audio_groups
        )
        found: dict[str, dict[tuple[tuple[str, str], ...], list[str]]] = {}
        for key, texts, name in lacking:
            if not store.has_values(key, name, self.audio_groups[name].fingerprint, dict(texts)):
                found.setdefault(key, {}).setdefault(texts, []).append(name)
        return {
            key: tuple((dict(texts), tuple(names)) for texts, names in by_texts.items())
            for key, by_texts in found.items()
        }

    def model_jobs(self, store: Store) -> list[tuple[ModelGroup, dict[str, Trial]]]:
        """Groups of the model, each with the trials that a store lacks its values of, by key."""
        return [
            (
                one,
                {
                    key: trial
                    for key, trial in zip(self.keys, self.trials, strict=True)
                    if one.name in trial.groups
                    and not store.has_values(key, one.name, one.fingerprint, {})
                },
            )
            for one in self.model_groups.values()
        ]

    def _texts(self, trial: Trial, names: Sequence[str]) -> Texts:
        """The texts of a trial where a group of some names uses them."""
        groups = [self.audio_groups[name] for name in names if name in self.audio_groups]
        return trial.arguments if any(one.uses_texts for one in groups) else {}
