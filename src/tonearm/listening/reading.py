"""Key and result files of a listening test, and their checks against each other."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tonearm import boundary
from tonearm.errors import TonearmError
from tonearm.files.text_file import read_json
from tonearm.listening.allocation import sheet_of
from tonearm.listening.schema import KEY, Answer, Key, Result
from tonearm.schema import validated
from tonearm.text import quoted

RESULT_REMEDY = "give a file that the page of the test has saved"


@dataclass(frozen=True)
class ResultSet:
    """Results of a test, one per listener.

    results     in the order of the files
    incomplete  listeners whose result lacks answers
    superseded  files that hold an earlier state of a listener's session
    """

    results: tuple[Result, ...]
    incomplete: tuple[str, ...]
    superseded: tuple[Path, ...]


def read_key(path: str | os.PathLike[str]) -> Key:
    """Read a key.

    Args:
        path: of the file, or of the test's folder.

    Raises:
        TonearmError: the file is absent, or no key.
    """
    path = Path(boundary.path(path, "key"))
    path = path / KEY if path.is_dir() else path
    remedy = f"give the folder of tonearm listen make, or its {KEY}"
    content = read_json(path, "key of a listening test", remedy)
    key: Key = validated(Key, content, str(path))
    return key


def read_results(paths: Sequence[str | os.PathLike[str]], key: Key) -> ResultSet:
    """Read result files.

    Args:
        paths: of files, and of folders with .json files.
        key: of the test.

    Raises:
        TonearmError: no file, one that is no result of this test, the same content twice, or two
            sessions of one listener.
    """
    kept: dict[str, tuple[Path, Result]] = {}
    contents: dict[str, Path] = {}
    superseded: list[Path] = []
    given = boundary.sequence(paths, "results", boundary.path, "paths of result files")
    for path in _files([Path(one) for one in given]):
        result = read_result(path, key)
        if result.digest in contents:
            raise TonearmError(
                f"{path} has the same content as {contents[result.digest]}; give one of them"
            )
        contents[result.digest] = path
        earlier = kept.get(result.listener)
        if earlier is not None:
            shorter, longer = sorted([earlier, (path, result)], key=lambda one: _progress(one[1]))
            if not _continues(longer[1], shorter[1]):
                raise TonearmError(
                    f"{path} and {earlier[0]} are two sessions of listener "
                    f"{quoted(result.listener)}; give one of them"
                )
            superseded.append(shorter[0])
            kept[result.listener] = longer
        else:
            kept[result.listener] = (path, result)
    results = tuple(result for _, result in kept.values())
    incomplete = tuple(one.listener for one in results if not is_complete(one, key))
    return ResultSet(results, incomplete, tuple(superseded))


def is_complete(result: Result, key: Key) -> bool:
    """Whether a result answers every trial."""
    return len(result.answers) == len(key.test.trials)


def read_result(path: Path, key: Key) -> Result:
    """Read one result file, and check it against the key.

    Raises:
        TonearmError: no result, one of another test, or answers that the test cannot have.
    """
    content = read_json(path, "result of a listening test", RESULT_REMEDY)
    result: Result = validated(Result, content, str(path))
    if result.test != key.test.digest:
        raise TonearmError(
            f"{path} is of another test ({result.test[:12]}) than the key "
            f"({key.test.digest[:12]}); {RESULT_REMEDY}"
        )
    fault = _fault(result, key)
    if fault:
        raise TonearmError(f"{path} {fault}; {RESULT_REMEDY}, unchanged")
    return result


def _fault(result: Result, key: Key) -> str:
    """Why the test cannot have given a result, or ""."""
    test = key.test
    if result.sheet != sheet_of(result.listener, len(test.sheets)):
        return f"has sheet {result.sheet}, which is not that of listener {quoted(result.listener)}"
    sheet = test.sheets[result.sheet]
    if len(result.answers) > len(sheet):
        return f"has {len(result.answers)} answers to {len(sheet)} trials"
    for number, (answer, row) in enumerate(zip(result.answers, sheet, strict=False), start=1):
        trial = test.trials[row[0]]
        order = tuple(trial.stimuli[index] for index in row[1:])
        if (answer.trial, answer.order) != (trial.name, order):
            return f"has stimuli in answer {number} that differ from its sheet"
        if not _is_possible(answer, key):
            return f"has an answer {number} that is not possible in a test of kind {test.kind}"
    return ""


def _is_possible(answer: Answer, key: Key) -> bool:
    if key.test.kind == "mushra":
        return answer.chosen is None and set(answer.ratings or ()) == set(answer.order)
    return answer.ratings is None and answer.chosen in answer.order[:2]


def _progress(result: Result) -> tuple[int, bool, int]:
    """Grows during a session; of two saves of a finished one, the one with a remark is later."""
    return len(result.answers), result.finished is not None, len(result.comment)


def _continues(longer: Result, shorter: Result) -> bool:
    """Whether one result is a later state of the other's session."""
    count = len(shorter.answers)
    return longer.started == shorter.started and longer.answers[:count] == shorter.answers


def _files(paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            within = sorted(path.glob("*.json"))
            if not within:
                raise TonearmError(f"no .json file in {path}; give result files of the page")
            files += within
        else:
            files.append(path)
    if not files:
        raise TonearmError("there are no results; give result files of the page")
    repeated = next((path for path in files if files.count(path) > 1), None)
    if repeated is not None:
        raise TonearmError(f"{repeated} is given twice; give it once")
    return files
