"""Shared page of a take: it states the steering and the prompts that were played."""

import html
import io
import re
import zipfile

import pytest

from tests.live.players import TIMEOUT, playing, ready_take
from tests.steering.vectors import vector_of
from tonearm.live import PromptApplied, commands
from tonearm.steering import Control, Steer


def do(session, command):
    session.command(command).result(TIMEOUT)


def turn(session, player, value):
    """Turn the knob, and wait until the frame of the change is played."""
    applied = session.apply(Control.physical("brightness", value)).result(TIMEOUT)
    player.until(lambda one: one.blocks[-1].stop > applied.sample + 4000)


def page_of(session):
    """Titles of the takes, and the details by term."""
    do(session, commands.Stop())
    ready_take(session)
    content = zipfile.ZipFile(io.BytesIO(session.export_page(1)))
    text = html.unescape(content.read("index.html").decode())
    titles = re.findall(r'class="choice"[^>]*title="([^"]*)"', text)
    return titles, dict(re.findall(r"<dt>(.*?)</dt> <dd>(.*?)</dd>", text))


@pytest.mark.parametrize(
    ("start", "values", "stated"),
    [
        (0.0, [2.0], "brightness 0 to +2.0 st"),
        (1.0, [3.0, -2.5], "brightness -2.5 to +3.0 st"),
        (1.5, [], "brightness +1.5 st"),
        (0.0, [], "steered, with all knobs at 0"),
    ],
)
def test_a_knob_is_stated_with_the_range_in_which_it_was_turned(melody, start, values, stated):
    with playing(melody) as (session, player):
        session.apply(Control.physical("brightness", start)).result(TIMEOUT)
        do(session, commands.Play())
        player.until_samples(session.sample_rate // 2)
        for value in values:
            turn(session, player, value)
        titles, details = page_of(session)
    assert titles == ["plain", stated]
    assert "prompts" not in details


def test_knobs_at_zero_are_left_out_and_research_is_stated(melody):
    melody.vectors["push"] = vector_of(melody, "push", best_layer=1)
    steers = (Steer(vector="push", strength=0.25), Steer(vector="push", strength=0.0))
    with playing(melody) as (session, player):
        do(session, commands.Research(steers=steers))
        do(session, commands.Play())
        player.until_samples(session.sample_rate // 2)
        titles, _ = page_of(session)
    assert titles == ["plain", "push raw +0.25"]


def test_prompts_that_followed_are_stated_with_their_times(melody):
    with playing(melody) as (session, player):
        do(session, commands.Play())
        player.until_samples(session.sample_rate)
        do(session, commands.SetPrompt(text="a slow jazz piece"))
        player.until(lambda one: one.of(PromptApplied))
        (applied,) = player.of(PromptApplied)
        player.until(lambda one: one.blocks[-1].stop > applied.sample + 4000)
        _, details = page_of(session)
    tenths = int(10 * applied.frame / melody.shape.frame_rate)
    time = f"{tenths // 600}:{tenths // 10 % 60:02}.{tenths % 10}"
    assert details["prompts"] == f"“a folk tune”, from {time} “a slow jazz piece”"
