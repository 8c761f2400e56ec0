"""Map of MIDI control changes (CC) to knobs: CC 20 to 27 are the first eight of the desk, others are
learned.

The file holds the pairs that the studio's page stores: `[[74, "brightness"], ...]`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write

FIRST_CC, KNOBS = 20, 8
ZERO_CC = 64
CENTRE, HIGHEST = 64, 127
DEAD = 1  # values around the centre that are exactly zero
_Cc = Annotated[int, Field(ge=0, le=HIGHEST)]
_PAIRS: TypeAdapter[list[tuple[int, str]]] = TypeAdapter(
    list[tuple[_Cc, Annotated[str, Field(max_length=300)]]]
)


def map_path() -> Path:
    """The file of the user's own map."""
    from platformdirs import user_config_dir

    return Path(user_config_dir("tonearm", appauthor=False)) / "midi.json"


def slider_position_of(value: int) -> float:
    """Slider position, -1 to 1, of a CC value, 0 to 127; zero around the centre."""
    if abs(value - CENTRE) <= DEAD:
        return 0.0
    return (value - CENTRE) / (HIGHEST - CENTRE if value > CENTRE else CENTRE)


class MidiMap:
    """Knobs by the number of a CC.

    Args:
        path: of its file, which need not exist.

    Raises:
        TonearmError: the file is not a map.
    """

    def __init__(self, path: Path):
        self._path = path
        self._learned: dict[int, str] = {}
        if path.exists():
            try:
                self._learned = dict(_PAIRS.validate_json(path.read_bytes()))
            except (ValidationError, OSError) as error:
                raise TonearmError(
                    f"{path} is not a map of MIDI controls; correct it as "
                    '[[74, "brightness"]], or delete it'
                ) from error

    def knob(self, cc: int, desk: Sequence[str]) -> str | None:
        """Name of the knob of a CC; None where it has none.

        Args:
            cc: its number.
            desk: names of the knobs, in their order.
        """
        learned = self._learned.get(cc)
        if learned is not None:
            return learned
        index = cc - FIRST_CC
        return desk[index] if 0 <= index < min(KNOBS, len(desk)) else None

    def learn(self, cc: int, knob: str) -> None:
        """Map a CC to a knob, also in the file.

        Args:
            cc: not ZERO_CC.
            knob: its name.

        Raises:
            TonearmError: the file cannot be written; the map has the pair all the same.
        """
        self._learned[cc] = knob
        with atomic_write(self._path) as temporary:
            temporary.write_text(json.dumps(list(self._learned.items())), encoding="utf-8")
