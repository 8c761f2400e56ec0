"""Material of a folder: a run of a study, comparisons, or folders of conditions."""

import os
from collections.abc import Sequence
from pathlib import Path

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.listening.comparison_source import comparison_material, is_comparison
from tonearm.listening.conditions import Condition
from tonearm.listening.folder_source import folder_material
from tonearm.listening.material import Material
from tonearm.listening.run_source import is_run, run_material


def read_material(
    sources: Sequence[str | os.PathLike[str]],
    conditions: Sequence[Condition] = (),
    study: str | None = None,
) -> Material:
    """Find the items and conditions of a listening test.

    Args:
        sources: one run of a study; one or more folders of `tonearm compare`, each an item; or one
            folder with a folder per condition, whose files of one name are an item.
        conditions: of a run, by the facts of its records; none for its settings.
        study: of a run that holds several.

    Raises:
        TonearmError: a source is none of these, or they have no item with all conditions.
    """
    folders = [Path(one) for one in boundary.sequence(sources, "sources", boundary.path, "folders")]
    if not folders:
        raise TonearmError("there are no takes; give a run, comparisons or a folder of conditions")
    absent = next((one for one in folders if not one.is_dir()), None)
    if absent is not None:
        raise TonearmError(f"no folder at {absent}; give a run, a comparison or a folder of takes")
    if len(folders) == 1 and is_run(folders[0]):
        return run_material(folders[0], conditions, study)
    if conditions or study is not None:
        option = "--condition" if conditions else "--study"
        raise TonearmError(f"{option} applies to the run of a study, but {folders[0]} is not one")
    if all(map(is_comparison, folders)):
        return comparison_material(folders)
    if len(folders) > 1:
        other = next(one for one in folders if not is_comparison(one))
        raise TonearmError(
            f"{other} is not a folder of tonearm compare; several folders must all be comparisons"
        )
    return folder_material(folders[0])
