"""Synthetic listeners, who answer the sheets of a test."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tonearm.listening import Key, Result
from tonearm.listening.allocation import sheet_of
from tonearm.listening.schema import RESULT_FORMAT, Answer

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
Behaviour = Callable[[list[str]], "int | list[int]"]  # conditions as presented -> side, or ratings


def result_of(key: Key, listener: str, behaviour: Behaviour, answered: int | None = None) -> Result:
    """Result of a listener.

    Args:
        key: of the test.
        listener: id.
        behaviour: answer to a trial by the conditions of its stimuli in order.
        answered: trials; None for all.
    """
    test = key.test
    sheet = sheet_of(listener, len(test.sheets))
    answers = []
    for number, row in enumerate(test.sheets[sheet][:answered]):
        trial = test.trials[row[0]]
        order = tuple(trial.stimuli[index] for index in row[1:])
        given = behaviour([key.condition(trial.name, name) for name in order])
        answers.append(
            Answer(
                trial=trial.name,
                order=order,
                chosen=None if isinstance(given, list) else order[given],
                ratings=dict(zip(order, given, strict=True)) if isinstance(given, list) else None,
                at=START + timedelta(seconds=30 * number),
                seconds=20.0,
                switches=5,
                comment="",
            )
        )
    is_whole = len(answers) == len(test.trials)
    return Result(
        kind="tonearm listening result",
        format=RESULT_FORMAT,
        test=test.digest,
        listener=listener,
        equipment="headphones",
        sheet=sheet,
        started=START,
        finished=START + timedelta(hours=1) if is_whole else None,
        level=None,
        answers=tuple(answers),
        comment="",
    )


def write(result: Result, path: Path) -> Path:
    """Write a result as the page does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result.model_dump(mode="json"), indent=1))
    return path
