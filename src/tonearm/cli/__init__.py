"""Command line: one file per command; each calls the public functions of the library."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from tonearm import __version__
from tonearm.cli._screen import DEBUG, Stopped, configure_messages, say_error
from tonearm.cli.classifier import classifier
from tonearm.cli.cluster import cluster
from tonearm.cli.compare import compare
from tonearm.cli.distance import distance
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
UsageError: Any = typer.BadParameter.__base__  # click's, or typer's copy of it, by release

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, invoke_without_command=True)
for command in (
    generate,
    compare,
    learn,
    vectors,
    measure,
    distance,
    classifier,
    cluster,
    inspect,
    models,
    doctor,
    replay,
):
    app.command()(command)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tonearm {__version__}")
        raise typer.Exit


@app.callback(epilog="Every command takes --help. TONEARM_DEBUG=1 shows where an error comes from.")
def tonearm(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Steer music generation by a model's activations: tempo, brightness, genre ..."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: default: those of the process.

    Returns:
        The exit code: 2 for a user's mistake, which is one line on stderr; 130 for Ctrl-C.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a bar must not fail in an ASCII terminal
    configure_messages()
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader has closed the pipe
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
    except SystemExit as exit_request:  # by typer or rich, for a closed pipe
        return exit_request.code if isinstance(exit_request.code, int) else 1
    if code == INTERRUPTED:  # typer's code for Ctrl-C
        say_error("stopped")
    return code
