"""Material of folders of `tonearm compare`: each is one item, its takes are the conditions."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.provenance import read_sidecar
from tonearm.listening.material import Item, Material, TakeSource

PLAIN = "plain"


def is_comparison(folder: Path) -> bool:
    """Whether a folder holds a comparison: its plain take and a steered one, with sidecars."""
    return all(
        (folder / f"{name}{ending}").is_file()
        for name in (PLAIN, "steered-1")
        for ending in (".wav", ".json")
    )


def comparison_material(folders: Sequence[Path]) -> Material:
    """Find the items of comparisons.

    Conditions are named by their steering, as the page of the comparison names them.

    Raises:
        TonearmError: a sidecar cannot be read, or the comparisons have other steerings.
    """
    items = [_item(folder) for folder in folders]
    conditions = list(items[0].takes)
    for folder, item in zip(folders, items, strict=True):
        if set(item.takes) != set(conditions):
            raise TonearmError(
                f"{folder} compares {'; '.join(item.takes)}, and {folders[0]} compares "
                f"{'; '.join(conditions)}; give comparisons of the same steerings"
            )
    return Material(tuple(conditions), tuple(items))


def _item(folder: Path) -> Item:
    sidecars = [folder / f"{PLAIN}.json", *_steered(folder)]
    provenances = [read_sidecar(path) for path in sidecars]
    names = [PLAIN, *(one.statement for one in provenances[1:])]
    if len(set(names)) < len(names):
        raise TonearmError(f"{folder} has two takes of the same steering; compare different ones")
    takes = {
        name: TakeSource(
            f"{folder.name}/{path.stem}.wav", partial(Clip.read, path.with_suffix(".wav"))
        )
        for name, path in zip(names, sidecars, strict=True)
    }
    plain = provenances[0]
    text = None if plain.sections else plain.prompt  # of a take of several prompts, no one is right
    return Item(f"{folder.name}, seed {plain.seed}", text, takes)


def _steered(folder: Path) -> list[Path]:
    found = folder.glob("steered-*.json")
    return sorted(found, key=lambda path: (len(path.stem), path.stem))
