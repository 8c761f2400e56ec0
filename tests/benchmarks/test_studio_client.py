"""Client of the studio without a browser: its play head, its answers, and its reconnection."""

import asyncio

import pytest
from benchmarks.studio_client import PlayHead, StudioClient

from tests.live.players import playing
from tests.studio.servers import served
from tests.threads import in_a_thread


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def head(clock) -> PlayHead:
    """1000 samples a second; it waits for 200."""
    return PlayHead(1000, clock)


def pass_time(clock: Clock, head: PlayHead, seconds: float, step: float = 0.01) -> int:
    """Look at the clock as a client does, and return the position."""
    for _ in range(round(seconds / step)):
        clock.now += step
        head.advance()
    return head.position


def test_it_waits_for_some_samples_and_then_plays_in_real_time(clock, head):
    head.receive(1, 5000, 5100)
    assert pass_time(clock, head, 1.0) == 5000 and not head.playing
    head.receive(1, 5100, 6000)
    assert pass_time(clock, head, 0.25) == pytest.approx(5250, abs=1)
    assert head.played == head.position - 5000 and head.underruns == []


def test_a_lead_that_is_shorter_than_its_wait_shortens_it(clock, head):
    head.set_lead(0.15)
    head.receive(1, 0, 100)
    assert head.playing


def test_an_underrun_is_counted_once_and_it_waits_again(clock, head):
    head.receive(1, 0, 300)
    assert pass_time(clock, head, 1.0) == 300
    (underrun,) = head.underruns
    assert (underrun.sample, underrun.stalled) == (300, False)
    assert underrun.at == pytest.approx(0.3, abs=0.011)
    head.receive(1, 300, 400)
    assert pass_time(clock, head, 1.0) == 300
    head.receive(1, 400, 600)
    assert pass_time(clock, head, 0.1) == pytest.approx(400, abs=1)
    assert len(head.underruns) == 1


def test_an_underrun_of_a_client_that_was_late_itself_is_marked(clock, head):
    head.receive(1, 0, 300)
    clock.now += 1.0
    head.receive(1, 300, 900)
    assert [one.stalled for one in head.underruns] == [True]


def test_samples_that_never_came_are_counted(clock, head):
    head.receive(1, 0, 300)
    head.receive(1, 500, 900)
    assert (head.dropped, head.position) == (200, 500)


def test_another_run_starts_anew_without_an_underrun_and_blocks_of_earlier_ones_are_left_out(
    clock, head
):
    head.receive(1, 0, 300)
    head.receive(2, 800, 1100)
    head.receive(1, 300, 600)
    assert pass_time(clock, head, 0.1) == pytest.approx(900, abs=1)
    assert (head.run, head.dropped, head.underruns) == (2, 0, [])


def test_the_end_of_a_performance_is_no_underrun(clock, head):
    head.receive(1, 0, 300)
    head.stop()
    assert pass_time(clock, head, 1.0) == 300
    assert head.underruns == [] and not head.playing


def test_a_client_plays_is_answered_and_connects_again(melody):
    async def use(url: str, rate: int) -> None:
        runs, kinds = set(), set()
        client = StudioClient(
            url,
            rate,
            1,
            lambda block: runs.add(block.run),
            lambda message: kinds.add(message["type"]),
        )
        await client.open()
        assert (await client.command("play"))["type"] == "done"
        while client.head.played < rate:
            await asyncio.sleep(0.05)
        applied = await client.control("target/brightness", 2.0)
        assert applied["value"] == 2.0 and applied["sample"] > 0
        assert (await client.control("target/nothing", 1.0))["type"] == "error"
        assert (await client.exchange("{", None))["type"] == "error"
        await client.abort()
        assert not client.connected
        with pytest.raises(ConnectionError):
            await client.command("stop")
        end = client.head.end
        await client.open(resume=True)
        while client.head.end <= end:
            await asyncio.sleep(0.05)
        assert client.head.dropped == 0
        await client.command("stop")
        assert client.state["status"] == "stopped" and not client.head.playing
        await client.close()
        assert runs == {1} and {"hello", "state", "applied", "error"} <= kinds

    with playing(melody, lead=1.0) as (session, player), served(session) as url:
        player.playing = False
        in_a_thread(asyncio.run, use(url, session.sample_rate))
