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
