"""A `tonearm studio` server as a process of its own, and the resources that it uses."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

PROGRAM = "from tonearm.cli import main; raise SystemExit(main())"
START_SECONDS = 300.0
END_SECONDS = 120.0  # the takes are saved at the end
POLL = 0.02
MIB = 2**20


@dataclass(frozen=True)
class Resources:
    """Resources of a process.

    rss_mib  resident memory
    threads  of the operating system
    files    open files and sockets
    cpu      seconds of computation so far, of its children too
    """

    rss_mib: float
    threads: int
    files: int
    cpu: float


class StudioServer:
    """A server that runs.

    Args:
        process: of the command.
        out, err: files of its output.
        begun: `time.time()` at its start.
    """

    def __init__(self, process: subprocess.Popen, out: Path, err: Path, begun: float):
        self.process, self.begun = process, begun
        self._out, self._err = out, err
        self._usage = psutil.Process(process.pid)

    @property
    def url(self) -> str:
        """Of the page, with a final slash."""
        return self._printed(r"open (http://\S+)")

    @property
    def osc_port(self) -> int:
        return int(self._printed(r"UDP port (\d+)"))

    @property
    def errors(self) -> str:
        """Everything on standard error so far."""
        return self._err.read_text(encoding="utf-8", errors="replace")

    @property
    def runs(self) -> bool:
        return self.process.poll() is None

    @property
    def rss_mib(self) -> float:
        """Resident memory now, in MiB."""
        return float(self._usage.memory_info().rss / MIB)

    def resources(self) -> Resources:
        """Measure the process."""
        with self._usage.oneshot():
            return Resources(
                self.rss_mib,
                self._usage.num_threads(),
                self._usage.num_fds(),
                cpu_seconds([self._usage, *self._usage.children(recursive=True)]),
            )

    def end(self) -> int:
        """End it as Ctrl-C does, and return its exit code."""
        if self.runs:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(END_SECONDS)

    def _printed(self, pattern: str) -> str:
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            found = re.search(pattern, self._out.read_text(encoding="utf-8"))
            if found and "press Ctrl-C to stop" in self._out.read_text(encoding="utf-8"):
                return found[1]
            if not self.runs:
                raise RuntimeError(f"the server has ended: {self.errors.strip()}")
            time.sleep(POLL)
        raise RuntimeError(f"the server printed nothing like {pattern!r}")


@contextmanager
def studio_server(folder: Path, options: Sequence[str] = ()) -> Iterator[StudioServer]:
    """Run `tonearm studio` with a free port, OSC, and `takes` in a folder for what it saves.

    Args:
        folder: for its output, `out.txt` and `err.txt`, and its takes; made where needed.
        options: further options of the command.
    """
    folder.mkdir(parents=True, exist_ok=True)
    out, err = folder / "out.txt", folder / "err.txt"
    command = [sys.executable, "-c", PROGRAM, "studio", "--no-browser", "--port", "0"]
    command += ["--osc", "0", "--out", str(folder / "takes"), *options]
    begun = time.time()
    with out.open("wb") as stdout, err.open("wb") as stderr:
        process = subprocess.Popen(
            command, stdout=stdout, stderr=stderr, env=os.environ | {"PYTHONUNBUFFERED": "1"}
        )
    server = StudioServer(process, out, err, begun)
    try:
        yield server
    finally:
        try:
            server.end()
        finally:
            if server.runs:
                process.kill()


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """Seconds of computation of processes that run, in user and in system mode."""
    total = 0.0
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            used = process.cpu_times()
            total += used.user + used.system
    return total
