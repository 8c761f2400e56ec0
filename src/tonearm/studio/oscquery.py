"""OSCQuery: the OSC addresses as JSON, with which controllers label themselves.

Source: OSCQuery proposal (Vidvox), attributes FULL_PATH, DESCRIPTION, TYPE, ACCESS, VALUE, RANGE,
UNIT and CONTENTS. It is served below /oscquery, and not announced over the network.
"""

from typing import Any

from tonearm.errors import TonearmError
from tonearm.live import Manifest
from tonearm.live.state import SessionState
from tonearm.studio.osc import BUTTONS, ROOT, values_of
from tonearm.text import quoted

READ, WRITE, BOTH = 1, 2, 3
WITHOUT_VALUES = {  # address -> type of its arguments, access
    f"{ROOT}/sync": ("", WRITE),
    f"{ROOT}/error": ("s", READ),
    f"{ROOT}/status/applied": ("sii", READ),
    f"{ROOT}/status/buffer_ms": ("f", READ),
    f"{ROOT}/status/underruns": ("i", READ),
}
TYPES = {float: "f", int: "i", str: "s"}


def host_info(port: int) -> dict[str, Any]:
    """The answer to ?HOST_INFO: the UDP port, and the attributes that are served."""
    attributes = ("VALUE", "RANGE", "TYPE", "ACCESS", "DESCRIPTION", "UNIT")
    return {
        "NAME": "Tonearm",
        "OSC_PORT": port,
        "OSC_TRANSPORT": "UDP",
        "EXTENSIONS": dict.fromkeys(attributes, True),
    }


def node_at(path: str, manifest: Manifest, state: SessionState) -> dict[str, Any]:
    """The node of a path, with everything below it.

    Raises:
        TonearmError: there is none.
    """
    node = tree(manifest, state)
    for part in filter(None, path.split("/")):
        found = node.get("CONTENTS", {}).get(part)
        if found is None:
            raise TonearmError(f"there is no address {quoted(path)}")
        node = found
    return node


def tree(manifest: Manifest, state: SessionState) -> dict[str, Any]:
    """All addresses, as the root node."""
    root: dict[str, Any] = {"FULL_PATH": "/", "ACCESS": 0, "CONTENTS": {}}
    for address, value in values_of(manifest, state):
        is_read = address.startswith(f"{ROOT}/status")
        _add(
            root, address, {"VALUE": [value], "TYPE": TYPES[type(value)]}, READ if is_read else BOTH
        )
    for address, (types, access) in WITHOUT_VALUES.items():
        _add(root, address, {"TYPE": types}, access)
    for name in BUTTONS:
        _add(root, f"{ROOT}/transport/{name}", {"TYPE": "i"}, WRITE)
    for knob in manifest.knobs:
        if knob.name not in state.knobs:
            continue
        limits = {"MIN": knob.negative.limit, "MAX": knob.positive.limit}
        words = f"{knob.negative.word} to {knob.positive.word}"
        fields = {"RANGE": [limits], "DESCRIPTION": words, "UNIT": [knob.unit or "amount"]}
        _add(root, f"{ROOT}/knob/{knob.name}", fields, BOTH)
    for setting in manifest.settings:
        fields = {
            "RANGE": [{"MIN": setting.low, "MAX": setting.high}],
            "DESCRIPTION": setting.label,
        }
        _add(root, f"{ROOT}/{setting.target}", fields, BOTH)
    _add(root, f"{ROOT}/ab", {"DESCRIPTION": "0 steered, 1 plain"}, BOTH)
    return root


def _add(root: dict[str, Any], address: str, fields: dict[str, Any], access: int) -> None:
    node, path = root, ""
    for part in address.strip("/").split("/"):
        path = f"{path}/{part}"
        contents = node.setdefault("CONTENTS", {})
        node = contents.setdefault(part, {"FULL_PATH": path, "ACCESS": 0})
    node.update(fields, ACCESS=access)
