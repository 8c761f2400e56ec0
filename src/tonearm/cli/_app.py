"""Application of all commands: checks of arguments, exit codes, errors of one line."""

import atexit
import errno
import functools
import gc
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from tonearm import __version__
from tonearm.cli import INTERRUPTED, listen, sae
from tonearm.cli._help import Command
from tonearm.cli._interrupt import was_interrupted
from tonearm.cli._screen import DEBUG, Stopped, configure_messages, say_error
from tonearm.cli.calibrate import calibrate
from tonearm.cli.classifier import classifier
from tonearm.cli.cluster import cluster
from tonearm.cli.compare import compare
from tonearm.cli.corpus import corpus
from tonearm.cli.distance import distance
from tonearm.cli.doctor import doctor
from tonearm.cli.generate import generate
from tonearm.cli.harp import harp
from tonearm.cli.inspect import inspect
from tonearm.cli.knobs import knobs
from tonearm.cli.learn import learn
from tonearm.cli.live import live
from tonearm.cli.mcp import mcp
from tonearm.cli.measure import measure
from tonearm.cli.models import models
from tonearm.cli.probe import probe
from tonearm.cli.replay import replay
from tonearm.cli.report import report
from tonearm.cli.studio import studio
from tonearm.cli.study import study
from tonearm.cli.vectors import LIST, ListingGroup, vectors
from tonearm.cli.vectors_bundle import bundle
from tonearm.cli.vectors_export import export
from tonearm.cli.vectors_import import import_
from tonearm.cli.vectors_pull import pull
from tonearm.cli.vectors_push import push
from tonearm.cli.vectors_unbundle import unbundle
from tonearm.errors import TonearmError
from tonearm.text import check_path, check_text, quoted

BAD_INPUT = 2
CLOSED_PIPE = 1
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UsageError: Any = typer.BadParameter.__base__  # click's, or typer's copy of it, by release

# Options that name a file, a folder or something bundled.
PATH_LIKE = ("model", "beats", "clap", "device", "dtype")


# Python's last collections take over a second once torch and transformers are imported.
atexit.register(gc.freeze)


def _checked(command: Callable[..., None]) -> Callable[..., None]:
    """Check texts and paths for length and encoding before the command does any work."""

    @functools.wraps(command)
    def run_checked(*positional: Any, **options: Any) -> None:
        for name, given in options.items():
            for value in given if isinstance(given, list) else [given]:
                what = name.replace("_", " ")
                if isinstance(value, Path) or (isinstance(value, str) and name in PATH_LIKE):
                    check_path(value, what)
                elif isinstance(value, str):
                    check_text(value, what)
        command(*positional, **options)

    return run_checked


def _group(text: str, commands: Iterable[Callable[..., None]]) -> typer.Typer:
    """Commands under a common name; without one of theirs, the help is shown."""
    group = typer.Typer(help=text, no_args_is_help=True)
    for command in commands:
        group.command(cls=Command)(_checked(command))
    return group


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, invoke_without_command=True)
for command in (
    generate,
    compare,
    studio,
    live,
    harp,
    mcp,
    learn,
    probe,
    calibrate,
    knobs,
    measure,
    distance,
    classifier,
    cluster,
    corpus,
    study,
    report,
    inspect,
    models,
    doctor,
    replay,
):
    app.command(cls=Command)(_checked(command))

vector_commands = typer.Typer(cls=ListingGroup, add_completion=False)
exchanges: dict[str, Callable[..., None]] = {
    LIST: vectors,
    "bundle": bundle,
    "unbundle": unbundle,
    "import": import_,
    "export": export,
    "push": push,
    "pull": pull,
}
for name, subcommand in exchanges.items():
    vector_commands.command(name, cls=Command)(_checked(subcommand))
app.add_typer(
    vector_commands,
    name="vectors",
    help="List steering vectors with their amounts, or exchange them: bundles, files of other "
    "programs, the Hugging Face hub.",
)
app.add_typer(_group(sae.HELP, sae.COMMANDS), name=sae.NAME)
app.add_typer(_group(listen.HELP, listen.COMMANDS), name=listen.NAME)


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


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Args:
        arguments: default: those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # a bar must not fail in an ASCII terminal
    configure_messages()
    code = _run(arguments)
    try:
        sys.stdout.flush()
    except OSError as fault:
        # Python flushes once more at its end, and would report the fault in lines of its own.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code if code == BAD_INPUT else _code_of(fault)
    return code


def _code_of(fault: OSError) -> int:
    """Print one line for a fault that no check has found, and return the exit code.

    Raises:
        OSError: the fault, if it names neither a path nor a full disk.
    """
    if isinstance(fault, BrokenPipeError):  # the reader has closed the pipe
        return CLOSED_PIPE
    if os.environ.get(DEBUG):
        raise fault
    if fault.filename is not None:
        say_error(
            f"cannot use {quoted(str(fault.filename))}: {fault.strerror}; choose another path"
        )
    elif fault.errno in FULL:  # of the output, or of a download
        say_error(f"cannot write: {fault.strerror}; free some space, or write to another place")
    else:
        raise fault
    return BAD_INPUT


def _usage_text(error: Any) -> str:
    message: str = error.format_message()
    unquoted = message.startswith("Got unexpected extra argument")
    return f"{message}; put a prompt of several words in quotes" if unquoted else message


def _run(arguments: Sequence[str] | None) -> int:
    try:
        for argument in arguments or ():  # typer before 0.29 looks paths up while it parses
            check_text(argument, "argument")
        code = app(arguments, prog_name="tonearm", standalone_mode=False) or 0
    except Stopped as stopped:
        say_error(str(stopped))
        return INTERRUPTED
    except (TonearmError, UsageError) as error:
        if was_interrupted():
            raise KeyboardInterrupt from None
        if os.environ.get(DEBUG):
            raise
        say_error(_usage_text(error) if isinstance(error, UsageError) else str(error))
        return BAD_INPUT
    except OSError as error:
        return _code_of(error)
    except SystemExit as exit_request:  # by typer or rich, for a closed pipe
        return exit_request.code if isinstance(exit_request.code, int) else 1
    if code == INTERRUPTED:  # typer's code for Ctrl-C
        say_error("stopped")
    return code
