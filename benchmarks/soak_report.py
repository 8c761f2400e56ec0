"""Lines and verdicts of a soak."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.soak_audio import TOLERANCE, Checked
from benchmarks.soak_tally import Tally

WARM_UP = 0.5  # share of a soak whose memory is left out of the slope
MIN_SAMPLES = 15  # for a slope
MAX_SLOPE = 20.0  # MiB an hour
# of the server: for bytes that are no request, and for prompts and vectors
EXPECTED_LINES = ("Invalid HTTP request received.", "tonearm: warning: ")


@dataclass(frozen=True)
class Sample:
    """State of a soak at a moment; `cpu` is in seconds so far, `take_seconds` those kept as codes.

    `kept_mib` is the least resident memory since the sample before: without what forks, exports and
    windows need for a moment.
    """

    seconds: float
    rss_mib: float
    kept_mib: float
    threads: int
    files: int
    cpu: float
    underruns: int
    dropped: int
    played: float
    speed: float | None
    mode: str | None
    performances: int
    takes: int
    take_seconds: float
    actions: int
    faults: int

    @property
    def line(self) -> str:
        """The sample for a person."""
        speed = "-" if self.speed is None else f"{self.speed:.2f}x {self.mode}"
        return (
            f"{self.seconds:7.0f} s  {self.kept_mib:6.1f} to {self.rss_mib:6.1f} MiB  "
            f"{self.threads} threads  "
            f"{self.files} files  {speed}  {self.performances} performances  "
            f"{self.underruns} underruns  {self.actions} actions  {self.faults} faults"
        )


@dataclass(frozen=True)
class Verdict:
    """One line of the result; `passes` is None where there is too little to decide."""

    name: str
    passes: bool | None
    text: str

    def __str__(self) -> str:
        word = {True: "pass", False: "FAIL", None: "-"}[self.passes]
        return f"{word:5}{self.name}: {self.text}"


@dataclass(frozen=True)
class Outcome:
    """All that a soak found.

    before, after  at rest, without clients
    samples        one every minute
    underruns      of the client that plays all the time
    checked        takes that were replayed
    errors         standard error of the server
    code           its exit code
    """

    before: Sample
    after: Sample
    samples: Sequence[Sample]
    underruns: Sequence[dict[str, Any]]
    checked: Sequence[Checked]
    tally: Tally
    errors: str
    code: int


def verdicts_of(found: Outcome, max_underruns: int, steady_lead: float) -> list[Verdict]:
    """Decide what a soak has shown.

    Args:
        found: by the soak.
        max_underruns: that are allowed, at leads of `steady_lead` and more.
        steady_lead: seconds.
    """
    return [
        memory(found),
        no_growth("threads", found.before.threads, found.after.threads),
        no_growth("open files", found.before.files, found.after.files),
        underruns(found, max_underruns, steady_lead),
        server_errors(found),
        Verdict(
            "answers",
            not found.tally.fault_count,
            f"{sum(found.tally.actions.values())} actions, {found.tally.fault_count} faults",
        ),
        replays(found),
        as_played(found),
    ]


def memory(found: Outcome) -> Verdict:
    """The slope of the memory that is kept, after the warm-up."""
    later = [one for one in found.samples if one.seconds >= WARM_UP * found.samples[-1].seconds]
    ends = f"{found.before.rss_mib:.0f} MiB at rest before, {found.after.rss_mib:.0f} after"
    if len(later) < MIN_SAMPLES:
        return Verdict("memory", None, f"{ends}; too short for a slope")
    hours = np.array([one.seconds for one in later]) / 3600
    slope = float(np.polyfit(hours, [one.kept_mib for one in later], 1)[0])
    text = f"{slope:+.1f} MiB an hour over {hours[-1] - hours[0]:.1f} h (limit {MAX_SLOPE:g}); "
    return Verdict("memory", slope < MAX_SLOPE, text + ends)


def no_growth(name: str, before: int, after: int) -> Verdict:
    """Whether a number of resources is no larger than before."""
    return Verdict(name, after <= before, f"{before} at rest before, {after} after")


def underruns(found: Outcome, most: int, lead: float) -> Verdict:
    """Underruns of a client that was not late itself, by the action before."""
    counted = [one for one in found.underruns if not one["stalled"]]
    steady = [one for one in counted if one["lead"] >= lead and one["mode"] == "live"]
    causes = Counter(one["after"] for one in steady)
    by_lead = Counter(one["lead"] for one in counted)
    last = found.samples[-1] if found.samples else found.after
    text = (
        f"{len(steady)} at leads of {lead:g} s and more, live (allowed: {most}), "
        f"{len(counted)} in all, in {last.played:.0f} s; "
        f"{max(found.after.dropped, last.dropped)} samples dropped"
    )
    if by_lead:
        text += "; " + ", ".join(f"{by_lead[lead]} at {lead:g} s" for lead in sorted(by_lead))
    if causes:
        text += "; after " + ", ".join(f"{kind} {count}" for kind, count in causes.most_common())
    return Verdict("underruns", len(steady) <= most, text)


def server_errors(found: Outcome) -> Verdict:
    """Lines of the server's standard error, and its exit code."""
    lines = [
        line
        for line in found.errors.splitlines()
        if line.strip() and not any(one in line for one in EXPECTED_LINES)
    ]
    shown = f": {lines[-1]}" if lines else ""
    text = f"{len(lines)} lines on standard error{shown}; exit code {found.code}"
    return Verdict("server errors", not lines and found.code == 0, text)


def replays(found: Outcome) -> Verdict:
    """Whether all takes were reproduced bit for bit."""
    equal = [one for one in found.checked if one.identical]
    seconds = sum(one.seconds for one in found.checked)
    text = f"{len(equal)} of {len(found.checked)} takes identical, both streams, {seconds:.0f} s"
    return Verdict("replays", len(equal) == len(found.checked) if found.checked else None, text)


def as_played(found: Outcome) -> Verdict:
    """Whether the takes are what was played."""
    compared = [one for one in found.checked if one.played is not None]
    faults = [f"take {one.number}: {one.fault}" for one in found.checked if one.fault]
    seconds = sum(one.played or 0 for one in compared)
    exact = sum(one.exact for one in compared)
    text = (
        f"{len(compared)} takes, {seconds:.0f} s, are the samples that were played; {exact} bit for "
        f"bit by the codec's pieces, the others within {TOLERANCE:g} of the peak"
    )
    if faults:
        text += f"; {len(faults)} differ: {'; '.join(faults[:5])}"
    return Verdict("as played", not faults if compared else None, text)
