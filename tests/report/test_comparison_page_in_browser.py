"""The comparison page in Chromium: Web Audio plays, switches, seeks and loops."""

from dataclasses import replace

from tests.report.test_comparison_page import PLAIN, STEERED, noise
from tonearm.report.comparison_page import write_compare_page


def test_takes_play_switch_and_loop(browser, tmp_path):
    longer = replace(STEERED, clip=noise(0.5, seconds=1.5, seed=1))
    path = write_compare_page(tmp_path, "a folk tune", [PLAIN, longer], {})
    context = browser.new_context()
    page = context.new_page()
    faults = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-player=webaudio]")
    page.keyboard.press("l")
    page.keyboard.press(" ")
    page.keyboard.press("2")
    places = []
    for _ in range(4):
        page.wait_for_timeout(500)
        places.append(float(page.input_value(".seek")))
    assert page.get_attribute("button.play", "aria-label") == "Pause"  # beyond the end: it loops
    assert all(0 <= place <= 1.5 for place in places) and places != sorted(places)
    page.keyboard.press("l")
    page.wait_for_selector("button.play[aria-label=Play]")
    assert float(page.input_value(".seek")) == 1.5
    context.close()
    assert faults == []


def test_a_click_on_a_number_or_a_spectrogram_plays_that_take(browser, tmp_path):
    path = write_compare_page(tmp_path, "a folk tune", [PLAIN, STEERED], {})
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-player=webaudio]")
    page.click(".take:nth-child(2) .number")
    page.wait_for_selector("button.play[aria-label=Pause]")
    assert page.get_attribute(".choice:nth-child(2)", "aria-pressed") == "true"
    page.click("button.play")
    page.wait_for_selector("button.play[aria-label=Play]")
    box = page.locator(".take:nth-child(1) .plot").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("button.play[aria-label=Pause]")
    assert page.get_attribute(".choice:nth-child(1)", "aria-pressed") == "true"
    seconds = PLAIN.clip.samples.shape[1] / PLAIN.clip.sample_rate
    assert float(page.input_value(".seek")) >= 0.4 * seconds
    context.close()


def test_the_time_is_no_live_region_since_it_changes_with_every_frame(browser, tmp_path):
    path = write_compare_page(tmp_path, "a folk tune", [PLAIN, STEERED], {})
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-player=webaudio]")
    live = "output, [aria-live], [role=status], [role=alert], [role=log], [role=timer]"
    assert page.locator(f":is({live}) .now, :is({live}).now").count() == 0
    context.close()


def test_single_key_shortcuts_can_be_switched_off_and_stay_off(browser, tmp_path):
    path = write_compare_page(tmp_path, "a folk tune", [PLAIN, STEERED], {})
    context = browser.new_context()
    page = context.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-player=webaudio]")

    def pressed():
        """Press the keys for the loop and the second take; whether the loop and the take are on."""
        page.keyboard.press("l")
        page.keyboard.press("2")
        chosen = page.get_attribute(".choice:nth-child(2)", "aria-pressed")
        return page.get_attribute(".loop", "aria-pressed"), chosen

    page.focus("#shortcuts")
    page.keyboard.press(" ")  # the checkbox, not the player
    assert page.get_attribute("button.play", "aria-label") == "Play"
    assert not page.is_checked("#shortcuts") and pressed() == ("false", "false")
    page.reload()
    page.wait_for_selector("html[data-player=webaudio]")
    assert not page.is_checked("#shortcuts") and pressed() == ("false", "false")
    page.click("#shortcuts")
    page.keyboard.press("Control+2")  # a key of the browser
    assert page.get_attribute(".choice:nth-child(2)", "aria-pressed") == "false"
    assert pressed() == ("true", "true")
    context.close()
