"""Controls and commands of clients, carried out in the session's thread.

    client ─► CommandHandler ─► Settings, Transport ─► StatePublisher

Every method answers through the future that it is given, and raises TonearmError for a mistake of
the client.
"""

from concurrent.futures import Future
from functools import partial
from typing import Any

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.generation.waiting_changes import Replaced, TooLate
from tonearm.live import commands
from tonearm.live.call_queue import run_call
from tonearm.live.desk import check_setting
from tonearm.live.events import Applied, Notice, PromptApplied, Subscriber
from tonearm.live.manifest import Manifest
from tonearm.live.metering import MeterThread
from tonearm.live.performance import Performance
from tonearm.live.playback import FORK_EXTRA_LEAD, PROMPT_EXTRA_LEAD
from tonearm.live.settings import Role, Settings
from tonearm.live.state import SessionState
from tonearm.live.state_publisher import StatePublisher
from tonearm.live.transport import Transport
from tonearm.steering.controls import GUIDANCE, Control
from tonearm.text import check_text, is_blank

NO_GUIDANCE = 1.0  # or less
LATER_GUIDANCE = (
    "this performance started without guidance; "
    "the new guidance applies from the next fork or start"
)
# seconds, beyond the lead, that build up before a command
EXTRA_LEADS: dict[type, float] = {
    commands.SetPrompt: PROMPT_EXTRA_LEAD,
    commands.Fork: FORK_EXTRA_LEAD,
    commands.Research: FORK_EXTRA_LEAD,  # which opens a stream on trial
}


class CommandHandler:
    """Carries out one call after the other.

    Args:
        manifest: of the session.
        settings: likewise.
        transport: likewise.
        meters: likewise; loops last as long as bars of the tempo that was measured.
        state: published after every command.
        publish: called with every change that took effect.
    """

    def __init__(
        self,
        manifest: Manifest,
        settings: Settings,
        transport: Transport,
        meters: MeterThread,
        state: StatePublisher,
        publish: Subscriber,
    ):
        self._manifest, self._settings, self._transport = manifest, settings, transport
        self._meters, self._state, self._publish = meters, state, publish
        self._sequence = 0  # controls so far

    def apply(self, control: Control, origin: str, answer: "Future[Applied]") -> None:
        """Change a setting of the performance that plays and of later ones."""
        self._sequence += 1
        sequence, performance = self._sequence, self._transport.performance

        def applied(frame: int | None, sample: int | None) -> Applied:
            return Applied(sequence, control.target, control.value, origin, frame, sample)

        def announce(frame: int | None, sample: int | None) -> None:
            event = applied(frame, sample)
            self._publish(event)
            answer.set_result(event)

        if performance is None:
            self._settings.set(control)
            announce(None, None)
            return
        if control.target == GUIDANCE and not performance.stream.is_guided:
            self._hold_guidance(control)
            announce(None, None)
            return
        self._check_vector(control, performance)

        def refuse(error: BaseException) -> None:
            if isinstance(error, Replaced):  # others know a newer value
                answer.set_result(applied(None, None))
            elif isinstance(error, TooLate):  # the settings have it, and so does a fork
                announce(None, None)
            else:
                answer.set_exception(error)

        self._transport.set(control, announce, refuse)
        self._settings.hold(control)

    def _hold_guidance(self, control: Control) -> None:
        """Keep a guidance that a performance without guidance cannot have, for the next one."""
        if self._settings.controls[GUIDANCE] <= NO_GUIDANCE < control.value:
            self._publish(Notice(LATER_GUIDANCE))
        self._settings.hold(control)

    def _check_vector(self, control: Control, performance: Performance) -> None:
        """Raise TonearmError for a vector that the performance does not have in this way."""
        vector = control.vector
        if self._settings.has_research(control):
            self._settings.check_research(control)
            has_it = performance.stream.has(control)
        elif vector in performance.desk:
            check_setting(control, self._manifest.knob(vector))
            return
        else:
            has_it = vector not in {knob.name for knob in self._settings.desk}
        if not has_it:
            raise TonearmError(f"{vector!r} is not in this performance; fork it, or play again")

    def carry_out(self, command: Any, answer: "Future[None]") -> None:
        """Carry out a command of `tonearm.live.commands`.

        A prompt and a fork take longer than a piece of music, so that extra lead builds up before
        them.
        """
        extra_lead = EXTRA_LEADS.get(type(command))
        if extra_lead is None:
            self._carry_out_now(command, answer)
        else:
            action = partial(run_call, partial(self._carry_out_now, command), answer)
            self._transport.run_with_extra_lead(extra_lead, action)

    def _carry_out_now(self, command: Any, answer: "Future[None]") -> None:
        settings, transport = self._settings, self._transport
        match command:
            case commands.Play(after=after):
                if after is None or after >= transport.count or transport.performance is None:
                    transport.play()
            case commands.Stop():
                transport.end()
            case commands.SetPrompt(text=text):
                self._set_prompt(text)
            case commands.SetSeed(seed=seed, locked=locked):
                self._set_seed(seed, locked)
            case commands.Fork(seed=seed):
                transport.fork(seed)
            case commands.Loop(bars=bars):
                latest = self._meters.latest
                is_of_run = latest is not None and latest.sample > transport.run_start
                transport.loop(bars, latest.steered.tempo if latest and is_of_run else None)
            case commands.Record(on=on):
                transport.record(on)
            case commands.Listen(to=to):
                settings.listening = to
            case commands.SetLead(seconds=seconds):
                settings.lead = seconds
            case commands.SetDesk(knobs=names):
                settings.set_desk(names)
            case commands.Research(steers=steers):
                settings.set_research(steers)
            case _:
                raise TonearmError(
                    f"{command!r} is not a command; use one of tonearm.live.COMMANDS"
                )
        if transport.performance is not None and not isinstance(command, commands.Play):
            transport.performance.note(command.model_dump_json())
        self._state.publish()
        answer.set_result(None)

    def use_audio(self, role: Role, clip: Clip | None, answer: "Future[None]") -> None:
        """Start a performance with other audio in a role; None removes it, and starts one only in
        place of one that plays.
        """
        settings = self._settings
        before = dict(settings.inputs)
        try:
            settings.use_audio(role, clip)
            if clip is not None or (role in before and self._transport.performance is not None):
                self._transport.play()
        except TonearmError:
            settings.inputs = before
            raise
        finally:
            settings.inputs.pop("continue_from", None)  # a prompt is continued once
        self._state.publish()
        answer.set_result(None)

    def set_playhead(self, sample: int, answer: "Future[None]") -> None:
        """Count the position that a client plays."""
        self._transport.played(sample)
        answer.set_result(None)

    def publish_state(self, answer: "Future[None]") -> None:
        """Publish the state."""
        self._state.publish()
        answer.set_result(None)

    def snapshot(self, answer: "Future[SessionState]") -> None:
        """Answer with the state."""
        answer.set_result(self._state.state)

    def _set_seed(self, seed: int | None, locked: bool) -> None:
        performance = self._transport.performance
        if seed is None and locked and performance is not None:
            seed = performance.seed
        self._settings.seed, self._settings.seed_locked = seed, locked

    def _set_prompt(self, text: str) -> None:
        check_text(text, "prompt")
        if is_blank(text):
            raise TonearmError("the prompt is empty; describe the music in a few words")

        def refuse(error: BaseException) -> None:
            if not isinstance(error, TooLate):  # the settings have it, and so does a fork
                self._publish(Notice(f"the prompt was not changed: {error}", "error"))

        if self._transport.performance is not None:
            self._transport.set_prompt(
                text,
                lambda frame, sample: self._publish(PromptApplied(text, frame, sample)),
                refuse,
            )
        self._settings.prompt = text
