"""The page in Chromium: a whole test is answered by the keyboard, and the analysis reads its result."""

import functools
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tonearm.listening import Key, analyse, read_results
from tonearm.listening.allocation import sheet_of
from tonearm.listening.reading import read_result

LISTENERS = ("L07", "anna", "Zoë 12", "名前", "x" * 80)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder, and yield its address."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


@pytest.fixture
def page(browser):
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda one: page.faults.append(one.text) if one.type == "error" else None)
    yield page
    context.close()
    assert page.faults == []


def begin(page, listener="L07"):
    """Give the id, pass the check of the level."""
    page.fill("#listener", listener)
    page.keyboard.press("Enter")
    page.click(".music")
    page.wait_for_selector(".music[aria-pressed=true]")
    page.evaluate("Math.random = () => 0.5")
    page.click(".tones")
    page.fill("#tones", "4")
    page.click(".leveled")


def wait_for_trial(page, title):
    page.wait_for_function(
        "(title) => document.querySelector('.count').textContent === title"
        " && !document.querySelector('.trial').hidden",
        arg=title,
    )


def orders(key: Key, listener: str) -> list[tuple[str, list[str]]]:
    """Trial and stimuli in the order of presentation, of a listener."""
    test = key.test
    return [
        (test.trials[row[0]].name, [test.trials[row[0]].stimuli[index] for index in row[1:]])
        for row in test.sheets[sheet_of(listener, len(test.sheets))]
    ]


def right_side(key: Key, name: str, order: list[str]) -> str:
    """Key of the right answer to a trial of ABX."""
    conditions = [key.condition(name, stimulus) for stimulus in order]
    return str(1 + conditions[:2].index(conditions[2]))


def practise_abx(page, key):
    """Answer wrongly first, where the page says so."""
    training = key.test.training
    stimuli = [training.trial.stimuli[index] for index in training.order]
    right = 1 + stimuli.index(training.answer)
    for one in ("a", "b", "x", str(3 - right), "Enter"):
        page.keyboard.press(one)
    assert "Not right" in page.text_content(".feedback")
    page.keyboard.press(str(right))
    page.keyboard.press("Enter")


def save(page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click(".save")
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_an_abx_test_is_answered_by_keys_from_a_file_with_a_pause(page, make, tmp_path):
    made = make("abx", items=2)
    page.goto(made.page.as_uri())
    begin(page)
    wait_for_trial(page, "Practice")
    practise_abx(page, made.key)
    trials = orders(made.key, "L07")
    for number, (name, order) in enumerate(trials, start=1):
        wait_for_trial(page, f"Trial {number} of {len(trials)}")
        page.keyboard.press("Enter")
        assert "Not played yet: A, B, X" in page.text_content(".feedback")
        for one in ("a", "b", "x"):
            page.keyboard.press(one)
        page.keyboard.press("Enter")
        assert "Choose an answer" in page.text_content(".feedback")
        page.keyboard.press(right_side(made.key, name, order))
        page.keyboard.press("Enter")
        if number == 2:  # the browser is closed, and opened again
            wait_for_trial(page, "Trial 3 of 4")
            page.reload()
            page.click("text=Continue as L07 (2 of 4 answered)")
    page.wait_for_selector(".end:not([hidden])")
    page.fill("#remark", "all fine")
    path = save(page, tmp_path)
    results = read_results([path], made.key)
    assert results.incomplete == () and results.results[0].comment == "all fine"
    assert results.results[0].level.tones == results.results[0].level.answered == 4
    found = analyse(results, made.key)
    assert [one.condition for one in found.discriminations] == ["fast", "random"]
    assert {one.share.value for one in found.discriminations} == {1.0}
    assert found.level == (1, 1)


def test_a_mushra_test_is_rated_by_keys_from_a_server(page, make, tmp_path):
    made = make("mushra", items=2, shows_text=True)
    wanted = {"plain": 100, "fast": 60, "random": 20}
    with served(made.page.parent) as address:
        page.goto(address)
        begin(page, "anna")
        trials = orders(made.key, "anna")
        titles = ["Practice", *(f"Trial {i + 1} of {len(trials)}" for i in range(len(trials)))]
        for title, (name, order) in zip(titles, [("", []), *trials], strict=True):
            wait_for_trial(page, title)
            page.keyboard.press("r")
            page.keyboard.press("Enter")
            assert "Not played yet" in page.text_content(".feedback")
            for index in range(page.locator(".ratings li").count()):
                page.keyboard.press(str(index + 1))
                page.keyboard.press("Home")
                rating = wanted[made.key.condition(name, order[index])] if name else 7
                for _ in range(rating // 10 if name else 0):
                    page.keyboard.press("PageUp")  # by ten
                if not name:
                    page.keyboard.press("ArrowRight")
            page.keyboard.press("Enter")
        page.wait_for_selector(".end:not([hidden])")
        path = save(page, tmp_path)
    found = analyse(read_results([path], made.key), made.key)
    means = {one.condition: one.mean.value for one in found.ratings}
    assert means == wanted and not found.excluded


def test_pairs_are_chosen_by_the_mouse_and_an_incomplete_result_is_saved(page, make, tmp_path):
    made = make("2afc", items=2, title="Two <b>& three", shows_text=True)
    page.goto(made.page.as_uri())
    assert page.text_content(".welcome h1") == "Two <b>& three"
    begin(page)
    wait_for_trial(page, "Practice")
    for answers in range(2):
        for one in page.locator(".stimulus").all():
            one.click()
        page.click(f".answers label:nth-of-type({answers + 1})")
        page.click(".next")
        wait_for_trial(page, f"Trial {answers + 1} of 4")
    page.click(".pause")
    assert page.text_content(".sessions button") == "Continue as L07 (1 of 4 answered)"
    with page.expect_download() as download:
        page.click("text=Save the answers of L07")
    path = tmp_path / "partial.json"
    download.value.save_as(path)
    results = read_results([path], made.key)
    assert results.incomplete == ("L07",)
    assert analyse(results, made.key, incomplete=True).answers == 1


def test_the_page_assigns_sheets_as_the_package_does(page, make, tmp_path):
    made = make("abx", items=1)
    page.goto(made.page.as_uri())
    for listener in LISTENERS:
        page.fill("#listener", listener)
        page.keyboard.press("Enter")
        page.wait_for_selector(".level:not([hidden])")
        kept = page.evaluate(
            "(id) => JSON.parse(localStorage[Object.keys(localStorage)"
            ".find((one) => one.endsWith(':' + id))])",
            listener,
        )
        assert kept["sheet"] == sheet_of(listener, len(made.key.test.sheets))
        page.click(".pause")


def test_a_loop_keeps_within_its_region_and_a_switch_keeps_the_position(page, make):
    made = make("abx", items=1)
    page.goto(made.page.as_uri())
    begin(page)
    wait_for_trial(page, "Practice")
    page.locator(".from").fill("0.3")
    page.locator(".to").fill("0.7")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("a")
    places = []
    for one in "bxab":
        page.wait_for_timeout(150)
        places.append(float(page.input_value(".seek")))
        page.keyboard.press(one)
    assert all(0.29 <= place <= 0.71 for place in places) and len(set(places)) > 1
    assert page.get_attribute(".stimulus:nth-child(2)", "aria-pressed") == "true"
    page.keyboard.press(" ")
    assert page.get_attribute(".play", "aria-label") == "Play"


@pytest.mark.parametrize("kind", ["abx", "2afc", "mushra"])
def test_every_control_has_a_name_and_no_section_is_wider_than_a_phone(page, make, kind):
    made = make(kind, items=1)
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(made.page.as_uri())
    begin(page)
    wait_for_trial(page, "Practice")
    nameless = page.evaluate("""() => [...document.querySelectorAll('button, input, textarea, select')]
        .filter((one) => !one.getAttribute('aria-label') && !one.labels?.length
                         && !one.textContent.trim()).map((one) => one.outerHTML)""")
    assert nameless == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_result_that_was_changed_is_refused(page, make, tmp_path):
    made = make("abx", items=1)
    name, order = orders(made.key, "L07")[0]
    page.goto(made.page.as_uri())
    begin(page)
    wait_for_trial(page, "Practice")
    practise_abx(page, made.key)
    wait_for_trial(page, "Trial 1 of 2")
    for one in ("a", "b", "x", right_side(made.key, name, order), "Enter"):
        page.keyboard.press(one)
    wait_for_trial(page, "Trial 2 of 2")
    page.click(".pause")
    with page.expect_download() as download:
        page.click("text=Save the answers of L07")
    path = tmp_path / "r.json"
    download.value.save_as(path)
    content = json.loads(path.read_text())
    content["answers"][0]["order"].reverse()
    path.write_text(json.dumps(content))
    with pytest.raises(Exception, match="stimuli in answer 1 that differ"):
        read_result(path, made.key)


def test_single_key_shortcuts_can_be_switched_off_and_stay_off(page, make):
    made = make("2afc", items=1)
    page.goto(made.page.as_uri())
    begin(page)
    wait_for_trial(page, "Practice")
    assert page.is_visible(".keys:has-text('loop from or to here')")
    page.focus("#shortcuts")
    page.keyboard.press(" ")  # the checkbox, not the player
    assert page.get_attribute(".play", "aria-label") == "Play" and not page.is_checked("#shortcuts")
    for one in ("b", "1", "l", "Enter"):
        page.keyboard.press(one)
    assert page.get_attribute(".stimulus:nth-child(1)", "aria-pressed") == "true"
    assert page.locator("[name=answer]:checked").count() == 0
    assert page.get_attribute(".loop", "aria-pressed") == "true"
    assert page.text_content(".feedback") == ""
    page.reload()
    page.click("text=Continue as L07 (0 of 2 answered)")
    wait_for_trial(page, "Practice")
    assert not page.is_checked("#shortcuts")
    page.click("#shortcuts")
    page.keyboard.press("Control+l")  # a key of the browser
    assert page.get_attribute(".loop", "aria-pressed") == "true"
    page.keyboard.press("l")
    assert page.get_attribute(".loop", "aria-pressed") == "false"


def test_values_that_move_with_a_slider_or_the_music_are_no_live_regions(page, make):
    page.goto(make("mushra", items=1).page.as_uri())
    begin(page)
    wait_for_trial(page, "Practice")
    live = ":is(output, [aria-live], [role=status], [role=alert])"
    for moving in (".now", ".bounds", ".rating"):
        assert page.locator(moving).count() >= 1
        assert page.locator(f"{live} {moving}, {live}{moving}").count() == 0


def answer_trial(page, answer):
    for one in ("a", "b", answer, "Enter"):
        page.keyboard.press(one)


def begin_after_practice(page):
    """Begin a session of four trials, up to the first one that counts."""
    begin(page)
    wait_for_trial(page, "Practice")
    answer_trial(page, "1")
    wait_for_trial(page, "Trial 1 of 4")


def answers_in_storage(page, listener="L07"):
    text = page.evaluate(
        "(id) => localStorage[Object.keys(localStorage).find((one) => one.endsWith(':' + id))]",
        listener,
    )
    return json.loads(text)["answers"]


def test_without_storage_the_answers_stay_on_the_page_that_says_so(page, make, tmp_path):
    made = make("2afc", items=2)
    page.add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); };")
    page.goto(made.page.as_uri())
    begin_after_practice(page)
    for title in ("Trial 2 of 4", "Trial 3 of 4"):
        assert "leave this page open" in page.text_content(".notice[role=alert]")
        answer_trial(page, "2")
        wait_for_trial(page, title)
    page.click(".pause")
    assert "leave this page open" in page.text_content(".notice[role=alert]")
    page.click("text=Continue as L07 (2 of 4 answered)")
    wait_for_trial(page, "Trial 3 of 4")
    page.click(".pause")
    with page.expect_download() as download:
        page.click("text=Save the answers of L07")
    download.value.save_as(tmp_path / "result.json")
    assert len(json.loads((tmp_path / "result.json").read_text())["answers"]) == 2


def test_a_session_in_two_tabs_continues_in_one(page, make):
    made = make("2afc", items=2)
    with served(made.page.parent) as address:
        page.goto(address)
        begin_after_practice(page)
        other = page.context.new_page()
        other.goto(address)
        other.click("text=Continue as L07 (0 of 4 answered)")
        wait_for_trial(other, "Trial 1 of 4")
        answer_trial(page, "2")
        wait_for_trial(page, "Trial 2 of 4")
        other.wait_for_selector(".welcome:not([hidden])")
        assert "was continued in another tab" in other.text_content(".notice[role=alert]")
        other.click("text=Continue as L07 (1 of 4 answered)")
        wait_for_trial(other, "Trial 2 of 4")
        answer_trial(other, "1")
        page.wait_for_selector(".welcome:not([hidden])")
        wait_for_trial(other, "Trial 3 of 4")
        answer_trial(other, "1")
        page.wait_for_selector("text=Continue as L07 (3 of 4 answered)")  # the list follows
        assert [one["trial"] for one in answers_in_storage(page)] == [
            name for name, _ in orders(made.key, "L07")[:3]
        ]


def test_a_tab_without_a_storage_event_does_not_overwrite_another_tabs_answers(page, make):
    made = make("2afc", items=2)
    with served(made.page.parent) as address:
        page.goto(address)
        begin_after_practice(page)
        other = page.context.new_page()
        other.add_init_script(
            "addEventListener('storage', (event) => event.stopImmediatePropagation())"
        )
        other.goto(address)
        other.click("text=Continue as L07 (0 of 4 answered)")
        wait_for_trial(other, "Trial 1 of 4")
        for number in (2, 3):
            answer_trial(page, "2")
            wait_for_trial(page, f"Trial {number} of 4")
        first = answers_in_storage(page)
        answer_trial(other, "1")
        other.wait_for_selector(".welcome:not([hidden])")
        assert "was not stored" in other.text_content(".notice[role=alert]")
        assert len(first) == 2 and answers_in_storage(page) == first
        other.click("text=Continue as L07 (2 of 4 answered)")
        wait_for_trial(other, "Trial 3 of 4")


def test_audio_that_could_not_be_loaded_ahead_is_loaded_by_another_try(page, make):
    made = make("2afc", items=1)
    with served(made.page.parent) as address:
        page.goto(address)
        names = {name for _, order in orders(made.key, "L07") for name in order}
        page.route("**/audio/*.js", lambda route: route.abort()
                   if Path(route.request.url).stem in names else route.continue_())  # fmt: skip
        begin(page)
        wait_for_trial(page, "Practice")
        answer_trial(page, "1")
        page.wait_for_selector(".notice[role=alert] button:focus")
        assert "cannot be loaded" in page.text_content(".notice[role=alert]")
        page.keyboard.press("Enter")  # the network is still away
        page.wait_for_selector(".notice[role=alert] button:focus")
        page.unroute("**/audio/*.js")
        page.click("text=Try again")
        wait_for_trial(page, "Trial 1 of 2")
        assert page.is_hidden(".notice[role=alert]")
        assert page.faults and all("ERR_FAILED" in fault for fault in page.faults)
        page.faults.clear()


def focused(page):
    """The name of the element that has the focus."""
    return page.evaluate(
        "document.activeElement.ariaLabel ?? document.activeElement.labels?.[0]?.innerText"
    )


def test_keys_move_the_focus_to_the_excerpt_or_answer_and_the_others_still_act(page, make):
    made = make("abx", items=1)
    page.goto(made.page.as_uri())
    begin(page)
    wait_for_trial(page, "Practice")
    for one in "abx":
        page.keyboard.press(one)
        assert focused(page) == f"Play {one.upper()}"
    for wanted in ("Play", "Pause"):  # label of the button: its next action
        page.keyboard.press(" ")
        assert page.get_attribute(".play", "aria-label") == wanted
    page.keyboard.press("2")
    assert "X is B" in focused(page)
    page.keyboard.press(" ")
    assert page.get_attribute(".play", "aria-label") == "Play"
    before = float(page.input_value(".seek"))
    page.keyboard.press("ArrowLeft")  # seeks, and leaves the answer
    assert float(page.input_value(".seek")) < before and page.is_checked("[name=answer] >> nth=1")
    page.keyboard.press("ArrowUp")
    assert page.is_checked("[name=answer] >> nth=0") and "X is A" in focused(page)
    page.focus(".stimulus >> nth=0")
    page.keyboard.press(" ")  # a control that is not chosen acts by itself
    assert page.get_attribute(".stimulus >> nth=0", "aria-pressed") == "true"
    assert page.get_attribute(".play", "aria-label") == "Pause"


def test_keys_of_a_rated_test_move_the_focus_to_the_rating_or_the_reference(page, make):
    page.goto(make("mushra", items=1).page.as_uri())
    begin(page)
    wait_for_trial(page, "Practice")
    page.keyboard.press("2")
    assert focused(page) == "Rating of excerpt 2"
    page.keyboard.press("r")
    assert page.evaluate("document.activeElement.matches('.reference')")
    page.keyboard.press("Enter")
    assert "Not played yet" in page.text_content(".feedback")
