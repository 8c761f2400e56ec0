"""Measuring by the model on the codes of plain takes, which are made where the store lacks them."""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace

from tonearm.steering import Steering
from tonearm.studies.making import TakeMaker
from tonearm.studies.model_groups import ModelGroup
from tonearm.studies.plan import Trial
from tonearm.studies.store import Values

log = logging.getLogger(__name__)

REQUESTS_PER_CALL = 64  # whose values are stored together; the memory decides the rows of a pass


def measure_by_model(
    group: ModelGroup, trials: Mapping[str, Trial], maker: TakeMaker
) -> Iterator[list[Values]]:
    """Measure steered requests, some at a time.

    Args:
        group: measures.
        trials: with steering, by the keys that the values are stored under.
        maker: of the plain takes.

    Raises:
        TonearmError: a mistake in a request, or the store cannot be written.
    """
    plain = {key: _plain(trial) for key, trial in trials.items()}
    plain_keys = {key: maker.key(trial) for key, trial in plain.items()}
    absent = {
        plain_keys[key]: trial
        for key, trial in plain.items()
        if not maker.store.has_codes(plain_keys[key])
    }
    for _ in maker.make(absent):
        pass
    by_length: dict[float, list[str]] = {}
    for key, trial in trials.items():
        by_length.setdefault(trial.request.seconds, []).append(key)
    for same in by_length.values():
        for first in range(0, len(same), REQUESTS_PER_CALL):
            chunk = same[first : first + REQUESTS_PER_CALL]
            requests = [trials[key].request for key in chunk]
            codes = [maker.store.codes(plain_keys[key]) for key in chunk]
            records = group.measure(maker.model, requests, codes, maker.vectors)
            yield [
                Values(key, group.name, group.fingerprint, {}, record)
                for key, record in zip(chunk, records, strict=True)
            ]
            log.info("%s: %d of %d takes", group.name, first + len(chunk), len(same))


def _plain(trial: Trial) -> Trial:
    return replace(trial, request=replace(trial.request, steering=Steering()), processing=None)
