"""Functions run in forked processes: their exit, output and time, with a deadline.

A fork of the test process has all libraries loaded, so that a case takes milliseconds; a crash, a
hang or an allocation of gigabytes ends the fork and not the tests.
"""

import contextlib
import errno
import faulthandler
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DEADLINE = 20.0  # seconds
MEMORY = 6 * 2**30  # bytes beyond those of the test process
LARGEST_FILE = 2**30  # bytes
ALLOWED = "TONEARM_CAMPAIGN_FOLDER"  # variable with the folder of the materials
DEVICES = ("/dev/null", "/dev/full", "/dev/tty")  # that may be opened, and not replaced
# Audit events that change files -> number of their arguments that are paths
CHANGES = {
    "open": 1, "os.rename": 2, "os.mkdir": 1, "os.remove": 1, "os.rmdir": 1, "os.link": 2,
    "os.symlink": 2, "os.truncate": 1, "os.chmod": 1,
}  # fmt: skip
RAISED = 70  # exit code of an exception that the function did not catch


@dataclass(frozen=True)
class Ended:
    """A process that has ended: exit code, or None and the signal that killed it."""

    code: int | None
    killed_by: int | None
    out: str
    err: str
    seconds: float

    @property
    def is_hung(self) -> bool:
        return self.killed_by == signal.SIGABRT


class Forked:
    """A function that runs in a fork, in a folder of its own.

    Args:
        function: its result is the exit code.
        folder: working directory.
        log: folder of the files that receive stdout and stderr.
        environment: variables added to those of the tests.
        deadline: seconds until the process is aborted with a traceback of all threads.
        stdout: path that is opened in place of a file in `log`.
    """

    def __init__(
        self,
        function: Callable[[], int],
        folder: Path,
        log: Path,
        environment: dict[str, str] | None = None,
        deadline: float = DEADLINE,
        stdout: Path | None = None,
    ) -> None:
        log.mkdir(parents=True, exist_ok=True)
        self._out, self._err = stdout or log / "stdout", log / "stderr"
        self._begun, self._deadline = time.monotonic(), deadline
        ready, is_ready = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _be_child(
                function, folder, log.parent, self._out, self._err, environment or {}, is_ready
            )
        os.close(is_ready)
        os.read(ready, 1)
        os.close(ready)

    def send(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Wait for the end; abort the process at its deadline."""
        aborted = False
        while True:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            seconds = time.monotonic() - self._begun
            if pid:
                break
            if seconds > self._deadline + aborted * 5:
                self.send(signal.SIGKILL if aborted else signal.SIGABRT)
                aborted = True
            time.sleep(0.002)
        code = os.waitstatus_to_exitcode(status)
        out = self._out.read_text(errors="backslashreplace") if self._out.is_file() else ""
        err = self._err.read_text(errors="backslashreplace")
        if aborted:
            return Ended(None, signal.SIGABRT, out, err, seconds)
        return Ended(
            max(code, 0) if code >= 0 else None, -code if code < 0 else None, out, err, seconds
        )


def run_forked(function: Callable[[], int], folder: Path, log: Path, **settings: object) -> Ended:
    """Run a function in a fork to its end."""
    return Forked(function, folder, log, **settings).wait()  # type: ignore[arg-type]


def _be_child(
    function: Callable[[], int],
    folder: Path,
    log: Path,
    out: Path,
    err: Path,
    environment: dict[str, str],
    is_ready: int,
) -> None:
    """Run the function and end the process without the clean-up of the tests."""
    code = RAISED
    try:
        confine(log)
        os.chdir(folder)
        os.environ.update(environment)
        tempfile.tempdir = str(log)
        _redirect(out, err)
        faulthandler.enable(sys.stderr)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        # Background runs ignore SIGINT, and so would their forks.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        os.write(is_ready, b"!")
        code = function()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    except SystemExit as exit_request:
        code = exit_request.code if isinstance(exit_request.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        with contextlib.suppress(BaseException):
            sys.stdout.flush()
        with contextlib.suppress(BaseException):
            sys.stderr.flush()
        os._exit(code)


def confine(folder: Path) -> None:
    """Permit writing below `folder` and the materials alone, as for a user without other rights.

    Bad outputs name devices and system folders, which the tests would change if run by root.
    """
    own = (folder.absolute(), Path(os.environ[ALLOWED]))

    def check(event: str, arguments: tuple[object, ...]) -> None:
        places = CHANGES.get(event)
        if places is None or (event == "open" and not _writes(arguments)):
            return
        for path in arguments[:places]:
            if isinstance(path, str | bytes | os.PathLike):
                _check_place(Path(os.fsdecode(path)), own, event)

    sys.addaudithook(check)


def _writes(arguments: tuple[object, ...]) -> bool:
    path, _, flags = arguments
    if not isinstance(flags, int) or not flags & (os.O_WRONLY | os.O_RDWR):
        return False
    return not (isinstance(path, str) and path in DEVICES)


def _check_place(path: Path, own: tuple[Path, ...], event: str) -> None:
    absolute = Path.cwd() / path
    # The folder is resolved, and the name is not: a link is renamed, and not its target.
    place = Path(os.path.realpath(absolute.parent)) / absolute.name
    if not any(place == one or one in place.parents for one in own):
        raise PermissionError(
            errno.EACCES, f"Permission denied for the campaign ({event})", str(path)
        )


def _redirect(out: Path, err: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    for path, descriptor in ((out, 1), (err, 2)):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, errors="backslashreplace")  # noqa: SIM115
