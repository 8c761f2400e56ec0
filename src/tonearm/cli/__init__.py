"""The command line: one file per command, each calling what a Python user calls."""

import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tonearm import __version__
from tonearm.cli._screen import DEBUG, Stopped, say_error
from tonearm.cli.compare import compare
from tonearm.cli.doctor import doctor
from tonearm.cli.generate import generate
from tonearm.cli.inspect import inspect
from tonearm.cli.learn import learn
from tonearm.cli.measure import measure
from tonearm.cli.models import models
from tonearm.cli.replay import replay
from tonearm.cli.vectors import vectors
from tonearm.errors import TonearmError

BAD_INPUT, INTERRUPTED = 2, 130
UsageError: Any = typer.BadParameter.__base__  # click's, or the copy of it within typer: that differs by release

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, invoke_without_command=True)
for command in (generate, compare, learn, vectors, measure, inspect, models, doctor, replay):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tonearm {__version__}")
        raise typer.Exit


@app.callback(epilog="Every command takes --help. TONEARM_DEBUG=1 shows where an error comes from.")
def tonearm(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Steer music generation from the inside: turn tempo, brightness, genre ... while MusicGen plays."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 2 for the user's mistakes, told in one line, 130 for Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a bar in an ASCII terminal is no reason to fail
    if not os.environ.get(DEBUG):
        warnings.simplefilter("ignore")
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _usage_text(error: Any) -> str:
    message: str = error.format_message()
    unquoted = message.startswith("Got unexpected extra argument")
    return f"{message}; put a prompt of several words in quotes" if unquoted else message


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = app(arguments, prog_name="tonearm", standalone_mode=False) or 0
    except Stopped as stopped:
        say_error(str(stopped))
        return INTERRUPTED
    except (TonearmError, UsageError) as error:
        if os.environ.get(DEBUG):
            raise
        say_error(_usage_text(error) if isinstance(error, UsageError) else str(error))
        return BAD_INPUT
    except SystemExit as leaving:  # by typer or rich, for a closed pipe
        return leaving.code if isinstance(leaving.code, int) else 1
    if code == INTERRUPTED:  # what typer makes of Ctrl-C
        say_error("stopped")
    return code
