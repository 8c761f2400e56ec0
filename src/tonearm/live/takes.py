"""Takes of a session: performances that have ended, as codes."""

from dataclasses import dataclass

from tonearm.generation.take import Take
from tonearm.live.performance import Entry
from tonearm.live.state import TakeState


@dataclass(frozen=True)
class FinishedTake:
    """A performance that has ended.

    number    of the performance
    steered   its take, without audio
    plain     likewise of the plain stream
    log       commands with their times
    recorded  sections, first and last sample
    """

    number: int
    steered: Take
    plain: Take
    log: tuple[Entry, ...]
    recorded: tuple[tuple[int, int], ...]

    @property
    def state(self) -> TakeState:
        """The take for clients."""
        one, rate = self.steered.provenance, self.steered.clip.sample_rate
        return TakeState(
            number=self.number,
            prompt=one.prompt,
            seed=one.seed,
            seconds=one.new_seconds,
            ready=True,
            recorded=tuple((first / rate, last / rate) for first, last in self.recorded),
        )
