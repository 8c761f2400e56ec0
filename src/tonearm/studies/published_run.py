"""Parts that published studies share: a run in a store, its estimate, its arrays and its report."""

import time
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.report.study_page import Report, write_markdown, write_report
from tonearm.studies.plan import Study, Trial
from tonearm.studies.records import Record
from tonearm.studies.run import Settings, run
from tonearm.studies.store import Store

PROBED = 8  # takes that estimate the rate
# what NumPy and zipfile raise for damaged archives
UNREADABLE = (OSError, ValueError, EOFError, RuntimeError, BadZipFile, zlib.error)


def model_details(model: Model) -> dict[str, str]:
    """Details of a study that say what computes it: model, fingerprint and device."""
    return {
        "model": model.shape.public_name,
        "fingerprint": model.shape.fingerprint,
        "device": f"{model.checkpoint.device.type}, {model.checkpoint.precision}",
    }


def complete(
    study: Study,
    model: Model,
    store: Store,
    settings: Settings = Settings(),
    progress: Progress | None = None,
) -> bool:
    """Run a study in a store.

    Args:
        study: to be completed; each stage has at least one trial.
        model: makes the takes.
        store: of takes and measurements.
        settings: of the run.
        progress: called with takes done and takes in all of the stage.

    Returns:
        Whether every stage is complete; if not, the limit of the settings was reached.

    Raises:
        TonearmError: the store holds a run of the study with another checkpoint, whose trials would
            be replaced.
    """
    check_model(study.name, model, store)
    run(study, model, store, settings, progress)
    counts = store.counts(study.name)
    return len(counts) >= len(study.stages) and all(
        done == trials for done, trials in counts.values()
    )


def check_model(study: str, model: Model, store: Store) -> None:
    """Raise TonearmError where a store holds a run of a study with another checkpoint."""
    known = store.details(study) if study in store.studies() else {}
    if known.get("fingerprint", model.shape.fingerprint) != model.shape.fingerprint:
        raise TonearmError(
            f"{store.folder} holds a run with {known.get('model')} ({known['fingerprint']}), whose "
            f"trials would be replaced by those of {model.shape.public_name}; choose another --out, "
            "or the model of the run"
        )


def estimate_size(model: Model, probes: Sequence[Trial], takes: int) -> dict[str, float]:
    """Estimate hours and disk of a study, by takes that are made and measured in a store of their own.

    Args:
        model: makes the takes.
        probes: two trials or more without vectors, such as PROBED unsteered ones of the study; the
            first is made before the others are timed.
        takes: of the study.

    Returns:
        takes, probed (the number of probes), takes_per_hour, hours and gigabytes.
    """
    with TemporaryDirectory(prefix="tonearm-") as folder, Store(Path(folder)) as store:

        def complete_first(count: int) -> float:
            """Make the first probes that are missing; return the seconds that it took."""
            began = time.monotonic()
            study = Study("probe", {"plain": lambda found: probes[:count]}, {})
            run(study, model, store, Settings(workers=0))
            return time.monotonic() - began

        complete_first(1)  # loads the evaluators
        seconds = complete_first(len(probes)) / (len(probes) - 1)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.flac")) / len(probes)
    return {
        "takes": takes,
        "probed": len(probes),
        "takes_per_hour": 3600 / seconds,
        "hours": takes * seconds / 3600,
        "gigabytes": takes * size / 1e9,
    }


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write what the analysis needs beside the records, such as activations, as .npz."""
    with atomic_write(path) as temporary:
        np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read the arrays of `write_arrays`.

    Raises:
        TonearmError: the file is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except UNREADABLE:
        raise TonearmError(
            f"{path} is missing or damaged; run the study again with --resume, which makes no take "
            "again"
        ) from None


@dataclass(frozen=True)
class StoredStudy:
    """A complete study, as its report reads it from an open store.

    records  of all stages
    details  of the study, and takes, hours and takes_per_hour of the store
    clip     reads the audio of a record's take
    """

    records: Sequence[Record]
    details: Mapping[str, Any]
    clip: Callable[[Record], Clip]


def report_stored(
    folder: Path,
    name: str,
    stages: Iterable[str],
    make: Callable[[StoredStudy], Report],
    page: Path | None = None,
) -> Path:
    """Write the report of a complete study from its store; nothing is generated.

    Args:
        folder: of the store, in which the report is written.
        name: of the study.
        stages: that the study has.
        make: makes the report, while the store is open.
        page: also write the report as Markdown to this path, with its figures and data in a folder
            of the same name.

    Returns:
        The path of the report.

    Raises:
        TonearmError: the folder has no such study, or one that is not complete.
    """
    with Store.existing(folder) as store:
        details, counts = {**store.details(name), **store.throughput()}, store.counts(name)
        for stage in stages:
            done, trials = counts.get(stage, (0, None))
            if done != trials:
                state = "none of its" if trials is None else f"{done} of {trials}"
                raise TonearmError(
                    f"the study in {folder} is not complete: stage {stage} has {state} takes; run "
                    "it again with --resume"
                )
        made = make(
            StoredStudy(store.records(name), details, lambda record: store.clip(record["take"]))
        )
    if page is not None:
        write_markdown(made, page)
    return write_report(made, folder)
