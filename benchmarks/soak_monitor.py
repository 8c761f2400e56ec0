"""Monitor of a soak: a client that plays all the time, keeps the audio, and counts underruns."""

import asyncio
import math
import time
from typing import Any

from benchmarks.soak_audio import PlayedAudio
from benchmarks.soak_context import SoakContext
from benchmarks.soak_report import Sample
from benchmarks.studio_client import Message, Underrun

SILENT = 4.0  # seconds after which it plays again
SETTLE_SECONDS = 3.0  # seconds after the last client, before resources are counted
LOOK = 0.2  # seconds between two looks at its state
SETTLED = 5.0  # seconds after which the buffer has followed a lead that was raised


class LeadHistory:
    """The leads of a session, whose buffer needs time to follow one that is raised."""

    def __init__(self) -> None:
        self._begun: list[tuple[float, float]] = []  # times and leads

    def add(self, at: float, lead: float) -> None:
        """Note the lead at a time, in seconds; the first one counts for all times before."""
        if not self._begun:
            self._begun.append((-math.inf, lead))
        elif self._begun[-1][1] != lead:
            self._begun.append((at, lead))

    def settled(self, at: float) -> float:
        """The smallest lead of the last SETTLED seconds before a time."""
        ends = [*(begun for begun, _ in self._begun[1:]), math.inf]
        return min(
            lead
            for (begun, lead), end in zip(self._begun, ends, strict=True)
            if begun <= at and end > at - SETTLED
        )


class Monitor:
    """One client.

    exported   numbers of the takes whose audio is kept
    underruns  with the state at the time

    Args:
        context: of the soak.
    """

    def __init__(self, context: SoakContext):
        self.exported, self.underruns = set[int](), list[dict[str, Any]]()
        self.audio = PlayedAudio(context.store / "played", 2 * context.channels)
        self.client = context.client(self.audio.receive, self._read)
        self._context, self._tally = context, context.tally
        self._begun = time.monotonic()
        self._counted = 0  # underruns that were noted
        self._leads = LeadHistory()
        self._kept = math.inf  # least resident memory since the last sample, in MiB

    async def open(self) -> None:
        """Connect."""
        await self.client.open()

    async def keep_playing(self) -> None:
        """Play again where nothing plays, and note underruns."""
        silent_since = time.monotonic()
        while True:
            await asyncio.sleep(LOOK)
            if not self.client.connected:
                self._tally.fault(f"the monitor was closed with {self.client.close_code}")
                await self.client.open(resume=True)
            self._kept = min(self._kept, self._context.server.rss_mib)
            now, state = time.monotonic(), self.client.state
            if state["status"] != "stopped":
                silent_since = now
            elif now - silent_since > SILENT:
                silent_since = now
                await self.client.command("play")
            self._leads.add(now, state["lead"])
            for underrun in self.client.head.underruns[self._counted :]:
                self._note(underrun)
            self._counted = len(self.client.head.underruns)
            kept = {take["number"] for take in state["takes"]}
            self.audio.release(kept | self.exported | {state["performance"]})

    async def at_rest(self) -> Sample:
        """Stop the music, leave, and measure the resources."""
        if not self.client.connected:
            await self.client.open()
        await self.client.command("loop", bars=0)
        await self.client.command("stop")
        await self.client.close()
        await asyncio.sleep(SETTLE_SECONDS)
        return self.sample()

    def sample(self) -> Sample:
        """The state of the soak now."""
        state, used = self.client.state, self._context.server.resources()
        takes = state.get("takes", ())
        kept, self._kept = min(self._kept, used.rss_mib), math.inf
        return Sample(
            seconds=round(time.monotonic() - self._begun, 1),
            rss_mib=round(used.rss_mib, 1),
            kept_mib=round(kept, 1),
            threads=used.threads,
            files=used.files,
            cpu=round(used.cpu, 1),
            underruns=len(self.underruns),
            dropped=self.client.head.dropped,
            played=round(self.client.head.played / self._context.rate, 1),
            speed=state.get("speed"),
            mode=state.get("mode"),
            performances=state.get("performance", 0),
            takes=len(takes),
            take_seconds=round(sum(take["seconds"] for take in takes), 1),
            actions=sum(self._tally.actions.values()),
            faults=self._tally.fault_count,
        )

    def _read(self, message: Message) -> None:
        match message:
            case {"type": "hello" | "state", "state": state}:
                self.audio.note(state)
            case {"type": "applied", "target": "mute", "value": value, "sample": sample} if value:
                self.audio.note_mute(sample)
            case {"type": "notice", "level": level, "message": text}:
                self._tally.notices[f"{level}: {' '.join(text.split()[:6])}"] += 1
                if "failed" in text:
                    self._tally.fault(f"notice: {text}")
            case {"type": "error", "seq": None, "message": text}:
                self._tally.fault(f"an error for the monitor: {text}")

    def _note(self, underrun: Underrun) -> None:
        state = self.client.state
        self.underruns.append(
            {
                "at": round(underrun.at - self._begun, 2),
                "after": self._tally.before(underrun.at),
                "stalled": underrun.stalled,
                "lead": self._leads.settled(underrun.at),
                "mode": state["mode"],
                "speed": state["speed"],
                "knobs": len(state["playing_desk"]),
            }
        )
