"""Requests that reach Gradio, and those that are refused before it."""

import json

import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient

from tonearm.errors import TonearmError
from tonearm.harp.routes import MAX_BODY, Routes, checked_call


@pytest.fixture
def client_of(tmp_path):
    """A client of an application that returns the requests it receives."""
    app = FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST", "DELETE"])
    async def echo(path: str, request: Request):
        body = (await request.body()).decode()
        return {"path": path, "body": body, "length": request.headers.get("content-length")}

    def client(token=None):
        counts = {"controls": 0, "process": 2, "cancel": 0}
        return TestClient(Routes(app, token, counts, tmp_path))

    return client


def test_the_requests_of_harp_reach_the_application(client_of, tmp_path):
    client = client_of()
    assert client.post("/gradio_api/upload", content=b"x").json()["body"] == "x"
    assert client.get("/gradio_api/call/process/0a1b").json()["path"].endswith("0a1b")
    assert client.get(f"/gradio_api/file={tmp_path}/a.wav").status_code == 200
    path = str(tmp_path / "a.wav")
    (tmp_path / "a.wav").write_bytes(b"x")
    given = {"data": [{"path": path, "url": "http://x.y", "meta": {}}, 1.5], "session_hash": "x"}
    echoed = client.post("/gradio_api/call/process", json=given).json()
    meta = {"_type": "gradio.FileData"}
    assert json.loads(echoed["body"]) == {"data": [{"path": path, "meta": meta}, 1.5]}
    assert int(echoed["length"]) == len(echoed["body"])


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/config"),
        ("GET", "/gradio_api/info"),
        ("GET", "/gradio_api/file=/etc/hostname"),
        ("GET", "/gradio_api/file=http://x.y/a"),
        ("GET", "/gradio_api/file={folder}/../a"),
        ("GET", "/gradio_api/file=%00"),
        ("GET", "/gradio_api/call/process"),
        ("GET", "/gradio_api/call/other/1"),
        ("POST", "/"),
        ("POST", "/gradio_api/run/process"),
        ("POST", "/gradio_api/call/process/1"),
        ("POST", "/gradio_api/call/v2/process"),
        ("POST", "/gradio_api/queue/join"),
        ("DELETE", "/gradio_api/upload"),
    ],
)
def test_other_requests_do_not(client_of, tmp_path, method, path):
    answer = client_of().request(method, path.format(folder=tmp_path))
    assert answer.status_code == 404 and answer.json() == {"detail": "there is no such route"}


def test_a_browser_is_shown_where_to_open_the_address(client_of):
    assert "Open this address in HARP" in client_of().get("/").text


def test_a_token_is_the_first_part_of_every_path(client_of):
    client = client_of("secret")
    assert client.get("/secret/").status_code == 200
    reached = client.post("/secret/gradio_api/upload", content=b"x").json()
    assert reached["path"] == "secret/gradio_api/upload"
    for path in ("/", "/wrong/", "/gradio_api/upload", "/secre", "/secretx/"):
        assert client.get(path).status_code == client.post(path).status_code == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "the call is not JSON"),
        (b"[" * 10_000, "the call is not JSON"),
        (b"[1, 2]", "the call has no list of values"),
        (b'{"data": 3}', "the call has no list of values"),
        (b'{"data": [1]}', "1 values were sent, and the call takes 2"),
        (b'{"data": [1, [2]]}', "neither a text, a number nor a file"),
        (b'{"data": [1, {"value": 2}]}', "neither a text, a number nor a file"),
        (b'{"data": [1, {"path": "/etc/hostname"}]}', "'/etc/hostname' was not uploaded"),
        (b'{"data": [1, {"path": "http://x.y/a.wav"}]}', "was not uploaded; upload it first"),
        (b'{"data": [1, {"path": "a\\u0000"}]}', "was not uploaded"),
        (b'{"data": [1, {"path": "{folder}/gone.wav"}]}', "gone.wav' was not uploaded"),
    ],
)
def test_mistakes_of_a_call_are_one_line(client_of, tmp_path, body, message):
    body = body.replace(b"{folder}", str(tmp_path).encode())
    with pytest.raises(TonearmError) as caught:
        checked_call(body, 2, tmp_path)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    answer = client_of().post("/gradio_api/call/process", content=body)
    assert answer.status_code == 422 and message in answer.json()["detail"]


def test_a_file_whose_link_leads_out_was_not_uploaded(tmp_path):
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(TonearmError, match="was not uploaded"):
        checked_call(json.dumps({"data": [{"path": str(tmp_path / "link")}]}).encode(), 1, tmp_path)


def test_a_large_call_is_refused(client_of):
    answer = client_of().post("/gradio_api/call/process", content=b" " * (MAX_BODY + 1))
    assert answer.status_code == 422 and "larger than 64 KiB" in answer.json()["detail"]
