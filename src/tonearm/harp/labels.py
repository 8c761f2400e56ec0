"""Labels in HARP's form: marks on the waveform of the answer, with a text and a description."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

OPACITY = 0x80
# red, green, blue
GREY, BLUE, ORANGE, RED = 0x7F8C8D, 0x2E86C1, 0xD68910, 0xC0392B


@dataclass(frozen=True)
class Label:
    """A mark on the waveform.

    start        in seconds
    seconds      its length
    text         that is shown on it
    description  that is shown in a tooltip
    colour       red, green and blue
    """

    start: float
    seconds: float
    text: str
    description: str
    colour: int

    def to_dict(self) -> dict[str, Any]:
        """The label as HARP reads it; a label without an amplitude stands above the waveform."""
        return {
            "label_type": "AudioLabel",
            "t": round(self.start, 3),
            "duration": round(self.seconds, 3),
            "label": self.text,
            "description": self.description,
            "color": OPACITY << 24 | self.colour,
            "link": None,
            "amplitude": None,
        }


def label_list(labels: Iterable[Label]) -> dict[str, Any]:
    """A list of labels as HARP reads it; it recognises the list by `meta`."""
    return {"meta": {"_type": "pyharp.LabelList"}, "labels": [one.to_dict() for one in labels]}
