"""The application without a browser: protocol, bad messages, uploads, exports, and safety."""

import asyncio
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.request
import zipfile
from urllib.parse import urlsplit

import numpy as np
import pytest
from fastapi import WebSocketDisconnect

from tests.live.players import TIMEOUT, playing, ready_take
from tests.studio.conftest import Client
from tests.studio.servers import served
from tests.threads import in_a_thread
from tonearm.audio import Clip
from tonearm.live import Manifest, commands
from tonearm.live.state import TakeState
from tonearm.studio import app as application
from tonearm.studio import connection, decoding, pacing, safety, uploads
from tonearm.studio.app import make_app
from tonearm.studio.serve import address, bind
from tonearm.threads import BACKGROUND


def send(socket, **message) -> None:
    socket.send_text(json.dumps(message))


def receive(socket, kind: str, **fields) -> dict:
    """The next text message of a type with these fields; blocks of audio are played at once."""
    for _ in range(2000):
        message = socket.receive()
        if message.get("bytes") is not None:
            _, first, samples = block_of(message["bytes"])
            send(socket, type="playhead", sample=first + samples.shape[1])
            continue
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message["code"], message.get("reason"))
        content = json.loads(message["text"])
        if content["type"] == kind and fields.items() <= content.items():
            return content
    raise AssertionError(f"no {kind} {fields}")


def block_of(message: bytes) -> tuple[int, int, np.ndarray]:
    magic, run, first = struct.unpack_from("<4sIQ", message)
    assert magic == b"TNA1"
    return run, first, np.frombuffer(message, "<f4", offset=16).reshape(2, -1)


def next_block(socket) -> tuple[int, int, np.ndarray]:
    """The next block of audio; an error or a warning of the server fails the test."""
    while (message := socket.receive()).get("bytes") is None:
        assert json.loads(message["text"])["type"] not in ("error", "notice"), message
    return block_of(message["bytes"])


def wav(seconds: float, rate: int = 16_000) -> bytes:
    time = np.arange(round(seconds * rate)) / rate
    return Clip((0.3 * np.sin(2 * np.pi * 220 * time)).astype(np.float32), rate).encoded(".wav")


def test_the_first_message_is_the_state_and_the_manifest_is_valid(client):
    manifest = Manifest.model_validate(client.get("/manifest").json())
    assert [knob.name for knob in manifest.knobs] == ["brightness"]
    with client.websocket_connect("/socket") as socket:
        hello = receive(socket, "hello")
        assert hello["protocol"] == 1
        assert hello["state"]["performance"] == 0


def test_play_a_knob_and_an_echo_to_another_client(client):
    with client.websocket_connect("/socket") as one, client.websocket_connect("/socket") as two:
        receive(one, "hello")
        send(one, type="command", seq=1, name="play")
        receive(one, "done", seq=1)
        send(one, type="control", seq=2, target="target/brightness", value=2.5)
        applied = receive(one, "applied", seq=2)
        assert applied["sample"] >= 0 and applied["frame"] >= 0
        echo = receive(two, "applied")
        assert (echo["target"], echo["value"]) == ("target/brightness", 2.5)
        assert (echo["seq"], echo["sample"]) == (None, applied["sample"])


def test_blocks_hold_both_streams(client, session):
    with client.websocket_connect("/socket") as socket:
        send(socket, type="command", seq=1, name="play")
        stop = 0
        while stop < 2 * session.sample_rate:
            run, first, samples = next_block(socket)
            assert (run, first) == (1, stop)
            np.testing.assert_array_equal(samples[0], samples[1])  # no knob is turned
            stop = first + samples.shape[1]
            send(socket, type="playhead", sample=stop)


def test_a_client_that_connects_again_gets_the_audio_it_missed(client, session):
    with client.websocket_connect("/socket") as socket:
        send(socket, type="command", seq=1, name="play")
        receive(socket, "done", seq=1)
        first_blocks = []
        while len(first_blocks) < 3:
            message = socket.receive()
            if message.get("bytes") is not None:
                first_blocks.append(block_of(message["bytes"]))
    after = first_blocks[0][1] + first_blocks[0][2].shape[1]
    with client.websocket_connect(f"/socket?session={session.id}&run=1&after={after}") as socket:
        assert receive(socket, "hello")["session"] == session.id
        run, first, samples = next_block(socket)
        assert (run, first) == (1, after)
        np.testing.assert_array_equal(samples, first_blocks[1][2])


def test_a_client_that_missed_nothing_plays_on_after_it_connects_again(client, session):
    """No block is left to send: the session continues by the play head of the audio before."""
    lead = round(session.state.lead * session.sample_rate)
    with client.websocket_connect("/socket") as socket:
        send(socket, type="command", seq=1, name="play")
        stop = 0
        while stop < lead:  # after which the session waits for a play head
            _, first, samples = next_block(socket)
            stop = first + samples.shape[1]
    with client.websocket_connect(f"/socket?session={session.id}&run=1&after={stop}") as socket:
        receive(socket, "hello")
        send(socket, type="playhead", sample=stop)
        send(socket, type="command", seq=2, name="lead", seconds=session.state.lead)
        receive(socket, "done", seq=2)
        assert session.head >= stop


def test_a_client_of_an_earlier_session_is_a_new_client(client):
    """Its run and position are those of other samples."""
    with client.websocket_connect("/socket?session=other&run=1&after=999999") as socket:
        send(socket, type="command", seq=1, name="play")
        assert next_block(socket)[:2] == (1, 0)
    with client.websocket_connect("/socket?session=other&run=1&after=999999") as socket:
        assert next_block(socket)[1] < 999_999


def test_a_false_play_head_does_not_make_the_session_run_ahead(client, session, monkeypatch):
    monkeypatch.setattr(pacing, "SLACK", 1.0)
    with client.websocket_connect("/socket") as honest, client.websocket_connect("/socket") as liar:
        receive(honest, "hello")
        session.snapshot().result(TIMEOUT)  # until it is prepared
        begun = time.monotonic()
        send(liar, type="command", seq=1, name="play")
        while time.monotonic() < begun + 3:
            send(liar, type="playhead", sample=10**9)
            liar.receive()
        passed = time.monotonic() - begun
        assert session.head <= (pacing.SLACK + pacing.SKEW * passed) * session.sample_rate
        assert session.head > session.sample_rate


def test_play_heads_are_limited_by_the_blocks_and_by_the_clock():
    now = [100.0]
    limit = pacing.PlayheadLimit(1000, lambda: now[0])
    assert limit.limited(5) == 0
    limit.sent(1, 50_000, 52_000)
    assert limit.limited(51_000) == 51_000
    assert limit.limited(53_000) == 52_000  # was not sent
    limit.sent(1, 52_000, 90_000)
    assert limit.limited(80_000) == 50_000 + 1000 * pacing.SLACK
    now[0] += 10
    assert limit.limited(80_000) == 50_000 + 1000 * (pacing.SLACK + 10 * pacing.SKEW)
    limit.sent(2, 90_000, 95_000)
    assert limit.limited(95_000) == 90_000 + 1000 * pacing.SLACK


@pytest.mark.parametrize(
    ("text", "seq", "part"),
    [
        ("{", None, "not JSON"),
        ("[" * 5000, None, "not JSON"),
        ("[]", None, "message"),
        ('{"type": "explode", "seq": 3}', 3, "explode"),
        ('{"type": "control", "seq": 4, "target": "target/brightness"}', 4, "value"),
        ('{"type": "control", "seq": 5, "target": "target/brightness", "value": NaN}', 5, "finite"),
        ('{"type": "control", "seq": 6, "target": "target/brightness", "value": 99}', 6, "range"),
        ('{"type": "control", "seq": 7, "target": "nonsense", "value": 1}', 7, "unknown"),
        ('{"type": "command", "seq": 8, "name": "explode"}', 8, "unknown"),
        ('{"type": "command", "seq": 9, "name": "loop", "bars": "x"}', 9, "bars"),
        ('{"type": "command", "seq": 10, "name": "fork"}', 10, "nothing plays"),
        ('{"type": "playhead", "sample": -1}', None, "sample"),
    ],
)
def test_bad_messages_are_answered_and_the_connection_stays(client, text, seq, part):
    with client.websocket_connect("/socket") as socket:
        receive(socket, "hello")
        socket.send_text(text)
        error = receive(socket, "error")
        assert error["seq"] == seq and part in error["message"], error
        send(socket, type="command", seq=99, name="ab", to="plain")
        receive(socket, "done", seq=99)


def test_a_client_that_sends_only_bad_messages_is_closed(client, monkeypatch):
    monkeypatch.setattr(connection, "MAX_FAULTS", 3)
    with client.websocket_connect("/socket") as socket:
        for _ in range(5):
            socket.send_text("nonsense")
        with pytest.raises(WebSocketDisconnect) as closed:
            while True:
                receive(socket, "never")
        assert closed.value.code == 1008


def test_too_many_messages_are_refused(client, monkeypatch):
    monkeypatch.setattr(connection, "BURST", 5.0)
    monkeypatch.setattr(connection, "RATE", 0.001)
    with client.websocket_connect("/socket") as socket:
        for seq in range(10):
            send(socket, type="control", seq=seq, target="guidance", value=2.0)
        error = receive(socket, "error")
        assert "send fewer" in error["message"] and error["seq"] == 5  # which a page waits for


def test_eight_knobs_and_the_play_heads_of_a_page_are_not_too_many_messages():
    assert connection.RATE > 8 * 1000 / 25 + 50 + 10  # PERIOD of static/controls.js


def test_a_client_sees_that_the_speed_is_being_measured(melody, monkeypatch):
    measured = threading.Event()

    def slow(chunks):
        assert measured.wait(TIMEOUT)
        return 2.0

    monkeypatch.setattr("tonearm.live.transport.measure_speed", slow)
    with playing(melody, mode=None) as (session, _):
        app = make_app(session)
        with (
            Client(app, base_url="http://127.0.0.1:9310") as client,
            client.websocket_connect("/socket") as socket,
        ):
            assert receive(socket, "hello")["state"]["status"] == "starting"
            measured.set()
            while receive(socket, "state")["state"]["status"] != "stopped":
                pass


def test_the_end_of_a_connection_is_noticed_between_two_messages(session):
    """The transport would log a warning for each message after it."""
    sent = []

    class Socket:
        async def send_text(self, text):
            sent.append(text)

    async def run():
        one = connection.Connection(session, Socket(), "page", lambda report: None)
        for number in range(50):
            one._put({"type": "notice", "message": str(number)})
        sender = asyncio.create_task(one._send_all())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sender.cancel()  # as at the end of the connection
        await asyncio.gather(sender, return_exceptions=True)

    in_a_thread(lambda: asyncio.run(run()))
    assert 0 < len(sent) < 5


def test_a_page_that_opens_after_the_end_does_not_get_the_rest_of_the_music(client, session):
    with client.websocket_connect("/socket") as socket:
        send(socket, type="command", seq=1, name="play")
        next_block(socket)
        session.command(commands.Stop()).result(TIMEOUT)
    assert session.recent_after(session.head)
    with client.websocket_connect("/socket") as socket:
        receive(socket, "hello")
        send(socket, type="command", seq=1, name="play")
        assert next_block(socket)[0] == 2


def test_clients_are_limited(client, monkeypatch):
    monkeypatch.setattr("tonearm.studio.app.MAX_CLIENTS", 1)
    with client.websocket_connect("/socket") as first:
        receive(first, "hello")
        with client.websocket_connect("/socket") as second, pytest.raises(WebSocketDisconnect):
            receive(second, "hello")


def test_a_take_is_exported(client, session):
    with client.websocket_connect("/socket") as socket:
        send(socket, type="command", seq=1, name="play")
        while session.state.identity.seconds < 0.5:
            receive(socket, "state")
        send(socket, type="command", seq=2, name="stop")
        receive(socket, "done", seq=2)
    ready_take(session)
    assert (
        "index.html"
        in zipfile.ZipFile(io.BytesIO(client.get("/export/1/page.zip").content)).namelist()
    )
    assert session.unsaved == (1,)  # a page has no sidecar to replay the take from
    answer = client.get("/export/1/flac.zip")
    assert session.unsaved == ()
    assert answer.headers["content-disposition"].endswith('"tonearm-1-flac.zip"')
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    assert {"steered.flac", "steered.json", "plain.flac", "plain.json"} <= set(names)
    assert client.get("/export/7/wav.zip").status_code == 422
    assert "no take 7" in client.get("/export/7/wav.zip").json()["message"]
    assert client.get("/export/1/exe.zip").status_code == 422


def test_an_export_that_breaks_off_leaves_the_take_unsaved(client, session, monkeypatch):
    """The client reads a part, and is gone."""
    monkeypatch.setattr(application, "EXPORT_CHUNK_BYTES", 10)
    studio = client.app._app.state.studio
    session._takes._takes[1] = TakeState(number=1, prompt="a tune", seed=1)

    async def breaks_off() -> None:
        parts = studio.delivered(1, "wav", bytes(100))
        await anext(parts)
        await parts.aclose()

    in_a_thread(asyncio.run, breaks_off())
    assert 1 not in session._takes._exported

    async def whole() -> bytes:
        return b"".join([part async for part in studio.delivered(1, "wav", bytes(100))])

    assert in_a_thread(asyncio.run, whole()) == bytes(100)
    assert 1 in session._takes._exported


def test_a_client_of_a_session_that_failed_gets_its_state_and_the_reason(client, session):
    session._calls.close()
    session._thread.join()
    with client.websocket_connect("/socket") as socket:
        assert receive(socket, "hello")["state"]["status"] == "ended"


linux = pytest.mark.skipif(sys.platform != "linux", reason="threads have a priority on Linux alone")


@linux
def test_exports_have_a_lower_priority_than_music(client, session, monkeypatch):
    found = []

    def export(number, kind):
        found.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return b""

    monkeypatch.setattr(session, "archive", export)
    client.get("/export/1/wav.zip")
    assert found == [BACKGROUND]


@linux
def test_uploads_are_decoded_at_a_lower_priority_than_music():
    program = (
        "import os; from tonearm.studio import decoding; before = os.nice(0); decoding._limit(); "
        "print(os.nice(0) - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert int(done.stdout) == min(decoding.NICENESS, 19 - os.nice(0))  # 19 is the lowest one


def test_exports_are_made_one_at_a_time(client, session, monkeypatch):
    running, most = [0], [0]

    def export(number, kind):
        running[0] += 1
        most[0] = max(most[0], running[0])
        time.sleep(0.1)
        running[0] -= 1
        return b"zip"

    monkeypatch.setattr(session, "archive", export)
    threads = [threading.Thread(target=client.get, args=("/export/1/wav.zip",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert most == [1]


def test_an_upload_is_continued(client, session):
    answer = client.post("/uploads/continue_from", content=wav(1.0))
    assert answer.json() == {"role": "continue_from", "seconds": 1.0}
    assert session.snapshot().result(TIMEOUT).status == "playing"
    assert session._transport.performance.stream._decoding.request.prompt_frames == 25
    session.command(commands.Stop()).result(TIMEOUT)


@pytest.mark.parametrize(
    ("content", "part"),
    [(b"no audio", "the upload"), (b"", "the upload"), (wav(130, 1000), "130 s")],
)
def test_uploads_that_are_no_short_audio_are_refused(client, content, part):
    answer = client.post("/uploads/continue_from", content=content)
    assert answer.status_code == 422 and part in answer.json()["message"]


def test_uploads_of_more_samples_than_music_has_are_refused(monkeypatch, capsys):
    monkeypatch.setattr(decoding, "_limit", lambda: None)  # of the process of the tests
    monkeypatch.setattr(decoding, "MAX_SAMPLES", 15_999)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(wav(1.0))))
    assert decoding.main() == 2
    assert "1 channels at 16000 Hz" in capsys.readouterr().err


def test_uploads_are_decoded_where_memory_cannot_be_limited(monkeypatch, capsysbinary):
    """macOS refuses a limit of the address space."""
    import resource

    def refuse(kind, limits):
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "setrlimit", refuse)
    monkeypatch.setattr(os, "nice", lambda more: 0)  # of the process of the tests
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(wav(1.0))))
    assert decoding.main() == 0
    assert capsysbinary.readouterr().out.startswith(b"16000 1\n")


@pytest.mark.parametrize(
    "crash",
    [
        f"import os; os.kill(os.getpid(), {int(signal.SIGSEGV)})",
        "raise MemoryError",
    ],
)
def test_a_decoder_that_crashes_harms_nothing(client, session, monkeypatch, tmp_path, crash):
    python = tmp_path / "python"
    python.write_text(f"#!{sys.executable}\nimport sys; sys.stdin.read(1); {crash}\n")
    python.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(python))
        answer = client.post("/uploads/continue_from", content=wav(1.0))
    assert answer.status_code == 422 and "cannot be decoded" in answer.json()["message"]
    assert client.post("/uploads/continue_from", content=wav(1.0)).status_code == 200
    session.command(commands.Stop()).result(TIMEOUT)


def test_a_decoder_imports_nothing_from_the_current_folder(client, session, monkeypatch, tmp_path):
    (tmp_path / "soundfile.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    assert client.post("/uploads/continue_from", content=wav(1.0)).status_code == 200
    session.command(commands.Stop()).result(TIMEOUT)


def test_large_and_slow_uploads_are_refused(client, monkeypatch):
    monkeypatch.setattr(uploads, "MAX_BYTES", 1000)
    assert "MiB" in client.post("/uploads/melody", content=wav(1.0)).json()["message"]
    monkeypatch.setattr(uploads, "MAX_BYTES", 10**6)
    monkeypatch.setattr(uploads, "DECODE_SECONDS", 0.0)
    assert "decoded in" in client.post("/uploads/melody", content=wav(1.0)).json()["message"]


def test_an_upload_that_breaks_off_is_no_fault_of_the_server(session, capfd):
    with served(session) as url:
        address = urlsplit(url)
        with socket.create_connection((address.hostname, address.port)) as one:
            head = f"POST /uploads/melody HTTP/1.1\r\nHost: {address.netloc}\r\n"
            one.sendall(f"{head}Content-Length: 100000\r\n\r\npart".encode())
            one.shutdown(socket.SHUT_WR)
            one.recv(65_536)
        with urllib.request.urlopen(f"{url}manifest", timeout=TIMEOUT) as answer:
            assert answer.status == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_role_that_does_not_exist_is_refused(client):
    assert client.post("/uploads/drums", content=wav(1.0)).status_code == 422


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/nothing"])
def test_no_other_file_is_served(client, path):
    assert client.get(path).status_code == 404


def test_answers_have_a_strict_policy(client):
    headers = client.get("/").headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self';")
    assert "unsafe" not in policy and "ws://127.0.0.1:9310" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:9310",
        "",
        "127.0.0.1.evil.example",
        "127.0.0.1; script-src *",
        "[",
    ],
)
def test_other_hosts_are_refused(client, host):
    assert client.get("/", headers={"host": host}).status_code == 421
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect("/socket", headers={"host": host}),
    ):
        pass


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:9999"])
def test_other_origins_are_refused(client, origin):
    headers = {"origin": origin}
    assert client.post("/uploads/melody", content=b"", headers=headers).status_code == 403
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket", headers=headers):
        pass


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_pages_of_other_sites_cannot_embed_or_start_anything(client, site):
    """Requests for images have no Origin."""
    headers = {"sec-fetch-site": site, "sec-fetch-mode": "no-cors"}
    assert client.get("/export/1/wav.zip", headers=headers).status_code == 403
    link = {"sec-fetch-site": site, "sec-fetch-mode": "navigate"}
    assert client.get("/export/1/wav.zip", headers=link).status_code == 403
    assert client.get("/", headers=link).status_code == 200
    own = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors"}
    assert client.get("/manifest", headers=own).status_code == 200


def test_the_own_origin_is_allowed(client):
    with client.websocket_connect("/socket", headers={"origin": "http://127.0.0.1:9310"}) as socket:
        receive(socket, "hello")


def test_a_token_is_needed_where_others_can_reach_the_server(session):
    app = make_app(session, bound="0.0.0.0", token="secret")
    with Client(app, base_url="http://192.168.1.5:9310") as client:
        assert client.get("/").status_code == 403
        assert client.get("/manifest?token=wrong").status_code == 403
        assert client.get("/", headers={"cookie": "a b=;=\x01[]"}).status_code == 403
        with pytest.raises(WebSocketDisconnect), client.websocket_connect("/socket"):
            pass
        first = client.get("/?token=secret", follow_redirects=False)
        assert (first.status_code, first.headers["location"]) == (303, "/")
        assert "HttpOnly" in first.headers["set-cookie"]
        assert client.get("/").status_code == 200  # by the cookie
        other = {"cookie": "tonearm_token_9320=other; tonearm_token_9310=secret"}
        assert client.get("/", headers=other).status_code == 200  # of a server at another port
        with client.websocket_connect(
            "/socket", headers={"cookie": "tonearm_token_9310=secret"}
        ) as socket:
            receive(socket, "hello")


def test_an_https_proxy_that_keeps_the_host_serves_the_page_with_the_token(session):
    app = make_app(session, bound="0.0.0.0", token="secret")
    host = "https://studio.example.org"
    with Client(app, base_url=host) as client:
        assert client.get("/").status_code == 403  # also for a name that was pointed here
        assert client.get("/?token=secret", headers={"origin": host}).status_code == 200
        assert client.get("/", headers={"host": "a b"}).status_code == 421


def test_the_address_of_a_server_at_all_interfaces_is_that_on_this_machine():
    with bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        assert address("0.0.0.0", bound, "key") == f"http://127.0.0.1:{port}/?token=key"
        assert address("::", bound, None) == f"http://[::1]:{port}/"
        assert address("192.168.1.5", bound, None) == f"http://192.168.1.5:{port}/"


def test_hosts():
    assert safety.host_is_allowed("localhost:9310", "127.0.0.1")
    assert safety.host_is_allowed("[::1]:9310", "127.0.0.1")
    assert not safety.host_is_allowed("192.168.1.5:9310", "127.0.0.1")
    assert not safety.host_is_allowed("localhost:99999", "127.0.0.1")
    assert safety.host_is_allowed("192.168.1.5:9310", "0.0.0.0")
    assert not safety.host_is_allowed("rebound.example", "0.0.0.0")
    assert safety.host_is_allowed("annas-macbook.local:9310", "Annas-MacBook.local")
    assert safety.is_loopback("127.0.0.1") and not safety.is_loopback("0.0.0.0")
