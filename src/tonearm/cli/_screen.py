"""What every command shows: text on stdout, progress and errors on stderr, nothing that transformers says by itself."""

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from tonearm.model import Model

DEBUG = "TONEARM_DEBUG"

# What is printed holds users' own words: "[bold]" and ":smile:" in a prompt stand for themselves.
out = Console(highlight=False, markup=False, emoji=False)
err = Console(highlight=False, markup=False, emoji=False, stderr=True)


class Stopped(Exception):
    """Ctrl-C, with what was kept, in one line."""


def say_error(message: str) -> None:
    print("tonearm: " + " ".join(message.split()), file=sys.stderr)


def print_json(content: Mapping[str, Any]) -> None:
    print(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))


def print_facts(facts: Mapping[str, str]) -> None:
    """One line for each fact that is not empty, with its name before it."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, fact in facts.items():
        if fact:
            grid.add_row(name, fact)
    out.print(grid)


def new_table(*headings: str, numbers: Sequence[str] = ()) -> Table:
    """An empty table; the columns in `numbers` are flush right."""
    from rich import box

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold", justify="right" if heading in numbers else "left")
    return table


@dataclass(frozen=True)
class Bar:
    """A progress bar; `update` takes what is done and what there is in all."""

    progress: "Progress"
    task: "TaskID"

    def update(self, done: int, total: int) -> None:
        self.progress.update(self.task, completed=done, total=total)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Off the screen while something is printed."""
        self.progress.stop()
        try:
            yield
        finally:
            self.progress.start()


@contextmanager
def progress_bar(label: str) -> Iterator[Bar]:
    """A bar with the time left, on a terminal; nothing in a pipe."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn(label), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("left"))
    progress = Progress(
        *columns, console=err, transient=True, redirect_stdout=False, redirect_stderr=False, disable=not err.is_interactive,
        refresh_per_second=4,
    )  # fmt: skip
    with progress:
        yield Bar(progress, progress.add_task(label, total=None))


def quieten() -> None:
    """No messages and no bars from transformers, but for the hub's downloads, which may take minutes."""
    if os.environ.get(DEBUG):
        return
    import transformers
    from huggingface_hub.utils import enable_progress_bars

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    enable_progress_bars()


def load_model(name: str, device: str | None, dtype: str | None, engine: str = "decoder") -> "Model":
    local = "/" not in name or Path(name).is_dir()  # a spinner would fight with the bars of a download
    with err.status(f"loading {name}") if local and err.is_interactive else nullcontext():
        quieten()
        from tonearm.model import load

        return load(name, device=device, dtype=dtype, engine=engine)
