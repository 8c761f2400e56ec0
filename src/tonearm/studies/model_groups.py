"""Groups of values that the model measures, on codes and without audio.

    divergence   KL(steered || plain) in nats per frame, teacher-forced on the codes of the plain
                 take: that of the same request without steering

The other groups measure audio (`tonearm.studies.measure_groups`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tonearm.generation.request import TakeRequest
from tonearm.measures import Measurement
from tonearm.model import Model
from tonearm.studies.plan import Vectors

DIVERGENCE = "divergence"
PROTOCOL = "KL(steered || plain), teacher-forced on the plain take's codes"


@dataclass(frozen=True)
class ModelGroup:
    """Values that the model measures on the codes of plain takes.

    name         in trials and stores
    fingerprint  identifies the protocol
    measure      values of steered requests of one length, on the codes [K, T] of their plain takes
    uses_texts   the values depend on further texts
    """

    name: str
    fingerprint: str
    measure: Callable[
        [Model, Sequence[TakeRequest], Sequence[np.ndarray], Vectors], list[dict[str, Any]]
    ]
    uses_texts: bool = False


def _divergence(
    model: Model, requests: Sequence[TakeRequest], plain: Sequence[np.ndarray], vectors: Vectors
) -> list[dict[str, Any]]:
    return [
        {DIVERGENCE: Measurement(DIVERGENCE, nats, "nats per frame", PROTOCOL).to_dict()}
        for nats in model.divergence(requests, plain, vectors=vectors)
    ]


MODEL_GROUPS: Mapping[str, ModelGroup] = {
    DIVERGENCE: ModelGroup(DIVERGENCE, "KL(steered || plain) 1", _divergence)
}
