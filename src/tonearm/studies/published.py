"""Registry of published studies, each a package of this folder that is imported at its first use.

A study is one line of STUDIES, and a package `tonearm.studies.NAME` with two modules:

    design  SMOKE and WHOLE, the sizes of a smoke run and of the whole study
    study   NAME, run_study(model, folder, design, settings, progress), estimate(model, design) and
            report(folder, page), with the results of the methods of `PublishedStudy`; run_study and
            estimate also take the options of the study as keyword arguments
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tonearm.model import Model
    from tonearm.progress import Progress
    from tonearm.studies.run import Settings


@dataclass(frozen=True)
class PublishedStudy:
    """A published study as one command.

    name     of its package, and of the study in a store
    summary  a few words that say what it is about
    options  that it takes beyond those of every study, such as genres for `--genres`; each is a
             keyword of `run` and `estimate`
    """

    name: str
    summary: str
    options: tuple[str, ...] = ()

    def run(
        self,
        model: "Model",
        folder: Path,
        smoke: bool,
        settings: "Settings",
        progress: "Progress | None" = None,
        **options: Any,
    ) -> Path | None:
        """Complete the study, and write its report.

        Args:
            model: the checkpoint.
            folder: of the store and the report.
            smoke: a few takes of everything in place of the whole study.
            settings: of the run.
            progress: called with takes done and takes in all of a stage.
            options: of this study.

        Returns:
            The path of the report; None where the limit of the settings was reached before the end.

        Raises:
            TonearmError: a value of an option, or the folder, cannot be used.
        """
        found: Path | None = self._module("study").run_study(
            model, folder, self._design(smoke), settings, progress, **options
        )
        return found

    def estimate(self, model: "Model", smoke: bool, **options: Any) -> dict[str, float]:
        """Estimate the size of the study by a few takes that are made and measured.

        Args:
            model: the checkpoint.
            smoke: a few takes of everything in place of the whole study.
            options: of this study.

        Returns:
            takes, probed (takes that were made), takes_per_hour, hours and gigabytes.

        Raises:
            TonearmError: a value of an option cannot be used.
        """
        found: dict[str, float] = self._module("study").estimate(
            model, self._design(smoke), **options
        )
        return found

    def report(self, folder: Path, page: Path | None = None) -> Path:
        """Write the report of a complete study from its store; nothing is generated.

        Args:
            folder: of the store.
            page: also write the report as Markdown to this path, with its figures and data in a
                folder of the same name.

        Returns:
            The path of the report.

        Raises:
            TonearmError: the folder has no such study, or one that is not complete.
        """
        found: Path = self._module("study").report(folder, page)
        return found

    def _design(self, smoke: bool) -> Any:
        sizes = self._module("design")
        return sizes.SMOKE if smoke else sizes.WHOLE

    def _module(self, name: str) -> Any:
        return import_module(f"tonearm.studies.{self.name}.{name}")


STUDIES: Mapping[str, PublishedStudy] = {
    one.name: one
    for one in (
        PublishedStudy("facchiano2025", "steering by directions from contrasting prompts"),
        PublishedStudy(
            "panda2025", "probes of audio that steer genres and instruments", ("genres",)
        ),
        PublishedStudy("methods2026", "steering methods ranked at equal divergence", ("sae",)),
    )
}
