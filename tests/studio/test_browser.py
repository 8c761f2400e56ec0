"""The page in Chromium, with real audio output, a real server and a tiny model."""

import base64
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

import tonearm
from tests.knobs.planted import knob_of
from tests.live.players import playing
from tests.studio.servers import served
from tonearm.live import Session, commands, playback
from tonearm.studio.app import Studio

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

    def open_page(address=url):
        context = browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda line: line.type == "error" and errors.append(line.text))
        page.goto(address)
        page.wait_for_function("() => window.tonearm?.state")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors, errors


def until_played(page, seconds: float, since: int = 0) -> None:
    """Wait until a page has played some seconds after a position."""
    page.wait_for_function(
        """([since, seconds]) => window.tonearm && window.tonearm.output.status.position
            > since + seconds * window.tonearm.manifest.model.sample_rate""",
        arg=[since, seconds],
    )


def position(page) -> int:
    return page.evaluate("() => window.tonearm.output.status.position")


def test_a_page_that_opens_later_starts_nothing(tab, session):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.get_by_role("button", name="Stop").click()
    page.wait_for_function("() => window.tonearm.state.status === 'stopped'")
    page.reload()
    page.wait_for_function("() => window.tonearm?.state && window.tonearm.output.running")
    page.evaluate("() => window.tonearm.connection.command('record', { on: false }).catch(() => 0)")
    assert session.snapshot().result(60).performance == 1
    page.get_by_role("button", name="Play").click()
    page.wait_for_function("() => window.tonearm.state.performance === 2")


def test_the_page_plays_at_once_and_continues_after_a_reload(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    assert page.get_by_role("button", name="Stop").is_visible()
    first = position(page)
    until_played(page, 1, first)
    page.reload()
    page.wait_for_function(SOUNDING)
    assert position(page) > first


def test_a_checkpoint_without_vectors_is_played(tab, small):
    assert not small.vectors
    session = Session(small, prompt="a folk tune", mode="live", lead=1.0)
    with session, served(session) as url:
        page = tab(url)
        page.wait_for_function(SOUNDING)
        page.locator(".research summary").click()
        assert not page.get_by_text("Additional vectors").is_visible()
        assert page.get_by_text("This checkpoint has no vectors").is_visible()
        page.close()


@pytest.mark.parametrize("lost", ["fetch", "Worker"])
def test_a_page_that_cannot_start_shows_why(browser, url, lost):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(f"window.{lost} = function () {{ throw new Error('out of order'); }}")
    page.goto(url)
    page.get_by_text("the page could not start: out of order").wait_for(timeout=TIMEOUT)
    assert page.locator("#notice").get_attribute("data-level") == "error"
    context.close()


INSECURE = """
    Object.defineProperty(window, "isSecureContext", { value: false });
    delete BaseAudioContext.prototype.audioWorklet;
"""


def test_a_page_that_cannot_sound_shows_what_to_do_and_controls_the_music(browser, url, session):
    """Browsers have no worklets where the page is open by the address of another machine."""
    context = browser.new_context()
    page, errors = context.new_page(), []
    page.set_default_timeout(TIMEOUT)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.add_init_script(INSECURE)
    page.goto(url)
    page.get_by_text("ssh -L").wait_for()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.evaluate(TURN, ["brightness", 2])
    page.wait_for_function("() => window.tonearm.state.controls['target/brightness'] === 2")
    assert session.state.controls["target/brightness"] == 2
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Play").wait_for()
    assert errors == []
    context.close()


SUSPENDED = """
    const Real = window.AudioContext;
    window.AudioContext = class extends Real {
        constructor(options) {
            super(options);
            this.suspend();
        }
    };
"""
LATE_SOUND = """
    const Real = window.AudioContext;
    window.AudioContext = class extends Real {
        constructor(options) {
            super(options);
            this.suspend();
            setTimeout(() => this.resume(), 700);
        }
    };
"""


def test_the_page_plays_as_soon_as_the_browser_lets_it_sound(browser, url):
    """Firefox begins every context suspended, and lets it run a moment later."""
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(LATE_SOUND)
    page.goto(url)
    page.wait_for_function("() => window.tonearm?.state?.status === 'stopped'", timeout=TIMEOUT)
    page.wait_for_function(SOUNDING, timeout=TIMEOUT)
    page.get_by_role("button", name="Stop").click()
    page.wait_for_function("() => window.tonearm.state.status === 'stopped'", timeout=TIMEOUT)
    page.evaluate("() => window.tonearm.output.context.suspend()")
    page.evaluate("() => window.tonearm.output.context.resume()")
    page.wait_for_timeout(300)
    assert page.evaluate("() => window.tonearm.state.status") == "stopped"
    context.close()


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
    assert knob.get_attribute("aria-valuetext") == "zero, no steering by this knob"


def test_a_switch_between_a_and_b_changes_the_stream_that_plays(tab, session):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.locator("body").press("x")
    page.wait_for_function("() => window.tonearm.state.listening === 'plain'")
    assert page.get_by_role("radio", name="B plain").is_checked()
    assert session.state.listening == "plain"
    page.get_by_text("steered", exact=False).first.click()
    page.wait_for_function("() => window.tonearm.state.listening === 'steered'")


def test_untouched_knobs_leave_both_streams_identical_and_the_badge_reports_it(tab):
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
            const back = new Promise((done) => window.tonearm.connection.addEventListener("hello", done, { once: true }));
            window.tonearm.connection.drop();
            await back;
            return performance.now() - begun;
        }"""
    )
    assert waited < 1000
    until_played(page, 2, before)
    assert page.evaluate("() => window.tonearm.output.status.dropped") == 0
    assert page.locator("#link").text_content() == "connected"


def test_live_regions_are_silent_while_knobs_move_and_connections_fail(browser, url, session):
    session.snapshot().result(60)  # prepared, so that no notice of the start is cleared later
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.goto(url)
    page.wait_for_function(SOUNDING)
    page.wait_for_function("() => document.getElementById('link').textContent === 'connected'")
    page.evaluate(
        """() => {
            window.changed = [];
            const watch = new MutationObserver((all) => all.forEach(({ target }) => window.changed.push(target.textContent)));
            for (const one of document.querySelectorAll("output, [role=status], [role=alert], [aria-live]")) {
                watch.observe(one, { childList: true, characterData: true, subtree: true });
            }
        }"""
    )
    page.evaluate(TURN, ["brightness", 2])
    page.get_by_label("Temperature").press("ArrowRight")
    page.wait_for_function("() => window.tonearm.latency > 0")
    assert page.evaluate("() => window.changed") == []
    page.evaluate(
        """() => {
            const link = (state) => window.tonearm.connection.dispatchEvent(new CustomEvent("link", { detail: state }));
            for (let attempt = 0; attempt < 5; attempt++) link("reconnecting");
            link("connected");
        }"""
    )
    assert page.evaluate("() => window.changed.length") == 2
    context.close()


def test_keys_of_the_browser_do_not_turn_a_knob(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.evaluate(TURN, ["brightness", 2])
    knob = page.get_by_role("slider", name="brightness", exact=True)
    for key in ("Control+0", "Meta+0", "Alt+ArrowLeft", "Control+Home"):
        prevented = knob.evaluate(
            """(slider, key) => {
                const [modifier, name] = key.split("+");
                const event = new KeyboardEvent("keydown", { key: name, cancelable: true, [`${modifier.toLowerCase().replace("control", "ctrl")}Key`]: true });
                return !slider.dispatchEvent(event);
            }""",
            key,
        )
        assert not prevented, key
    assert page.evaluate("() => window.tonearm.rows.get('brightness').value") == 2


def test_a_knob_is_held_by_the_first_button_until_it_is_released_or_lost(tab):
    page = tab()
    knob = page.get_by_role("slider", name="brightness", exact=True)
    held = "() => window.tonearm.rows.get('brightness').held"
    knob.dispatch_event("pointerdown", {"button": 2})
    assert not page.evaluate(held)
    for end in ("pointerup", "pointercancel", "lostpointercapture", "blur"):
        knob.dispatch_event("pointerdown", {"button": 0})
        assert page.evaluate(held)
        knob.dispatch_event(end)
        assert not page.evaluate(held), end


def test_a_bad_message_is_shown_and_harms_nothing(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.evaluate("() => window.tonearm.connection.send({ type: 'explode' })")
    page.wait_for_function(
        "() => document.getElementById('notice').textContent.includes('explode')"
    )
    refused = page.evaluate(
        "() => window.tonearm.connection.command('loop', { bars: 99 }).catch((error) => error.message)"
    )
    assert "bars" in refused
    before = position(page)
    until_played(page, 1, before)


LATER = """
    const real = window.requestAnimationFrame;
    window.later = 0; // ms by which the clock of frames is ahead
    window.requestAnimationFrame = (call) => real((now) => call(now + window.later));
"""


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_reason_of_an_end_stays_beside_it(browser, url, session, monkeypatch):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.add_init_script(LATER)
    page.goto(url)
    page.wait_for_function(SOUNDING)
    minute = """async () => {
        window.later += 60_000;
        for (let i = 0; i < 3; i++) await new Promise((done) => requestAnimationFrame(done));
        return document.getElementById("notice").textContent;
    }"""
    session.notify("something to know")
    page.get_by_text("something to know").wait_for()
    assert page.evaluate(minute) == ""
    page.evaluate("() => window.tonearm.connection.send({ type: 'explode' })")
    page.wait_for_function(
        "() => document.getElementById('notice').textContent.includes('explode')"
    )
    assert "explode" in page.evaluate(minute)

    def fail():
        raise RuntimeError("out of order")

    monkeypatch.setattr(session._transport, "advance", fail)
    page.wait_for_function("() => window.tonearm.state.status === 'ended'")
    page.get_by_text("out of order").wait_for()
    assert "the session has ended" in page.evaluate(minute)
    assert "out of order" in page.locator("#notice").text_content()
    context.close()


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
    page.wait_for_function(
        "() => /^A .*, B .* σ$/.test(document.querySelector('.needles').lastChild.textContent)"
    )
    centres = page.evaluate(
        """() => ['.scale', '.slider'].map((name) => {
            const { left, width } = document.querySelector(name).getBoundingClientRect();
            return left + width / 2;
        })"""
    )
    assert centres[0] == pytest.approx(centres[1], abs=1)  # both zeros are at one place


def test_research_steers_are_forked_with(tab, session):
    page = tab()
    until_played(page, 2)
    page.locator(".research summary").click()
    page.get_by_label("Layers").fill("0, 1-2")
    page.get_by_label("Schedule as seconds:factor pairs").fill("0:0, 4:1")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Fork with these").click()
    page.wait_for_function("() => window.tonearm.state.performance === 2")
    steer = session._transport.performance.stream.steering.steers[-1]
    performance = session._transport.performance
    prompt = performance.skip / session.sample_rate  # that the fork continues
    assert (steer.layers, steer.schedule.points) == ((0, 1, 2), ((prompt, 0), (prompt + 4, 1)))


def test_the_loop_that_another_client_chose_is_shown_and_can_be_ended(tab):
    page = tab()
    until_played(page, 5)
    loop = page.get_by_label("Loop")
    for bars in (2, 3):
        page.evaluate("(bars) => window.tonearm.connection.command('loop', { bars })", bars)
        page.wait_for_function(f"() => document.getElementById('loop').value === '{bars}'")
    loop.select_option("0")
    page.wait_for_function("() => window.tonearm.state.loop_bars === 0")


def test_the_seed_that_was_typed_is_that_of_the_next_performance(tab, session):
    page = tab()
    page.wait_for_function(SOUNDING)
    field, lock = page.get_by_label("Next seed"), page.get_by_label("lock")
    settings = session._transport._settings

    def next_is(seed, locked):
        page.wait_for_function(
            f"() => window.tonearm.state.seed_locked === {str(locked).lower()}"
            f" && window.tonearm.state.next_seed === {'null' if seed is None else seed}"
        )
        assert (settings.seed, settings.seed_locked) == (seed, locked)
        assert field.input_value() == ("" if seed is None else str(seed))

    next_is(5, True)  # of the fixture
    lock.uncheck()
    next_is(None, False)
    lock.check()
    next_is(5, True)  # the one that plays
    lock.uncheck()
    field.fill("7")
    field.press("Tab")
    next_is(7, False)
    assert page.get_by_text("playing: 5").is_visible()
    lock.check()
    next_is(7, True)
    lock.uncheck()
    next_is(7, False)


def test_a_schedule_that_was_drawn_and_then_edited_is_that_of_the_text(tab, session):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.locator(".research summary").click()
    page.locator("canvas.draw").click(position={"x": 40, "y": 40})
    text = page.get_by_label("Schedule as seconds:factor pairs")
    assert text.input_value().startswith("0:1, ")
    text.fill("0:0, 3:1")
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("button", name="Play with these").click()
    page.wait_for_function("() => window.tonearm.state.performance === 2")
    (steer,) = session._transport._settings.research
    assert steer.schedule.points == ((0, 0), (3, 1))


def test_further_vectors_are_listed_on_every_page_and_can_be_removed(tab, session):
    """Those of the session: after a reload, and as another client chose them."""
    first = tab()
    first.wait_for_function(SOUNDING)
    first.locator(".research summary").click()
    first.get_by_role("button", name="Add", exact=True).click()
    first.get_by_role("button", name="Play with these").click()
    first.wait_for_function("() => window.tonearm.state.research.length === 1")
    first.reload()
    for page in (first, tab()):
        page.wait_for_function("() => window.tonearm?.state?.research.length === 1")
        page.locator(".research summary").click()
        assert page.locator(".steers li").count() == 1
    page.get_by_role("button", name="Remove").click()
    page.get_by_role("button", name="Play with these").click()
    page.wait_for_function("() => window.tonearm.state.research.length === 0")
    first.wait_for_function("() => document.querySelectorAll('.steers li').length === 0")
    assert session.snapshot().result(60).research == ()


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


PLAYED = """async (messages) => {
    const context = new OfflineAudioContext(1, 24000, 16000);
    await context.audioWorklet.addModule("/static/worklet.js");
    const node = new AudioWorkletNode(context, "tonearm-player", {
        numberOfInputs: 0, outputChannelCount: [1],
        processorOptions: { rate: 16000, channels: 1, prime: 1000 },
    });
    node.connect(context.destination);
    let last;
    node.port.onmessage = ({ data }) => (last = data);
    for (const message of messages) {
        const { first, values, run = 1, plain = values } = message;
        const rows = values && [Float32Array.from(values), Float32Array.from(plain)];
        node.port.postMessage(values ? { type: "audio", run, first, rows } : message);
    }
    await new Promise((done) => setTimeout(done, 500));
    const samples = (await context.startRendering()).getChannelData(0);
    await new Promise((done) => setTimeout(done, 500));
    return { ...last, loudest: samples.reduce((most, one) => Math.max(most, Math.abs(one)), 0) };
}"""
RATE = 16_000  # of that context, which lasts 1.5 s


def test_samples_that_never_came_are_counted_as_dropped(tab):
    page, block = tab(), [0.5] * 4000
    gap = [{"first": 0, "values": block}, {"first": 5000, "values": block}]
    assert page.evaluate(PLAYED, gap)["dropped"] == 5000  # and the first block, which was buffered
    whole = [{"first": 0, "values": block}, {"first": 4000, "values": block}]
    assert page.evaluate(PLAYED, whole)["dropped"] == 0
    missed = page.evaluate(PLAYED, [gap[0], {"type": "reconnected"}, gap[1]])
    assert (missed["skipped"], missed["dropped"]) == (5000, 0)  # while the page was offline


@pytest.mark.parametrize(
    ("peak", "wanted", "gains"),
    [(0.2, 4.0, (1.0, 4.0)), (0.49, 4.0, (0.5, 2.0)), (0.9, 0.5, (1.0, 0.5))],
)
def test_a_is_lowered_where_b_has_no_headroom(tab, peak, wanted, gains):
    page = tab()
    block = {"first": 0, "values": [0.1] * RATE, "plain": [peak] * RATE}
    status = page.evaluate(PLAYED, [{"type": "gain", "plain": wanted}, block])
    assert status["gains"] == pytest.approx(gains, rel=1e-3)


def test_the_level_is_that_which_the_player_has_set(tab):
    page = tab()
    text = """async ([a, b]) => {
        const numbers = (loudness) => ({ tempo: null, centroid: null, loudness });
        const { connection, output } = window.tonearm;
        output.status = { ...output.status, gains: [0.5, 2] };
        connection.dispatchEvent(new CustomEvent("meters", { detail: { sample: 1e12, steered: numbers(a), plain: numbers(b) } }));
        return document.getElementById("level").textContent;
    }"""
    assert page.evaluate(text, [-12, -24]) == "loudness matched: B plays +6.0 dB, A −6.0 dB"
    assert page.evaluate(text, [-12, -25]).startswith(
        "loudness not matched: A is +13.0 LU relative to B"
    )
    assert "after the first measurement" in page.evaluate(text, [None, -24])


def test_the_level_match_and_the_meters_of_a_run_end_with_it(tab):
    page = tab()
    found = page.evaluate(
        """() => {
            const { connection, output, state } = window.tonearm;
            const emit = (type, detail) => connection.dispatchEvent(new CustomEvent(type, { detail }));
            const numbers = (loudness) => ({ tempo: 120, centroid: 1000, loudness });
            const meters = (sample) => emit("meters", { sample, steered: numbers(-12), plain: numbers(-18) });
            const shown = () => [output.settings.get("gain").plain, document.getElementById("tempo-a").textContent];
            const [run, start] = [state.run + 1, 1e12];
            meters(1e12 + 1);
            const before = shown();
            emit("state", { state: { ...state, run, start } });
            const after = shown();
            meters(start); // measured before the run began
            return [before, after, shown()];
        }"""
    )
    assert found == [[pytest.approx(10 ** (6 / 20)), "120.0 BPM"], [1, "–"], [1, "–"]]


def test_blocks_under_way_do_not_undo_a_stop(tab):
    page, half = tab(), [0.5] * (RATE // 2)
    first, later = {"first": 0, "values": half}, {"first": RATE // 2, "values": half}
    stopped = [first, {"type": "stop", "run": 1}, later]
    assert page.evaluate(PLAYED, stopped)["loudest"] == 0
    played = page.evaluate(PLAYED, [*stopped, {"type": "play"}])
    assert (played["loudest"], played["dropped"]) == (pytest.approx(0.5), 0)
    newer = {"first": RATE, "values": half, "run": 2}
    assert page.evaluate(PLAYED, [*stopped, newer])["run"] == 2
    assert page.evaluate(PLAYED, [*stopped, newer])["loudest"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("lead", "seconds", "skipped"), [(0.2, 1.0, 0), (0.2, 8.0, 7.8), (3.0, 3.9, 0), (3.0, 5.0, 2.0)]
)
def test_a_page_that_begins_late_skips_to_the_lead(tab, lead, seconds, skipped):
    page = tab()
    values = [0.5] * round(seconds * RATE)
    prime = {"type": "prime", "samples": 2000, "lead": round(lead * RATE)}
    status = page.evaluate(PLAYED, [prime, {"first": 0, "values": values}])
    assert (status["skipped"], status["dropped"]) == (round(skipped * RATE), 0)


def test_a_page_that_was_suspended_plays_in_step_with_the_others(tab, browser, url, session):
    one = tab()
    one.wait_for_function(SOUNDING)
    context = browser.new_context()
    two = context.new_page()
    two.set_default_timeout(TIMEOUT)
    two.add_init_script(SUSPENDED)
    two.goto(url)
    two.wait_for_function("() => window.tonearm?.state?.status === 'playing'")
    behind = position(one)
    until_played(one, 5, behind)
    two.evaluate("() => window.tonearm.output.context.resume()")
    two.wait_for_function(SOUNDING)
    two.wait_for_function("() => window.tonearm.output.status.skipped > 0")
    assert position(two) > behind + 3 * session.sample_rate
    context.close()


def test_the_first_sound_is_that_of_the_first_sample_that_is_not_silent(tab):
    page = tab()
    values = [0.0] * 8000 + [0.5] * 8000
    status = page.evaluate(PLAYED, [{"first": 0, "values": values}])
    assert status["sounded"] == pytest.approx(0.5, abs=0.01)  # of the time of the context
    assert status["time"] == pytest.approx(1.5, abs=0.06)
    page.wait_for_function("() => window.tonearm.output.firstSound > 0")
    assert page.evaluate("() => window.tonearm.output.firstSound < performance.now()")


def test_the_position_between_two_reports_is_that_of_the_clock(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    positions = page.evaluate(
        """async () => {
            const found = [];
            for (let i = 0; i < 60; i++) {
                await new Promise((done) => setTimeout(done, 5));
                const { position, buffered } = window.tonearm.output.status;
                found.push([position, window.tonearm.output.position, position + buffered]);
            }
            return found;
        }"""
    )
    assert all(low <= now <= high for low, now, high in positions)
    assert len({now for _, now, _ in positions}) > len({low for low, _, _ in positions})


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
    until_played(page, 1, before)
    page.get_by_role("button", name="Stop").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="FLAC files and sidecars of take 1").click()
    assert download.value.suggested_filename == "tonearm-1-flac.zip"
    assert page.evaluate("() => window.tonearm.output.status.playing") is False


def test_an_export_that_fails_shows_why_and_no_page_is_offered_for_a_long_take(
    browser, session, url
):
    session.manifest = session.manifest.model_copy(update={"page_seconds": 0.1})
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.goto(url)
    page.wait_for_function(SOUNDING)
    page.get_by_role("button", name="Stop").click()
    link = page.get_by_role("link", name="FLAC files and sidecars of take 1")
    link.wait_for()
    assert page.get_by_text("pages: 0.1 s at most").is_visible()
    assert page.get_by_role("link", name="A page to share").count() == 0
    session._takes._takes.clear()
    link.focus()
    link.press("Enter")
    page.get_by_text("take 1: there is no take 1").wait_for()
    assert page.locator("#notice").get_attribute("data-level") == "error"
    context.close()


def test_the_focus_stays_where_lists_change(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.locator(".more summary").click()
    chip = page.get_by_role("checkbox", name="brightness")
    chip.focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => window.tonearm.state.desk.length === 0")
    page.keyboard.press("Space")
    page.wait_for_function("() => window.tonearm.state.desk.length === 1")
    assert chip.is_checked()
    assert page.evaluate("() => window.tonearm.state.status") == "playing"
    page.locator(".research summary").click()
    for layer in "012":
        page.get_by_label("Layers").fill(layer)
        page.get_by_role("button", name="Add", exact=True).click()
    removes = page.get_by_role("button", name="Remove brightness")
    removes.nth(1).focus()
    for left in (2, 1, 0):
        page.keyboard.press("Enter")
        assert removes.count() == left
        assert page.evaluate("() => document.activeElement.tagName") == "BUTTON" or not left
    assert page.evaluate("() => document.activeElement.tagName") == "SELECT"
    page.get_by_role("button", name="Stop").click()
    link = page.get_by_role("link", name="FLAC files and sidecars of take 1")
    link.focus()
    page.evaluate("() => document.getElementById('play').click()")
    page.wait_for_function("() => window.tonearm.state.performance === 2")
    page.evaluate("() => document.getElementById('play').click()")
    page.get_by_role("link", name="FLAC files and sidecars of take 2").wait_for()
    assert page.evaluate("() => document.activeElement.getAttribute('aria-label')").endswith(
        "take 1"
    )
    numbers = page.locator("#takes b").all_text_contents()
    assert numbers == ["2", "1"]


FAKE_MIDI = """
    const access = { inputs: new Map() };
    window.plug = (id) => {
        access.inputs.set(id, { id, name: id, type: "input", state: "connected" });
        access.onstatechange?.({ port: access.inputs.get(id) });
    };
    window.turn = (id, controller, value) => access.inputs.get(id).onmidimessage({ data: [0xb0, controller, value] });
    navigator.requestMIDIAccess = async () => access;
"""


def test_a_controller_that_is_plugged_in_later_learns_the_knob_that_has_the_focus(browser, url):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.add_init_script(FAKE_MIDI)
    page.goto(url)
    page.wait_for_function(SOUNDING)
    page.get_by_role("button", name="MIDI").click()
    learn = page.get_by_role("button", name="Learn")
    learn.wait_for()
    page.evaluate("() => window.plug('late')")
    page.get_by_role("slider", name="brightness", exact=True).focus()
    learn.click()
    page.get_by_text("move a control for brightness").wait_for()
    page.evaluate("() => window.turn('late', 64, 127)")
    page.get_by_text("move another control for brightness").wait_for()
    page.evaluate("() => window.turn('late', 70, 127)")
    page.get_by_text("CC 70 now turns brightness").wait_for()
    assert page.evaluate("() => window.tonearm.rows.get('brightness').value") == pytest.approx(4)
    page.evaluate("() => window.turn('late', 64, 0)")
    assert page.evaluate("() => window.tonearm.rows.get('brightness').value") == 0
    context.close()


LINKS = """
    window.links = [];
    document.addEventListener("DOMContentLoaded", () => {
        const link = document.getElementById("link");
        new MutationObserver(() => window.links.push(link.textContent)).observe(link, { childList: true });
    });
"""


def test_a_page_that_is_one_too_many_waits_before_it_tries_again(browser, url, monkeypatch):
    monkeypatch.setattr("tonearm.studio.app.MAX_CLIENTS", 0)
    attempts, connect = [], Studio.connect

    async def counted(studio, socket):
        attempts.append(time.monotonic())
        await connect(studio, socket)

    monkeypatch.setattr(Studio, "connect", counted)
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    page.add_init_script(LINKS)
    page.goto(url)
    page.get_by_text("0 clients are connected; close one").wait_for()
    while len(attempts) < 2:
        page.wait_for_timeout(100)
    assert attempts[1] - attempts[0] > 3
    assert page.evaluate("() => window.links") == ["reconnecting"]
    context.close()


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


def test_space_acts_on_the_control_that_has_the_focus(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.get_by_label("lock").focus()
    before = page.get_by_label("lock").is_checked()
    page.keyboard.press("Space")
    page.wait_for_function(f"() => window.tonearm.state.seed_locked !== {str(before).lower()}")
    assert page.evaluate("() => window.tonearm.state.status") == "playing"
    page.get_by_role("slider", name="brightness", exact=True).focus()
    page.keyboard.press("Space")
    page.wait_for_function("() => window.tonearm.state.status === 'stopped'")


def test_single_key_shortcuts_can_be_switched_off_and_stay_off(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    page.get_by_label("single-key shortcuts").uncheck()
    for _ in range(2):
        page.evaluate("() => document.activeElement.blur()")
        page.locator("body").press("x")
        page.locator("body").press("Space")
        page.evaluate(
            "() => window.tonearm.connection.command('record', { on: false })"
        )  # after them
        state = page.evaluate("() => window.tonearm.state")
        assert (state["listening"], state["status"]) == ("steered", "playing")
        page.reload()
        page.wait_for_function(SOUNDING)
    page.get_by_label("single-key shortcuts").check()
    page.evaluate("() => document.activeElement.blur()")
    page.locator("body").press("x")
    page.wait_for_function("() => window.tonearm.state.listening === 'plain'")


def test_a_prompt_that_is_being_written_is_not_undone(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    field = page.get_by_label("Prompt")
    field.fill("a slow jazz")
    page.locator("#knobs").focus()
    page.evaluate(
        "() => new Promise((done) => window.tonearm.connection.addEventListener('state', done, { once: true }))"
    )
    assert field.input_value() == "a slow jazz"
    field.press("Escape")
    assert field.input_value() == "a folk tune"


def test_a_controller_acts_while_the_page_is_hidden(tab, session):
    """A hidden page has no animation frames."""
    page = tab()
    page.wait_for_function(SOUNDING)
    page.evaluate(
        """() => {
            window.requestAnimationFrame = () => 0;
            window.tonearm.rows.get("brightness").set(1); // waits for a frame
            Object.defineProperty(document, "hidden", { get: () => true });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
    )
    page.wait_for_function("() => window.tonearm.state.controls['target/brightness'] === 1")
    page.evaluate(TURN, ["brightness", 2])
    page.wait_for_function("() => window.tonearm.state.controls['target/brightness'] === 2")


def test_a_knob_of_the_next_performance_is_not_set_in_this_one(tab, session):
    page = tab()
    page.wait_for_function(SOUNDING)
    for command in (
        commands.SetDesk(knobs=()),
        commands.Play(),
        commands.SetDesk(knobs=("brightness",)),
    ):
        session.command(command).result(60)
    page.wait_for_function("() => window.tonearm.rows.get('brightness')?.input.disabled")
    page.get_by_role("button", name="All to zero").click()
    page.evaluate(TURN, ["brightness", 2])
    page.evaluate("() => window.tonearm.connection.command('record', { on: false }).catch(() => 0)")
    assert page.evaluate("() => window.tonearm.rows.get('brightness').value") == 0
    assert "not in this performance" not in page.locator("#notice").text_content()


KNOBS_SHOWN = (
    "() => [...document.querySelectorAll('#knobs .slider')].map((one) => one.dataset.knob)"
)


def test_knobs_that_stay_keep_the_focus_where_the_desk_changes(tab, melody):
    """By another client, by a fork or by Stop; a drag ends where its slider is replaced."""
    melody.vectors["density"] = knob_of(melody)
    with playing(melody, lead=1.0) as (session, player), served(session) as url:
        player.playing = False
        page = tab(url)
        page.wait_for_function(SOUNDING)

        def choose(*names: str) -> None:
            session.command(commands.SetDesk(knobs=names)).result(60)
            session.command(commands.Stop()).result(60)
            page.wait_for_function(
                "(names) => [...window.tonearm.rows.keys()].join() === names", arg=",".join(names)
            )

        page.evaluate(
            "() => { window.kept = document.getElementById('knob-density'); window.kept.focus(); }"
        )
        for names in (("density",), ("brightness", "density"), ("density", "brightness")):
            choose(*names)
            assert page.evaluate("() => document.activeElement === window.kept"), names
            assert page.evaluate(KNOBS_SHOWN) == list(names)
        choose("brightness")
        assert page.evaluate("() => document.activeElement.dataset.knob") == "brightness"
        page.locator("#setting-guidance").focus()
        choose("density", "brightness")
        assert page.evaluate("() => document.activeElement.id") == "setting-guidance"
        page.close()


def test_changes_of_two_knobs_at_once_leave_earlier_marks(tab):
    """A move on the pad changes two knobs by turns."""
    page = tab()
    marks, items = page.evaluate(
        """() => {
            const { roll } = window.tonearm;
            roll.clear();
            roll.mark(0, "prompt", "a prompt");
            for (let i = 0; i < 59; i++) roll.mark(i * 0.01 * roll.spectra.rate, i % 2 ? "x" : "y", `${i}`);
            return [roll.marks.map((one) => one.label), [...document.querySelectorAll("#changes li")].map((one) => one.textContent)];
        }"""
    )
    assert marks == ["a prompt", "58", "57"] and items == ["57", "58", "a prompt"]


def test_the_pad_moves_by_the_first_button_alone(tab):
    page = tab()
    page.wait_for_function(SOUNDING)
    value = "() => window.tonearm.rows.get('brightness').value"
    places = {"x": 10, "y": 10}
    page.locator("#pad").click(button="right", position=places)
    assert page.evaluate(value) == 0
    page.locator("#pad").click(position=places)
    assert page.evaluate(value) != 0


def test_a_studio_that_was_started_again_is_loaded_again(browser, melody):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    with playing(melody, lead=1.0) as (first, player), served(first) as url:
        player.playing = False
        page.goto(url)
        until_played(page, 3)
    with playing(melody, lead=1.0) as (second, player), served(second, urlsplit(url).port):
        player.playing = False
        page.wait_for_function(f"() => window.tonearm?.session === '{second.id}'")
        page.wait_for_function(SOUNDING)
        assert position(page) < 3 * second.sample_rate
        context.close()


def test_pocket_plays_in_phrases_and_a_knob_acts_in_the_next_one(tab, monkeypatch):
    monkeypatch.setattr(playback, "FIRST_PHRASE", 1.0)
    monkeypatch.setattr(playback, "PHRASE", 1.0)
    pocket = tonearm.load()
    with (
        Session(pocket, desk=["brightness"], seed=7, mode="phrase") as session,
        served(session) as url,
    ):
        page = tab(url)
        page.wait_for_function(SOUNDING)
        assert page.locator("#mode").text_content() == "in phrases"
        page.get_by_role("slider", name="brightness", exact=True).press("End")
        page.wait_for_function("() => window.tonearm.roll.marks.length === 1")
        page.wait_for_function(
            "() => document.getElementById('identity').textContent.includes('differs')"
        )
        assert "semitones, towards bright" in page.get_by_role(
            "slider", name="brightness", exact=True
        ).get_attribute("aria-valuetext")
        page.close()  # before the server, whose end would be an error in the console


COLOURS = """
    const parse = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((one) => {
            const part = one / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const ground = (one) => {
        for (; one; one = one.parentElement) {
            const [r, g, b, alpha = 1] = parse(getComputedStyle(one).backgroundColor);
            if (alpha === 1) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const contrast = (one, two) => {
        const [a, b] = [light(parse(one)), light(two)];
        return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    };
"""
CONTRASTS = f"""() => {{ {COLOURS}
    return [...document.querySelectorAll("body *")].filter((one) => {{
        const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
        return own && one.checkVisibility() && !one.closest(":disabled, canvas, svg, .hidden, .skip, option");
    }}).map((one) => [contrast(getComputedStyle(one).color, ground(one)), one.outerHTML.slice(0, 90)])
        .filter(([found]) => found < 4.5);
}}"""
BORDERS = f"""() => {{ {COLOURS}
    const kinds = "select, input[type=text], input[type=number], .segments, .chips label, .file, .drop, .pad, .draw";
    return [...document.querySelectorAll(kinds)].filter((one) => one.checkVisibility() && !one.matches(":disabled"))
        .map((one) => [contrast(getComputedStyle(one).borderBottomColor, ground(one.parentElement)), one.outerHTML.slice(0, 90)])
        .filter(([found]) => found < 3);
}}"""
TRACK = f"""async (image) => {{ {COLOURS}
    const picture = new Image();
    picture.src = `data:image/png;base64,${{image}}`;
    await picture.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [picture.width, picture.height];
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const colours = Array.from({{ length: picture.height }}, (_, y) => [...context.getImageData(8, y, 1, 1).data.slice(0, 3)]);
    const card = ground(document.querySelector(".card"));
    return Math.max(...colours.map((one) => contrast(`rgb(${{one}})`, card)));
}}"""


def opened_in(tab, scheme: str):
    """A page in a colour scheme with all its panes open."""
    page = tab()
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function(SOUNDING)
    page.locator(".research summary").click()
    page.locator(".more summary").click()
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(tab, scheme):
    page = opened_in(tab, scheme)
    assert page.evaluate(CONTRASTS) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_border_of_a_control_has_the_contrast_of_wcag_aa(tab, scheme):
    page = opened_in(tab, scheme)
    assert page.evaluate(BORDERS) == []
    page.evaluate(TURN, ["brightness", 4])  # the thumb is at the other end
    box = page.get_by_role("slider", name="brightness", exact=True).bounding_box()
    clip = {"x": box["x"], "y": box["y"], "width": 40, "height": box["height"]}
    image = base64.b64encode(page.screenshot(clip=clip)).decode()
    assert page.evaluate(TRACK, image) >= 3


def test_a_focused_control_is_not_below_the_transport(tab):
    page = tab()
    page.set_viewport_size({"width": 1280, "height": 600})
    page.locator(".research summary").click()
    below = page.evaluate(
        "() => document.querySelector('.transport').getBoundingClientRect().height"
    )
    page.locator("#takes").evaluate("() => window.scrollTo(0, document.body.scrollHeight)")
    page.get_by_role("button", name="Fork with these").focus()
    for _ in range(30):
        page.keyboard.press("Shift+Tab")
        top = page.evaluate(
            """() => document.activeElement.closest('.transport, .hidden-slider, .file')
                ? Infinity : document.activeElement.getBoundingClientRect().top"""
        )
        assert top >= below, page.evaluate("() => document.activeElement.outerHTML")
