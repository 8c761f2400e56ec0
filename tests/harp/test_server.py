"""The endpoint over HTTP, as HARP calls it: controls, upload, process, result, cancel, errors."""

import json
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import httpx
import pytest

from tests.harp.values import values_of
from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.harp.server import check_gradio, make_app
from tonearm.studio.serve import bind, make_server

TIMEOUT = 180  # seconds
FILE = {"_type": "gradio.FileData"}


class Harp:
    """The requests of HARP 3."""

    def __init__(self, address: str):
        self.client = httpx.Client(base_url=f"{address}/gradio_api/", timeout=TIMEOUT)

    def upload(self, content: bytes, name: str = "selection.wav") -> str:
        """Path of an uploaded file; HARP sends audio with the type of MIDI files."""
        answer = self.client.post("upload", files={"files": (name, content, "audio/midi")})
        assert answer.status_code == 200, answer.text
        (path,) = answer.json()
        return path

    def begin(self, name: str, values: list) -> str:
        answer = self.client.post(f"call/{name}", json={"data": values})
        assert answer.status_code == 200, answer.text
        return answer.json()["event_id"]

    def result(self, name: str, event: str) -> tuple[str, object]:
        """Last event of a call, and its data."""
        with self.client.stream("GET", f"call/{name}/{event}") as answer:
            assert answer.status_code == 200
            lines = iter(answer.iter_lines())
            for line in lines:
                if line in ("event: complete", "event: error"):
                    return line.removeprefix("event: "), json.loads(next(lines)[len("data: ") :])
        raise AssertionError("the stream ended without a result")

    def call(self, name: str, *values: object) -> object:
        event, data = self.result(name, self.begin(name, list(values)))
        assert event == "complete", data
        return data

    def refusal(self, name: str, *values: object) -> str:
        event, data = self.result(name, self.begin(name, list(values)))
        assert event == "error", data
        return data["error"]


@contextmanager
def served(panel, generator, temporary, token=None):
    """Serve an endpoint at a free port; yields its address."""
    pytest.importorskip("gradio", reason="the extra harp is absent")
    temporary.mkdir()
    ready = threading.Event()
    with bind("127.0.0.1", 0) as bound:
        app, cancel = make_app(panel, generator, temporary, token=token)
        server = make_server(app, ready.set)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
        thread.start()
        assert ready.wait(TIMEOUT), "the server never started"
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}" + (f"/{token}" if token else "")
        finally:
            cancel()
            server.should_exit = True
            thread.join(TIMEOUT)
            assert not thread.is_alive()


@pytest.fixture
def harp(panel, generator, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    with served(panel, generator, tmp_path / "temporary") as address:
        yield Harp(address)


def test_the_controls_are_those_of_the_panel(harp, panel):
    assert harp.call("controls") == [panel.to_dict()]


def test_a_selection_is_uploaded_and_continued(harp, panel, generator, selection):
    path = harp.upload(selection.encoded(".wav"))
    values = values_of(panel, brightness=2.0000002)
    take, labels = harp.call("process", {"path": path, "meta": FILE}, *values)
    assert take["meta"] == FILE and take["url"].endswith(".wav")
    content = httpx.get(take["url"], timeout=TIMEOUT).content
    assert content == (generator._folder / "take-1.wav").read_bytes()
    assert Clip.decode(content, "the answer").seconds == pytest.approx(2.0, abs=0.05)
    assert labels["meta"] == {"_type": "pyharp.LabelList"}
    assert {"selection", "new, seed 3", "brightness +2.0 st"} <= {
        label["label"] for label in labels["labels"]
    }


def test_without_a_selection_the_words_alone_make_music(harp, panel):
    take, _ = harp.call("process", None, *values_of(panel))
    content = httpx.get(take["url"], timeout=TIMEOUT).content
    assert Clip.decode(content, "the answer").seconds == pytest.approx(1.0, abs=0.05)


def test_mistakes_arrive_in_one_line_and_the_next_call_succeeds(harp, panel, generator):
    def refusal(path, **changed):
        file = None if path is None else {"path": path, "meta": FILE}
        return harp.refusal("process", file, *values_of(panel, **changed))

    assert refusal(None, brightness=99) == "brightness (st): 99 is not possible; use -4 to 4"
    assert "no selection whose melody" in refusal(None, use="keep its melody")
    noise = harp.upload(b"no audio")
    assert "\n" not in refusal(noise) and "the upload" in refusal(noise)
    assert "the upload lasts 121 s; use at most 120 s" in refusal(
        harp.upload(Clip([0.0] * 121 * 1000, 1000).encoded(".wav"))
    )
    assert not generator._folder.exists()
    harp.call("process", None, *values_of(panel))


def test_a_prompt_that_looks_like_json_stays_a_text(harp, panel, generator, monkeypatch):
    prompts = []

    def make(selection, request, progress):
        prompts.append(request.prompt)
        raise TonearmError("seen")

    monkeypatch.setattr(generator, "make", make)
    given = ['{"path": "/etc/hostname", "meta": {"_type": "gradio.FileData"}}', "[1]", "2", "null"]
    for prompt in given:
        assert harp.refusal("process", None, *values_of(panel, prompt=prompt)) == "seen"
    assert prompts == given


def test_a_fault_of_the_server_names_the_terminal(harp, panel, generator, monkeypatch):
    def fail(*given):
        raise RuntimeError("a secret path")

    monkeypatch.setattr(generator, "make", fail)
    assert harp.refusal("process", None, *values_of(panel)) == (
        "RuntimeError; see the terminal of the server"
    )


def test_a_cancel_ends_the_take_between_two_frames(harp, panel, generator, monkeypatch):
    begun, cancelled, real = threading.Event(), threading.Event(), generator.make
    frames = []

    def make(selection, request, progress):
        def held(done, total):
            frames.append(done)
            begun.set()
            assert cancelled.wait(TIMEOUT)
            progress(done, total)

        return real(selection, request, held)

    monkeypatch.setattr(generator, "make", make)
    with ThreadPoolExecutor(1) as pool:
        refusal = pool.submit(harp.refusal, "process", None, *values_of(panel))
        assert begun.wait(TIMEOUT)
        assert Harp(str(harp.client.base_url).removesuffix("/gradio_api/")).call("cancel") == []
        cancelled.set()
        assert refusal.result(TIMEOUT) == "the take was cancelled"
    assert len(frames) == 1 and not generator._folder.exists()
    monkeypatch.undo()
    harp.call("process", None, *values_of(panel))


def test_a_call_with_too_few_values_and_a_page_of_another_site_are_refused(harp):
    answer = harp.client.post("call/process", json={"data": []})
    assert answer.status_code == 422 and "0 values were sent" in answer.json()["detail"]
    other = {"origin": "http://evil.example"}
    assert harp.client.post("call/cancel", json={"data": []}, headers=other).status_code == 403
    named = {"host": "evil.example"}
    assert harp.client.post("call/cancel", json={"data": []}, headers=named).status_code == 421


def test_a_file_larger_than_the_limit_is_refused(harp):
    files = {"files": ("a.wav", bytes(33 * 2**20), "audio/midi")}
    assert harp.client.post("upload", files=files).status_code == 413


def test_an_address_with_a_token_serves_its_answers_below_it(
    panel, generator, tmp_path, monkeypatch
):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    with served(panel, generator, tmp_path / "temporary", token="secret") as address:
        take, _ = Harp(address).call("process", None, *values_of(panel))
        assert take["url"].startswith(f"{address}/gradio_api/file=")
        assert httpx.get(take["url"], timeout=TIMEOUT).status_code == 200
        without = take["url"].replace("/secret/", "/")
        assert httpx.get(without, timeout=TIMEOUT).status_code == 404
        name = {"host": "studio.local:9320"}  # of the machine in its network, or of a proxy
        assert httpx.get(f"{address}/", headers=name, timeout=TIMEOUT).status_code == 200
        assert httpx.get(without, headers=name, timeout=TIMEOUT).status_code == 404


def test_nothing_is_reached_but_the_endpoint(panel, generator, tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    hosts, resolve, connect = set(), socket.getaddrinfo, socket.socket.connect

    def resolving(host, *others, **options):
        hosts.add(host)
        return resolve(host, *others, **options)

    def connecting(self, address):
        hosts.add(address[0])
        return connect(self, address)

    monkeypatch.setattr(socket, "getaddrinfo", resolving)
    monkeypatch.setattr(socket.socket, "connect", connecting)
    with served(panel, generator, tmp_path / "temporary") as address:
        Harp(address).call("process", None, *values_of(panel))
    assert hosts == {"127.0.0.1"}


def test_without_the_package_the_command_to_install_it_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(TonearmError, match=r"pip install 'tonearm\[harp\]'"):
        check_gradio()


def test_an_old_package_is_refused_with_its_version(monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", SimpleNamespace(__version__="5.28.0"))
    with pytest.raises(TonearmError, match=r"gradio 6\.13 or newer.*version 5\.28\.0"):
        check_gradio()
