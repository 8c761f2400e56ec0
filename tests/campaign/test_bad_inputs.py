"""Bad inputs to every command and every public function: one line and exit code 2, or success.

A case is reproduced by its name: `pytest -m campaign tests/campaign -k "generate-steer-vector_steer-7"`.
"""

import inspect
import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import click
import pytest
import typer

from tests.campaign.entries import (
    COMMANDS,
    FUNCTIONS,
    HOLDING_ARGUMENTS,
    KINDS,
    MADE_BY_TONEARM,
    SERVING,
    Command,
    Function,
    public_functions,
)
from tests.campaign.materials import Materials
from tests.campaign.processes import DEADLINE, Ended, run_forked
from tests.campaign.verdicts import faults_of_command, not_finite, outcome_of
from tonearm.cli import app, main
from tonearm.text import quoted

EVERY = "TONEARM_CAMPAIGN_EVERY"
EXIT_CODES = {"doctor": (0, 1, 2), "replay": (0, 1, 2)}


@dataclass(frozen=True)
class Case:
    entry: str
    argument: str
    kind: str
    number: int

    def __str__(self) -> str:
        return f"{self.entry}-{self.argument}-{self.kind}-{self.number}"

    @property
    def rng(self) -> Random:
        return Random(zlib.crc32(str(self).encode()))


def _cases(entries: Mapping[str, Command] | Mapping[str, Function], size: int) -> list[Case]:
    """Some cases of every entry, argument and kind; all of them where the environment has EVERY."""
    cases = [
        Case(entry, argument, kind, number)
        for entry, one in entries.items()
        for argument, names in one.kinds.items()
        for kind in dict.fromkeys(names)
        for number in range(KINDS[kind][1] * names.count(kind))
    ]
    if os.environ.get(EVERY) or len(cases) <= size:
        return cases
    firsts = [case for case in cases if case.number == 0]
    others = [case for case in cases if case.number > 0]
    chosen = {*firsts, *Random(0).sample(others, size - len(firsts))}
    return [case for case in cases if case in chosen]


COMMAND_CASES = _cases(COMMANDS, 1_100)


def _parameters(command: str) -> dict[str, click.Parameter]:
    """Parameters of a command, such as `vectors bundle`."""
    found: Any = typer.main.get_command(app)
    for name in command.split():
        found = found.commands[name]
    return {one.name: one for one in found.params}


def _commands(group: Any, before: str = "") -> Iterator[str]:
    """Names of all commands, those within groups too."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")
        else:
            yield before + name


def _command_line(command: str, arguments: dict[str, Any]) -> list[str]:
    """Arguments by parameter name -> those of the command line."""
    line = command.split()
    for name, parameter in _parameters(command).items():
        given = arguments.get(name)
        values = given if isinstance(given, list) else [] if given is None else [given]
        for value in values:
            flag = [] if parameter.param_type_name == "argument" else [parameter.opts[0]]
            line += flag if value is True else [*flag, str(value)]
    return line


def _arguments(case: Case, materials: Materials, folder: Path) -> list[str]:
    command = COMMANDS[case.entry]
    bad = KINDS[case.kind][0](case.rng, materials.folder, folder)
    beside = {
        name: _placed(value, materials)
        for name, value in command.beside.get(case.argument, {}).items()
    }
    parameter = _parameters(case.entry)[case.argument]
    chosen = [bad] if parameter.multiple or parameter.nargs != 1 else bad
    return _command_line(case.entry, {**command.base(materials), **beside, case.argument: chosen})


def _placed(value: Any, materials: Materials) -> Any:
    """A path of the materials where a value names one."""
    if isinstance(value, list):
        return [_placed(one, materials) for one in value]
    is_material = isinstance(value, str) and value.startswith(("corpus", "one.npy"))
    return materials.file(value) if is_material else value


@pytest.mark.parametrize("case", COMMAND_CASES, ids=str)
def test_a_command_with_bad_input(case: Case, materials: Materials, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    line = _arguments(case, materials, folder)
    # " 3" is a number of processes, each of which imports all libraries
    deadline = 6 * DEADLINE if case.argument == "workers" else DEADLINE
    ended = run_forked(lambda: main(line), folder, tmp_path / "log", deadline=deadline)
    faults = faults_of_command(ended, folder, EXIT_CODES.get(case.entry, (0, 2)))
    assert not faults, f"{[one[:300] for one in line]}: {faults}"


# Real processes are not confined to a folder: commands that write no files.
READING = ("vectors list", "measure", "distance", "cluster", "inspect", "models", "doctor")
REAL_CASES = Random(0).sample([one for one in COMMAND_CASES if one.entry in READING], 24)


@pytest.mark.parametrize("case", REAL_CASES, ids=str)
def test_a_real_process_with_bad_input(case: Case, materials: Materials, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    line = _arguments(case, materials, folder)
    if any("\0" in argument for argument in line):
        pytest.skip("an argument of a process holds no null character")
    begun = time.monotonic()
    program = "import sys; from tonearm.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, *line],
        cwd=folder,
        capture_output=True,
        timeout=4 * DEADLINE,  # it imports all libraries
    )
    out, err = (text.decode(errors="backslashreplace") for text in (done.stdout, done.stderr))
    ended = Ended(done.returncode, None, out, err, time.monotonic() - begun)
    assert not faults_of_command(ended, folder, EXIT_CODES.get(case.entry, (0, 2)))


FUNCTION_CASES = _cases(FUNCTIONS, 900)


@pytest.mark.parametrize("case", FUNCTION_CASES, ids=str)
def test_a_function_with_bad_input(case: Case, materials: Materials, tmp_path: Path) -> None:
    function = FUNCTIONS[case.entry]
    folder, report = tmp_path / "here", tmp_path / "faults.json"
    folder.mkdir()
    bad = KINDS[case.kind][0](case.rng, materials.folder, folder)

    is_computed = case.entry not in HOLDING_ARGUMENTS

    def run() -> int:
        call, valid = function.call(materials), function.valid(materials)
        report.write_text(
            json.dumps(outcome_of(lambda: call(**{**valid, case.argument: bad}), is_computed))
        )
        return 0

    ended = run_forked(run, folder, tmp_path / "log")
    faults = json.loads(report.read_text()) if report.is_file() else []
    faults += faults_of_command(ended, folder, (0,))
    assert not faults, f"{case.argument}={quoted(bad)}: {faults}"


def test_every_public_function_and_parameter_is_in_the_table(materials: Materials) -> None:
    assert set(FUNCTIONS) | MADE_BY_TONEARM == public_functions() | MADE_BY_TONEARM
    for name, function in FUNCTIONS.items():
        assert set(function.kinds) == set(inspect.signature(function.call(materials)).parameters), (
            name
        )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_with_valid_arguments(
    name: str, materials: Materials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    function = FUNCTIONS[name]
    call, valid = function.call(materials), function.valid(materials)
    required = [
        parameter.name
        for parameter in inspect.signature(call).parameters.values()
        if parameter.default is parameter.empty and parameter.kind != parameter.VAR_KEYWORD
    ]
    if set(required) <= set(valid):
        monkeypatch.chdir(tmp_path)
        assert not list(not_finite(call(**valid)))


def test_every_command_and_option_is_in_the_table() -> None:
    assert {*COMMANDS, *SERVING} == set(_commands(typer.main.get_command(app)))
    for name, command in COMMANDS.items():
        assert set(command.kinds) == set(_parameters(name)), name
