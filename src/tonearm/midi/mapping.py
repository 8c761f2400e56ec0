"""Map of controllers to knobs: 20 to 27 are the first eight of the desk, others by learning.

The file holds the pairs that the studio's page stores: `[[74, "brightness"], ...]`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from tonearm.errors import TonearmError
from tonearm.files.atomic import atomic_write

FIRST_CONTROLLER, KNOBS = 20, 8
ZERO_CONTROLLER = 64
CENTRE, HIGHEST = 64, 127
DEAD = 1  # values around the centre that are exactly zero
_Controller = Annotated[int, Field(ge=0, le=HIGHEST)]
_PAIRS: TypeAdapter[list[tuple[int, str]]] = TypeAdapter(
    list[tuple[_Controller, Annotated[str, Field(max_length=300)]]]
)


def map_path() -> Path:
    """The file of the user's own map."""
    from platformdirs import user_config_dir

    return Path(user_config_dir("tonearm", appauthor=False)) / "midi.json"


def position_of(value: int) -> float:
    """Position of a knob, -1 to 1, of a controller's value, 0 to 127; zero around the centre."""
    if abs(value - CENTRE) <= DEAD:
        return 0.0
    return (value - CENTRE) / (HIGHEST - CENTRE if value > CENTRE else CENTRE)


class MidiMap:
    """Knobs by controller.

    Args:
        path: of its file, which need not exist.

    Raises:
        TonearmError: the file is no map.
    """

    def __init__(self, path: Path):
        self._path = path
        self._learned: dict[int, str] = {}
        if path.exists():
            try:
                self._learned = dict(_PAIRS.validate_json(path.read_bytes()))
            except (ValidationError, OSError) as error:
                raise TonearmError(
                    f"{path} is no map of MIDI controllers; correct it as "
                    '[[74, "brightness"]], or delete it'
                ) from error

    def knob(self, controller: int, desk: Sequence[str]) -> str | None:
        """Name of the knob of a controller; None where it has none.

        Args:
            controller: its number.
            desk: names of the knobs on the desk.
        """
        learned = self._learned.get(controller)
        if learned is not None:
            return learned
        index = controller - FIRST_CONTROLLER
        return desk[index] if 0 <= index < min(KNOBS, len(desk)) else None

    def learn(self, controller: int, knob: str) -> None:
        """Map a controller to a knob, also in the file.

        Raises:
            TonearmError: the number of the controller is taken, or the file cannot be written.
        """
        if controller == ZERO_CONTROLLER:
            raise TonearmError(f"controller {ZERO_CONTROLLER} sets all to zero; use another one")
        self._learned[controller] = knob
        with atomic_write(self._path) as temporary:
            temporary.write_text(json.dumps(list(self._learned.items())), encoding="utf-8")
