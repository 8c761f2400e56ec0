"""Screen of a session: lines of 80 columns, of which none depends on colour alone.

▸ brightness         dark ────△───────┼──●────▲──── bright          +2.0 st
  selected row            zero ┼, value ●, quality tick ▲ (△: effect uncertain)
"""

from dataclasses import dataclass

from rich.console import Group
from rich.text import Text

from tonearm.escapes import escaped
from tonearm.live.events import Meters
from tonearm.live.state import ProjectionReading
from tonearm.terminal.rows import KnobRow, Row
from tonearm.terminal.view import View

WIDTH = 80
TRACK = 25  # columns, an odd number, so that zero has one of its own
NAME, WORD, VALUE = 12, 10, 12
ABSENT = "–"
KEYS = (
    "space play, stop  x A/B  up, down choose  left, right move  , . fine  home, end",
    "0 zero  d default  z all  p prompt  l loop  f fork  r rec  s save  m MIDI  q end",
)


@dataclass(frozen=True)
class Glyphs:
    """Symbols of a track: line, zero, value, sure and hollow quality tick, mark of a selection."""

    line: str
    zero: str
    value: str
    tick: str
    hollow: str
    selected: str


UNICODE = Glyphs("─", "┼", "●", "▲", "△", "▸")
ASCII = Glyphs("-", "|", "O", "^", "'", ">")


def screen(view: View, glyphs: Glyphs = UNICODE) -> Group:
    """The screen of a view."""
    lines = [
        *_heading(view),
        Text(),
        *(_row(view, index, glyphs) for index in range(len(view.rows))),
        Text(),
        *_streams(view),
        Text(),
        *_status(view),
        Text(),
        *(Text(line, style="dim") for line in KEYS),
    ]
    for line in lines:
        line.truncate(WIDTH, overflow="ellipsis")
        line.no_wrap = True
    return Group(*lines)


def _plain(text: str) -> str:
    """A text of the user's without control characters."""
    return escaped(text, keep="")


def _between(left: str, right: str, style: str = "") -> Text:
    """A line with a text at each end; the left one is shortened where both are too long."""
    room = WIDTH - len(right) - 2
    shown = left if len(left) <= room else f"{left[: room - 1]}…"
    return Text(f"{shown:<{WIDTH - len(right)}}{right}", style=style)


def _heading(view: View) -> list[Text]:
    state = view.state
    speed = "measuring the speed" if state.speed is None else f"{state.speed:.2f} x real time"
    mode = {"live": "live", "phrase": "in phrases", None: ""}[state.mode]
    facts = ", ".join(part for part in (view.model, speed, mode) if part)
    minutes, seconds = divmod(int(view.seconds), 60)
    clock = f"{state.status} {minutes:02d}:{seconds:02d}"
    seed = f"seed {state.seed}{' locked' if state.seed_locked else ''}"
    if view.text is not None:
        room = WIDTH - len("prompt  _")
        return [
            _between(f"Tonearm live  {facts}", clock, "bold"),
            Text(f"prompt  {_plain(view.text)[-room:]}_", style="reverse"),
        ]
    return [
        _between(f"Tonearm live  {facts}", clock, "bold"),
        _between(f"prompt  {_plain(state.prompt)}", seed),
    ]


def _row(view: View, index: int, glyphs: Glyphs) -> Text:
    row, value = view.rows[index]
    is_selected = index == view.selected
    low, high = row.words
    mark = glyphs.selected if is_selected else " "
    name = f"{mark} {_plain(row.name)[:NAME]:<{NAME}}"
    track = track_of(row, value, glyphs)
    text = f"{name} {_plain(low)[:WORD]:>{WORD}} {track} {_plain(high)[:WORD]:<{WORD}} "
    line = Text(f"{text}{row.text(value):>{VALUE}}", style="bold" if is_selected else "")
    if isinstance(row, KnobRow) and row.name not in view.state.playing_desk:
        waits = view.state.status == "playing"
        line.append(" next" if waits else "")
    return line


def track_of(row: Row, value: float, glyphs: Glyphs) -> str:
    """The range of a row, TRACK columns wide, with its zero, ticks and value."""
    cells = [glyphs.line] * TRACK
    if isinstance(row, KnobRow):
        cells[TRACK // 2] = glyphs.zero
        for end, sign in ((0, row.knob.negative), (TRACK // 2 + 1, row.knob.positive)):
            if not sign.passes:
                cells[end : end + TRACK // 2] = " " * (TRACK // 2)
    for position, is_hollow in row.ticks:
        cells[_column(position)] = glyphs.hollow if is_hollow else glyphs.tick
    cells[_column(row.position_of(value))] = glyphs.value
    return "".join(cells)


def _column(position: float) -> int:
    return round((position + 1) / 2 * (TRACK - 1))


def _streams(view: View) -> list[Text]:
    """A and B, their identity, the range of the selected row, and the meters."""
    state, (row, _) = view.state, view.rows[view.selected]
    playing = {"steered": "playing A (steered)", "plain": "playing B (plain)"}[state.listening]
    identity = state.identity
    if not identity.seconds:
        same = "nothing compared yet"
    elif identity.identical:
        same = f"identical to plain, sha256 {identity.steered[:8]}"
    else:
        same = f"differs from plain since {identity.differs_at:.2f} s"
    low, high = row.ends
    range_ = f"{_plain(row.name)}: {row.text(low)} to {row.text(high)}"
    reading = state.projections.get(row.name)
    return [
        _between(playing, same),
        _between(range_, _projection_text(reading)),
        Text(_meters_text(view.meters)),
    ]


def _projection_text(reading: ProjectionReading | None) -> str:
    if reading is None:
        return ""
    unit = " sd" if reading.in_deviations else ""
    return f"projection A {reading.steered:+.2f}{unit}, B {reading.plain:+.2f}{unit}"


def _meters_text(meters: Meters | None) -> str:
    """Tempo, spectral centroid and loudness of A, those of B in brackets."""
    if meters is None:
        return "tempo, centroid and loudness after 2 s of music"
    parts = []
    for name, decimals, unit in (
        ("tempo", 1, "BPM"),
        ("centroid", 0, "Hz"),
        ("loudness", 1, "LUFS"),
    ):
        one, two = (_number(getattr(of, name), decimals) for of in (meters.steered, meters.plain))
        parts.append(f"{one} ({two}) {unit}")
    return "A (B)  " + "   ".join(parts)


def _number(value: float | None, decimals: int) -> str:
    return ABSENT if value is None else f"{value:.{decimals}f}"


def _status(view: View) -> list[Text]:
    state = view.state
    expected = state.lead + state.lookahead
    latency = (
        f"latency {view.latency:.2f} s measured"
        if view.latency is not None
        else f"latency {expected:.2f} s expected"
    )
    sound = f"{latency}, buffer {max(0.0, view.buffered):.2f} s, underruns {view.underruns}"
    loop = "loop off" if state.loop_seconds is None else f"loop {state.loop_seconds:.1f} s"
    host = "" if view.host_tempo is None else f"host {view.host_tempo:.1f} BPM"
    record = "recording" if state.recording else "not recording"
    takes = f"takes {len(state.takes)}, {view.unsaved} not saved"
    return [
        _between(sound, _plain(view.output)[:24]),
        _between(f"{loop}, {record}, {takes}", host),
        Text(_plain(view.message), style="reverse" if view.message else ""),
    ]
