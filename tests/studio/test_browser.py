"""The page in Chromium, with real audio output, a real server and a tiny model."""

from collections.abc import Iterator

import pytest

from tests.live.players import playing
from tests.studio.servers import served
from tonearm.live import Session

pytestmark = pytest.mark.browser
TIMEOUT = 60_000  # ms
SOUNDING = "() => window.tonearm?.output.status.playing"
TURN = "([name, value]) => window.tonearm.rows.get(name).set(value)"


@pytest.fixture
def session(melody) -> Iterator[Session]:
    with playing(melody, lead=1.0) as (session, player):
        player.playing = False
        yield session


@pytest.fixture
def url(session) -> Iterator[str]:
    with served(session) as url:
        yield url


@pytest.fixture
def tab(browser, url):
    """A function that opens the page; it fails at any error in the page's console."""
    errors: list[str] = []
    contexts = []

    def open_page():
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        page.goto(url)
        page.wait_for_function("() => window.tonearm?.state")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors, errors


def position(page) -> int:
    return page.evaluate("() => window.tonearm.output.status.position")


def test_the_page_plays_at_once_and_goes_on_after_a_reload(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    assert page.get_by_role("button", name="Stop").is_visible()
    first = position(page)
    page.wait_for_function(f"() => window.tonearm.output.status.position > {first + 8000}")
    page.reload()
    page.wait_for_function(SOUNDING)
    assert position(page) > first


def test_a_knob_by_keyboard_is_applied_at_a_sample_and_marked(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    knob = page.get_by_role("slider", name="brightness", exact=True)
    knob.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("PageUp")
    page.wait_for_function(
        "() => document.getElementById('changes').textContent.includes('brightness +0.6 st')"
    )
    assert knob.get_attribute("aria-valuetext") == "plus 0.6 semitones, towards more"
    assert page.evaluate(
        "() => window.tonearm.state.controls['target/brightness']"
    ) == pytest.approx(0.6)
    assert page.evaluate("() => window.tonearm.roll.marks[0].sample") > 0
    assert page.evaluate("() => window.tonearm.latency") > 0
    page.keyboard.press("0")
    assert knob.get_attribute("aria-valuetext") == "zero, as without the knob"


def test_a_switch_between_a_and_b_changes_the_stream_that_plays(tab, session):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.locator("body").press("x")
    page.wait_for_function("() => window.tonearm.state.listening === 'plain'")
    assert page.get_by_role("radio", name="B plain").is_checked()
    assert session.state.listening == "plain"
    page.get_by_text("steered", exact=False).first.click()
    page.wait_for_function("() => window.tonearm.state.listening === 'steered'")


def test_untouched_knobs_leave_both_streams_identical_and_the_badge_says_so(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    badge = page.locator("#identity")
    page.wait_for_function("() => document.getElementById('identity').dataset.state === 'same'")
    assert "identical to plain" in badge.text_content()
    page.evaluate(TURN, ["brightness", 4])
    page.wait_for_function(
        "() => document.getElementById('identity').textContent.includes('differs')"
    )


def test_a_lost_connection_resumes_within_a_second(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    before = position(page)
    waited = page.evaluate(
        """async () => {
            const begun = performance.now();
            const back = new Promise((done) => window.tonearm.wire.addEventListener("hello", done, { once: true }));
            window.tonearm.wire.drop();
            await back;
            return performance.now() - begun;
        }"""
    )
    assert waited < 1000
    page.wait_for_function(f"() => window.tonearm.output.status.position > {before + 32000}")
    assert page.evaluate("() => window.tonearm.output.status.dropped") == 0
    assert page.locator("#link").text_content() == "connected"


def test_a_bad_message_is_shown_and_harms_nothing(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.evaluate("() => window.tonearm.wire.send({ type: 'explode' })")
    page.wait_for_function(
        "() => document.getElementById('notice').textContent.includes('explode')"
    )
    refused = page.evaluate(
        "() => window.tonearm.wire.command('loop', { bars: 99 }).catch((error) => error.message)"
    )
    assert "bars" in refused
    before = position(page)
    page.wait_for_function(f"() => window.tonearm.output.status.position > {before + 4000}")


def test_a_prompt_is_changed_while_it_plays_and_marked(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    field = page.get_by_label("Prompt")
    field.fill("a slow jazz piece")
    field.press("Enter")
    page.wait_for_function("() => window.tonearm.roll.marks.some((one) => one.target === 'prompt')")
    assert "a slow jazz piece" in page.locator("#changes").text_content()


def test_the_projection_on_a_knob_is_shown_for_both_streams(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    shown = page.get_by_text("projection A")
    shown.wait_for()
    assert "σ, B" in shown.text_content()


def test_research_steers_are_forked_with(tab, session):
    page = tab()
    page.wait_for_function("() => window.tonearm.output.status.position > 20000")
    page.locator(".research summary").click()
    page.get_by_label("Layers").fill("0, 1-2")
    page.get_by_label("Schedule as seconds:factor pairs").fill("0:0, 4:1")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Fork with these").click()
    page.wait_for_function("() => window.tonearm.state.performance === 2")
    steer = session._performance.stream.steering.steers[-1]
    assert (steer.layers, steer.schedule.points) == ((0, 1, 2), ((0, 0), (4, 1)))


@pytest.mark.slow
def test_a_minute_plays_without_an_underrun(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    begun = page.evaluate("() => window.tonearm.output.status.underruns")
    page.wait_for_timeout(60_000)
    status = page.evaluate("() => window.tonearm.output.status")
    rate = page.evaluate("() => window.tonearm.manifest.model.sample_rate")
    assert status["playing"] and status["position"] > 55 * rate
    assert (status["underruns"] - begun, status["dropped"]) == (0, 0)


def test_a_context_at_another_rate_resamples_without_a_click(tab):
    page = tab()
    result = page.evaluate(
        """async () => {
            const [from, to, hertz, count] = [16000, 48000, 440, 24000];
            const context = new OfflineAudioContext(1, 48000, to);
            await context.audioWorklet.addModule("/static/worklet.js");
            const node = new AudioWorkletNode(context, "tonearm-player", {
                numberOfInputs: 0, outputChannelCount: [1],
                processorOptions: { rate: from, channels: 1, prime: 1000 },
            });
            node.connect(context.destination);
            const tone = () => Float32Array.from({ length: count }, (_, i) => 0.5 * Math.sin((2 * Math.PI * hertz * i) / from));
            node.port.postMessage({ type: "audio", run: 1, first: 0, rows: [tone(), tone()] });
            await new Promise((done) => setTimeout(done, 500));
            const samples = (await context.startRendering()).getChannelData(0);
            const start = samples.findIndex((value) => value !== 0);
            let worst = 0;
            for (let i = 2000; i < 40000; i++) {
                const here = 0.5 * Math.sin((2 * Math.PI * hertz * (i - start)) / to);
                worst = Math.max(worst, Math.abs(samples[i] - here));
            }
            return { worst, start };
        }"""
    )
    assert result["start"] >= 0
    assert result["worst"] < 0.01, result


def test_two_tabs_show_the_same_knobs(tab):
    one, two = tab(), tab()
    one.wait_for_function(SOUNDING)
    two.wait_for_function(SOUNDING)
    one.evaluate(TURN, ["brightness", 2])
    two.wait_for_function("() => window.tonearm.rows.get('brightness').value === 2")
    assert (
        two.get_by_role("slider", name="brightness", exact=True).get_attribute("aria-valuetext")
        == "plus 2.0 semitones, towards more"
    )


def test_a_performance_becomes_a_take_with_files(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.get_by_role("button", name="Record").click()
    page.wait_for_function("() => window.tonearm.state.recording")
    before = position(page)
    page.wait_for_function(f"() => window.tonearm.output.status.position > {before + 8000}")
    page.get_by_role("button", name="Stop").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="FLAC files and sidecars of take 1").click()
    assert download.value.suggested_filename == "tonearm-1-flac.zip"
    assert page.evaluate("() => window.tonearm.output.status.playing") is False


@pytest.mark.parametrize("width", [390, 820, 1360])
def test_nothing_is_wider_than_the_page(tab, width):
    page = tab()
    page.set_viewport_size({"width": width, "height": 800})
    page.locator(".research summary").click()
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width


def test_every_control_has_a_name(tab):
    page = tab()
    page.locator(".research summary").click()
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, a[href]")].filter((one) => {
            const text = one.getAttribute("aria-label") ?? one.labels?.[0]?.textContent ?? one.textContent;
            return !text.trim();
        }).map((one) => one.outerHTML)"""
    )
    assert nameless == []
