"""Sessions whose own thread fails: the performance becomes a take, and every call is answered."""

import pytest

from tests.live.players import TIMEOUT, playing
from tonearm.errors import TonearmError
from tonearm.live import Notice, StateChanged, commands
from tonearm.live.output import SessionOutput
from tonearm.live.playback import Playback
from tonearm.live.state_publisher import StatePublisher
from tonearm.live.transport import Transport
from tonearm.musicgen.decode_loop import Decoding
from tonearm.musicgen.decoder import DecoderState
from tonearm.musicgen.streaming_codec import StreamingCodec
from tonearm.replaying import replay

# the error of the thread is printed, as it should be
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


def plant(monkeypatch, owner, method):
    """Make a method fail from now on, after it has done its work where it ends something."""
    original = getattr(owner, method)

    def failing(self, *arguments, **named):
        if method == "end":
            original(self, *arguments, **named)
        raise RuntimeError("planted")

    monkeypatch.setattr(owner, method, failing)


def failed(session, player) -> None:
    """Wait until the session has failed."""
    player.until(lambda one: any("planted" in note.text for note in one.of(Notice)))
    session._thread.join()


@pytest.mark.parametrize(
    ("owner", "method"),
    [
        (StatePublisher, "publish_while_playing"),
        (StatePublisher, "publish"),
        (SessionOutput, "emit"),
        (Transport, "advance"),
        (Playback, "end"),
        (StreamingCodec, "push"),
        (DecoderState, "forward"),
        (Decoding, "step"),
    ],
)
def test_the_performance_becomes_a_take_that_replays(melody, monkeypatch, tmp_path, owner, method):
    with playing(melody) as (session, player):
        session.command(commands.Play()).result(TIMEOUT)
        session.command(commands.Record(on=True)).result(TIMEOUT)
        player.until_samples(session.sample_rate)
        with monkeypatch.context() as planted:
            plant(planted, owner, method)
            session.command(commands.Stop() if method == "end" else commands.Loop(bars=0))
            failed(session, player)
        with pytest.raises(TonearmError, match="has ended"):
            session.command(commands.Play()).result(TIMEOUT)
    assert session.state.status == "ended"
    (take,) = session.state.takes
    assert take.ready and take.seconds >= 1 and len(take.recorded) == 1, take.fault
    session.write_files(1, "wav", tmp_path)
    for name in ("steered", "plain"):
        assert replay(tmp_path / f"{name}.json", model=melody).identical


def test_clients_receive_the_take_that_is_complete_after_the_end(melody, monkeypatch):
    with playing(melody) as (session, player):
        session.command(commands.Play()).result(TIMEOUT)
        player.until_samples(session.sample_rate)
        plant(monkeypatch, Transport, "advance")
        failed(session, player)
        player.until(
            lambda one: any(
                take.ready for event in one.of(StateChanged) for take in event.state.takes
            )
        )


def test_a_fork_that_fails_keeps_the_take_before(melody, monkeypatch):
    with playing(melody) as (session, player):
        session.command(commands.Play()).result(TIMEOUT)
        player.until_samples(2 * session.sample_rate)
        plant(monkeypatch, SessionOutput, "rejoin")
        session.command(commands.Fork(seed=1))
        failed(session, player)
    assert session.unsaved == (1,)
