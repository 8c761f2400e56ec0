"""Latency, underruns and processor load of the studio, in Chromium.

    python -m benchmarks.studio --seconds 600                       # prints the tables
    python -m benchmarks.studio --seconds 600 --page docs/studio.md # and writes them into the page

A `tonearm studio` process plays pocket for a page in a headless Chromium, both on this machine. A knob is
moved at random times by an input event of its slider. Slider to sample: from the sample that the
worklet plays at the event to the sample of the `applied` message, from which the change sounds; the
latency of the sound device comes on top. Round trip: from the sending of a control to its `applied`
message. First sound: to the first sample above -80 dBFS in the worklet. Underruns and dropped samples
are the worklet's own counters.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch
from tests.browsers import ABSENT, FLAGS, find_chromium

from benchmarks.studio_server import StudioServer, cpu_seconds, studio_server
from tonearm.report.marks import write_between_marks

MOVES = Path(__file__).with_name("studio_moves.js")
PAUSE = (0.3, 1.5)  # seconds between two moves
PATIENCE = 20_000  # ms for an answer
STARTS, LOADS = 3, 9  # of the command, and of the page
PLAY_IN = 5.0  # seconds before the counters are read
POLL = 2.0  # seconds between two readings of the speed
SOUNDING = "() => window.tonearm?.output.firstSound != null"
# the first page plays by itself; a later one after a click, since somebody has stopped the music
PLAY_AGAIN = """() => {
  const { status, performance } = window.tonearm.state;
  if (status === "stopped" && performance) document.getElementById("play").click();
}"""
TIMEOUT = 120_000  # ms


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--lead", type=float, help="default: that of the studio")
    parser.add_argument("--chunk-frames", type=int, help="default: that of the studio")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--page", type=Path, help="write the tables into this page")
    arguments = parser.parse_args()
    options = ["--seed", str(arguments.seed)]
    if arguments.lead is not None:
        options += ["--lead", str(arguments.lead)]
    if arguments.chunk_frames is not None:
        options += ["--chunk-frames", str(arguments.chunk_frames)]
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        found = measure(browser, Path(folder), options, arguments.seconds, arguments.seed)
    print(json.dumps({name: value for name, value in found.items() if name != "moves"}))
    lines = tables(found)
    print("\n".join(lines))
    if arguments.page:
        write_between_marks(arguments.page, {"studio": lines})


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    path = find_chromium()
    if path is None:
        raise SystemExit(ABSENT)
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


def measure(
    browser: Any, folder: Path, options: Sequence[str], seconds: float, seed: int
) -> dict[str, Any]:
    """Measure starts, loads of the page, and then moves of knobs over `seconds`."""
    starts = []
    for number in range(STARTS - 1):
        with studio_server(folder / f"start-{number}", options) as server:
            starts.append(command_to_sound(browser, server))
    with studio_server(folder / "server", options) as server:
        starts.append(command_to_sound(browser, server))
        loads = [load_to_sound(browser, server) for _ in range(LOADS)]
        found = play(browser, server, seconds, seed)
    return {"starts": starts, "loads": loads, **found}


@contextmanager
def opened(browser: Any, url: str) -> Iterator[Any]:
    """The page of a server that is stopped, once it sounds; at the end it is stopped again."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.goto(url)
    page.wait_for_function("() => window.tonearm?.state")
    page.evaluate(PLAY_AGAIN)
    page.wait_for_function(SOUNDING)
    yield page
    page.evaluate("() => window.tonearm.connection.command('stop')")
    context.close()


def command_to_sound(browser: Any, server: StudioServer) -> float:
    """Seconds from the start of the command to the first sound of a page that is opened at once."""
    with opened(browser, server.url) as page:
        at = page.evaluate("() => performance.timeOrigin + window.tonearm.output.firstSound")
        return at / 1000 - server.begun


def load_to_sound(browser: Any, server: StudioServer) -> float:
    """Seconds from the navigation to the first sound, with a server that is ready and stopped."""
    with opened(browser, server.url) as page:
        return page.evaluate("() => window.tonearm.output.firstSound") / 1000


def play(browser: Any, server: StudioServer, seconds: float, seed: int) -> dict[str, Any]:
    """Move knobs of a page that plays, and read its counters and the load of both programs."""
    with opened(browser, server.url) as page:
        page.wait_for_timeout(1000 * PLAY_IN)
        least, most = PAUSE
        before, load = counters(page), CpuLoad(server)
        options = {"seed": seed, "least": least, "most": most, "patience": PATIENCE}
        page.evaluate(
            f"(options) => ({MOVES.read_text(encoding='utf-8').strip()})(options)", options
        )
        speeds = []
        while load.seconds < seconds:
            page.wait_for_timeout(1000 * min(POLL, max(0.0, seconds - load.seconds)))
            speeds += page.evaluate("() => [window.tonearm.state.speed ?? []].flat()")
        load.stop()
        page.evaluate("() => (window.moves.end = true)")
        after, moves = counters(page), page.evaluate("() => window.moves")
        state = page.evaluate("() => window.tonearm.state")
        device = page.evaluate(
            "() => window.tonearm.output.context.baseLatency + window.tonearm.output.context.outputLatency"
        )
    return {
        "moves": moves["done"],
        "lost": moves["lost"],
        "seconds": load.seconds,
        "played": (after["position"] - before["position"]) / after["rate"],
        "underruns": after["underruns"] - before["underruns"],
        "dropped": after["dropped"] - before["dropped"],
        "server_cores": load.server,
        "browser_cores": load.browser,
        "speed": statistics.median(speeds) if speeds else None,
        "least_speed": min(speeds, default=None),
        "mode": state["mode"],
        "lead": state["lead"],
        "lookahead": state["lookahead"],
        "device_latency": device,
        "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}, "
        f"{os.cpu_count()} cores, torch {torch.__version__}",
    }


def counters(page: Any) -> dict[str, Any]:
    """The worklet's counters, and the rate of its samples."""
    return page.evaluate(
        "() => ({ ...window.tonearm.output.status, rate: window.tonearm.manifest.model.sample_rate })"
    )


class CpuLoad:
    """Cores that the server and Chromium use from now until `stop`."""

    def __init__(self, server: StudioServer):
        self._server = server
        self._processes = [
            one for one in psutil.Process().children(recursive=True) if "chrom" in one.name()
        ]
        self._begun, self._before = time.monotonic(), self._used()
        self.server = self.browser = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._begun

    def stop(self) -> None:
        """Measure the load."""
        used = [b - a for a, b in zip(self._before, self._used(), strict=True)]
        self.server, self.browser = (one / self.seconds for one in used)

    def _used(self) -> tuple[float, float]:
        return self._server.resources().cpu, cpu_seconds(self._processes)


Row = tuple[str, Sequence[float], Callable[[float], str]]


def tables(found: dict[str, Any]) -> list[str]:
    """The lines of the two tables in Markdown."""
    moves = [one for one in found["moves"] if one["whole"]]
    rows: list[Row] = [
        ("slider to the sample from which the change sounds", _of(moves, "to_sample"), _ms),
        ("control to its `applied` message", _of(moves, "round_trip"), _ms),
        ("opening of the page to the first sound", found["loads"], _s),
        ("`tonearm studio` to the first sound", found["starts"], _s),
    ]
    lines = ["", "| time | n | median | 95th percentile | longest |", "|---|---|---|---|---|"]
    for name, values, shown in rows:
        if values:
            figures = (shown(one) for one in (statistics.median(values), p95(values), max(values)))
            lines.append(f"| {name} | {len(values)} | {' | '.join(figures)} |")
    facts = {
        "played": f"{found['played']:.0f} s of {found['seconds']:.0f} s, {found['mode']}",
        "underruns": found["underruns"],
        "samples dropped": found["dropped"],
        "controls without an answer": found["lost"],
        "cores used by the server": f"{found['server_cores']:.2f}",
        "cores used by Chromium": f"{found['browser_cores']:.2f}",
        "speed of the model, both streams": _speed(found["speed"], found["least_speed"]),
        "lead and lookahead": f"{found['lead']:.2f} s and {found['lookahead']:.2f} s",
        "latency of the sound device, not in the above": _ms(found["device_latency"]),
        "machine": found["machine"],
    }
    lines += ["", "| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts.items())]
    return [*lines, ""]


def p95(values: Sequence[float]) -> float:
    """The least value that 95 % of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-95 * len(ordered) // 100) - 1)]


def _of(moves: Sequence[dict[str, Any]], key: str) -> list[float]:
    return [one[key] for one in moves]


def _speed(median: float | None, least: float | None) -> str:
    if median is None:
        return "not measured"
    return f"{median:.2f} times real time (slowest 5 s: {least:.2f})"


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def _s(seconds: float) -> str:
    return f"{seconds:.2f} s"


if __name__ == "__main__":
    main()
