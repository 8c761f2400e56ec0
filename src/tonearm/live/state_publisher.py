"""Snapshots of a session's state, and their publication."""

import time

from tonearm.live.events import StateChanged, Subscriber
from tonearm.live.output import SessionOutput
from tonearm.live.playback import Playback
from tonearm.live.settings import Settings
from tonearm.live.state import Identity, SessionState
from tonearm.live.take_store import TakeStore
from tonearm.live.transport import Transport

PERIOD = 0.5  # seconds between two snapshots while music plays


class StatePublisher:
    """Reads the parts of a session, and changes none of them.

    Args:
        settings: of the session.
        transport: likewise.
        playback: likewise.
        output: likewise.
        takes: likewise.
        lookahead: of a stream, while none plays.
        publish: called with every snapshot.
    """

    def __init__(
        self,
        settings: Settings,
        transport: Transport,
        playback: Playback,
        output: SessionOutput,
        takes: TakeStore,
        lookahead: float,
        publish: Subscriber,
    ):
        self._settings, self._transport, self._playback = settings, transport, playback
        self._output, self._takes, self._lookahead = output, takes, lookahead
        self._publish, self._published = publish, 0.0

    @property
    def state(self) -> SessionState:
        """The state now."""
        settings, transport, playback = self._settings, self._transport, self._playback
        performance = transport.performance
        return SessionState(
            status=transport.status,
            mode=playback.mode,
            speed=playback.speed,
            run=self._output.run,
            performance=transport.count,
            start=transport.start,
            prompt=settings.prompt,
            seed=performance.seed if performance else settings.seed,
            next_seed=settings.seed,
            seed_locked=settings.seed_locked,
            controls=dict(settings.controls),
            desk=tuple(knob.name for knob in settings.desk),
            playing_desk=performance.desk if performance else (),
            research=settings.research,
            has_melody="melody" in settings.inputs,
            listening=settings.listening,
            loop_seconds=playback.loop_seconds,
            loop_bars=0 if playback.loop_seconds is None else transport.loop_bars,
            recording=performance is not None and performance.recording,
            lead=settings.lead,
            lookahead=performance.stream.lookahead if performance else self._lookahead,
            identity=performance.identity.identity if performance else Identity(),
            projections=performance.projections.states if performance else {},
            takes=self._takes.states,
        )

    def publish(self) -> None:
        """Publish a snapshot."""
        self._published = time.monotonic()
        self._publish(StateChanged(self.state))

    def publish_while_playing(self) -> None:
        """Publish a snapshot where music plays and the last one is older than PERIOD."""
        is_due = time.monotonic() - self._published > PERIOD
        if self._transport.performance is not None and is_due:
            self.publish()
