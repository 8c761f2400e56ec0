"""Takes of a model card: made by the study core, and kept in a store beside the card's other files.

A run that is stopped at any moment, or by a limit, continues with the takes that are missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tonearm.model import Model
from tonearm.studies.plan import Found, Study, Trial
from tonearm.studies.records import Record
from tonearm.studies.run import Settings, run
from tonearm.studies.store import Store

NAME = "model card"  # of the study in the store
FOLDER = "card"  # of the store


@contextmanager
def card_takes(
    trials: Mapping[str, Sequence[Trial]], model: Model, out: Path, settings: Settings
) -> Iterator[Found]:
    """Make and measure the takes that a store lacks, and open the store for reading their audio.

    Args:
        trials: by part of the card, which is the stage of their records.
        model: pocket.
        out: folder of the recipe; the store is in its `card/`.
        settings: of the run.

    Yields:
        The records of all trials, in order, and their audio.

    Raises:
        SystemExit: the limit of the settings was reached before the last take.
    """
    stages = {part: lambda found, planned=planned: planned for part, planned in trials.items()}
    count = sum(map(len, trials.values()))
    with Store(out / FOLDER) as store:
        records = run(Study(NAME, stages, {}, {"takes": count}), model, store, settings)
        if len(records) < count:
            raise SystemExit(
                f"the card is unchanged: {len(records)} of {count} takes are there; "
                "run the command again to continue"
            )
        yield Found(records, lambda record: store.clip(record["take"]))


def of_part(found: Found, part: str) -> list[Record]:
    """Select the records of a part."""
    return [record for record in found.records if record["stage"] == part]
