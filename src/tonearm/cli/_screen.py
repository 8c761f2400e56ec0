"""Terminal output of all commands: text on stdout, progress, warnings and errors on stderr."""

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from tonearm.escapes import escaped, shortened

if TYPE_CHECKING:
    from rich.progress import Progress

    from tonearm.model import Model

DEBUG = "TONEARM_DEBUG"

MAX_MESSAGE = 1200  # characters of an error or warning


class _EscapedConsole(Console):
    """Console that prints control characters of users' own words as escapes."""

    def print(self, *objects: Any, **settings: Any) -> None:
        super().print(*map(_escaped, objects), **settings)

    def status(self, status: Any, **settings: Any) -> Any:
        return super().status(_escaped(status), **settings)


class _EscapedTable(Table):
    """Table that shows control characters in its headings and cells as escapes."""

    def add_column(self, header: Any = "", *cells: Any, **settings: Any) -> None:
        super().add_column(_escaped(header), *cells, **settings)

    def add_row(self, *cells: Any, **settings: Any) -> None:
        super().add_row(*map(_escaped, cells), **settings)


def _escaped(content: Any) -> Any:
    return escaped(content) if isinstance(content, str) else content


# "[bold]" and ":smile:" in a prompt are plain text.
out = _EscapedConsole(highlight=False, markup=False, emoji=False)
err = _EscapedConsole(highlight=False, markup=False, emoji=False, stderr=True)


class Stopped(Exception):
    """Ctrl-C; the message is one line about the files that were kept."""


class _OneLine(logging.Handler):
    """Prints Tonearm's own log records as one line on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        _print_line(f"{record.levelname.lower()}: {record.getMessage()}")


def _print_line(message: str) -> None:
    """Print a message as one line of limited length, without control characters, on stderr."""
    line = escaped(" ".join(message.split()), keep="")
    print(f"tonearm: {shortened(line, MAX_MESSAGE)}", file=sys.stderr)


def configure_messages() -> None:
    """Show warnings of Tonearm, one line each; hide those of other libraries unless TONEARM_DEBUG
    is set.
    """
    logger = logging.getLogger("tonearm")
    if not any(isinstance(handler, _OneLine) for handler in logger.handlers):
        logger.addHandler(_OneLine())
        logger.propagate = False
    if os.environ.get(DEBUG):
        logger.setLevel(logging.DEBUG)
        return
    logger.setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module=r"(?!tonearm(\.|$))")


def say_error(message: str) -> None:
    """Print an error as one line on stderr."""
    _print_line(message)


def print_json(content: Mapping[str, Any]) -> None:
    """Print strict JSON on stdout."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    print(escaped(text, json=True))  # json itself leaves DEL, C1 controls and surrogates


def csv_row(cells: Iterable[object]) -> list[object]:
    """Cells of a row of CSV, control characters as escapes."""
    return [_escaped(cell) for cell in cells]


def print_facts(facts: Mapping[str, str]) -> None:
    """Print one line per fact that is not empty, its name in the first column."""
    grid = _EscapedTable.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, fact in facts.items():
        if fact:
            grid.add_row(name, fact)
    out.print(grid)


def new_table(*headings: str, numbers: Sequence[str] = ()) -> Table:
    """Make an empty table; the columns in `numbers` are right-aligned."""
    from rich import box

    table = _EscapedTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for heading in headings:
        justify = "right" if heading in numbers else "left"
        table.add_column(heading, overflow="fold", justify=justify)  # type: ignore[arg-type]
    return table


@dataclass(frozen=True)
class Bar:
    """A progress bar with one task, or none in a pipe; `update` is a `tonearm.progress.Progress`."""

    progress: "Progress | None"

    def update(self, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress.update(self.progress.task_ids[0], completed=done, total=total)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Hide the bar while something is printed."""
        if self.progress is None:
            yield
            return
        self.progress.stop()
        try:
            yield
        finally:
            self.progress.start()


@contextmanager
def progress_bar(label: str) -> Iterator[Bar]:
    """Show a bar with the time left on a terminal; nothing in a pipe."""
    if not err.is_interactive:  # rich before 14.3 ends a disabled bar with an empty line
        yield Bar(None)
        return
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    progress = Progress(
        TextColumn(escaped(label)),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("left"),
        console=err,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
        refresh_per_second=4,
    )
    with progress:
        progress.add_task(label, total=None)
        yield Bar(progress)


def quieten() -> None:
    """Hide messages and bars of transformers, except those of downloads, which can take minutes."""
    if os.environ.get(DEBUG):
        return
    import transformers
    from huggingface_hub.utils import enable_progress_bars

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    enable_progress_bars()


def load_model(
    name: str, device: str | None, dtype: str | None, engine: str = "decoder"
) -> "Model":
    """Load a model, with a spinner for local ones; a download shows bars of its own."""
    local = "/" not in name or Path(name).is_dir()
    with err.status(f"loading {name}") if local and err.is_interactive else nullcontext():
        quieten()
        from tonearm.model import load

        return load(name, device=device, dtype=dtype, engine=engine)
