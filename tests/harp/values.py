"""Values that HARP would send: the defaults of a panel, some of them changed."""

from typing import Any

from tonearm.harp.panel import Panel


def values_of(panel: Panel, **changed: Any) -> list[Any]:
    """Values of all controls in their order; `brightness` is short for `target/brightness`."""
    names = {"brightness": "target/brightness"}
    given = {names.get(name, name): value for name, value in changed.items()}
    assert given.keys() <= panel.controls.keys()
    defaults = {name: control.to_dict()["value"] for name, control in panel.controls.items()}
    return list((defaults | {"prompt": "a folk tune", "seconds": 1, "seed": "3"} | given).values())
