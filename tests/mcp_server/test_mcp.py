"""Tools over MCP on a tiny model: schemas, checks, files, and the protocol on standard output."""

import json
import os
import subprocess
import sys
import threading
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import soundfile

from tests.knobs.planted import knob_of
from tests.threads import in_a_thread
from tonearm.errors import TonearmError
from tonearm.live import manifest_of
from tonearm.mcp_server import server
from tonearm.mcp_server.toolbox import Toolbox
from tonearm.replaying import replay

TIMEOUT = 180  # seconds
SHORT = {"prompt": "a folk tune", "seconds": 1, "seed": 3}


@pytest.fixture
def toolbox(melody, tmp_path) -> Toolbox:
    melody.vectors["brightness"] = knob_of(melody)
    return Toolbox(melody, manifest_of(melody), tmp_path / "takes")


def call(toolbox: Toolbox, name: str, **arguments):
    return toolbox.call(name, arguments, lambda done, total: None)


def test_schemas_are_made_from_the_manifest(toolbox):
    schema = toolbox.tools["set_knob"].schema
    assert schema["properties"]["knob"]["enum"] == ["brightness", "guidance", "temperature"]
    assert schema["additionalProperties"] is False
    assert set(toolbox.tools) == {"list_knobs", "set_knob", "generate_take", "compare"}


def test_knobs_are_listed_with_their_values(toolbox):
    call(toolbox, "set_knob", knob="brightness", value=2)
    call(toolbox, "set_knob", knob="temperature", value=0.5)
    listed = call(toolbox, "list_knobs")
    (knob,) = listed["knobs"]
    assert (knob["name"], knob["unit"], knob["value"]) == ("brightness", "st", 2.0)
    assert knob["positive"]["limit"] == 4.0 and knob["negative"]["limit"] == -4.0
    assert {one["name"]: one["value"] for one in listed["settings"]}["temperature"] == 0.5
    json.dumps(listed, allow_nan=False)


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("nothing", {}, "there is no tool 'nothing'; use one of list_knobs"),
        ("set_knob", {"knob": "brightness"}, "set_knob: value: Field required"),
        ("set_knob", {"knob": "gone", "value": 1}, "set_knob: knob: Input should be 'brightness'"),
        ("set_knob", {"knob": "brightness", "value": 99}, "outside its range"),
        ("set_knob", {"knob": "brightness", "value": float("nan")}, "finite"),
        ("set_knob", {"knob": "guidance", "value": 99}, "guidance 99 is not possible; use 1 to 10"),
        ("list_knobs", {"path": "/etc"}, "list_knobs: path: Extra inputs"),
        ("generate_take", SHORT | {"seconds": 1e9}, "generate_take: seconds: Input should be less"),
        ("generate_take", SHORT | {"prompt": ""}, "generate_take: prompt"),
        ("generate_take", SHORT | {"prompt": "\0"}, "null"),
        ("generate_take", SHORT | {"seed": -1}, "generate_take: seed"),
        ("generate_take", SHORT | {"targets": {"gone": "+1st"}}, "generate_take: targets"),
        ("generate_take", SHORT | {"targets": {"brightness": "+99st"}}, "range"),
        ("generate_take", SHORT | {"targets": {"brightness": "loud"}}, "loud"),
        ("generate_take", SHORT | {"tries": 1000}, "generate_take: tries"),
        ("compare", SHORT, "no knob is set; call set_knob first"),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(toolbox, name, arguments, message):
    before = call(toolbox, "list_knobs")
    with pytest.raises(TonearmError) as caught:
        call(toolbox, name, **arguments)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert call(toolbox, "list_knobs") == before
    assert not toolbox._folder.exists()


def test_a_take_has_the_knobs_that_are_set_and_replays(toolbox, melody):
    plain = call(toolbox, "generate_take", **SHORT)
    call(toolbox, "set_knob", knob="brightness", value=4)
    steered = call(toolbox, "generate_take", **SHORT)
    call(toolbox, "set_knob", knob="brightness", value=0)
    again = call(toolbox, "generate_take", **SHORT)
    names = [os.path.basename(one["audio"]) for one in (plain, steered, again)]  # noqa: PTH119
    assert names == ["take-1.wav", "take-2.wav", "take-3.wav"]
    first, second, third = (soundfile.read(one["audio"])[0] for one in (plain, steered, again))
    assert (first == third).all() and not (first == second).all()
    assert steered["seed"] == 3 and "brightness" in steered["steering"]
    assert replay(steered["sidecar"], model=melody).identical
    json.dumps(steered, allow_nan=False)


def test_targets_are_met_and_measured_and_replace_the_knob(toolbox):
    call(toolbox, "set_knob", knob="brightness", value=-2)
    targets = {"brightness": "+1st"}
    made = call(toolbox, "generate_take", **SHORT, targets=targets, tries=1)
    (outcome,) = made["targets"]
    assert (outcome["knob"], outcome["asked"], outcome["unit"]) == ("brightness", 1.0, "st")
    assert isinstance(made["all_met"], bool)


def test_knobs_that_are_set_are_no_targets(toolbox, melody):
    melody.vectors["density"] = knob_of(melody)
    toolbox = Toolbox(melody, manifest_of(melody), toolbox._folder)
    call(toolbox, "set_knob", knob="density", value=4)
    made = call(toolbox, "generate_take", **SHORT, targets={"brightness": "+1st"}, tries=1)
    assert [one["knob"] for one in made["targets"]] == ["brightness"]
    assert "density" in made["steering"]


def test_the_sidecar_of_a_take_that_was_moved_is_kept(toolbox):
    made = call(toolbox, "generate_take", **SHORT)
    sidecar = Path(made["sidecar"])
    before = sidecar.read_bytes()
    Path(made["audio"]).unlink()
    later = call(toolbox, "generate_take", **(SHORT | {"seed": 4}))
    assert Path(later["audio"]).name == "take-2.wav" and sidecar.read_bytes() == before


def test_a_comparison_is_a_page_of_both(toolbox):
    call(toolbox, "set_knob", knob="brightness", value=4)
    compared = call(toolbox, "compare", **SHORT)
    assert compared["page"].endswith("comparison-1/index.html")
    assert os.path.isfile(compared["page"])  # noqa: PTH113
    assert set(compared["takes"]) == {"plain", "steered-1"}


def test_a_client_lists_and_calls_tools_and_reads_mistakes_as_errors(toolbox):
    pytest.importorskip("mcp.server.lowlevel", reason="the extra mcp is absent")
    import anyio
    from mcp.client.client import Client

    from tonearm.mcp_server.server import make_server

    async def run():
        async with Client(make_server(toolbox)) as client:
            tools = (await client.list_tools()).tools
            good = await client.call_tool("set_knob", {"knob": "brightness", "value": 1})
            bad = await client.call_tool("set_knob", {"knob": "brightness", "value": 99})
            return tools, good, bad

    tools, good, bad = in_a_thread(anyio.run, run)
    assert [tool.name for tool in tools] == list(toolbox.tools)
    assert tools[1].input_schema == toolbox.tools["set_knob"].schema
    assert not good.is_error and json.loads(good.content[0].text) == good.structured_content
    assert good.structured_content == {"knob": "brightness", "value": 1.0}
    assert bad.is_error and "outside its range" in bad.content[0].text


def test_a_cancelled_call_ends_its_work(toolbox, monkeypatch):
    pytest.importorskip("mcp.server.lowlevel", reason="the extra mcp is absent")
    import anyio
    from mcp.client.client import Client

    from tonearm.mcp_server.server import make_server

    begun, ended = threading.Event(), threading.Event()

    def work(name, arguments, progress):
        begun.set()
        try:
            while True:
                progress(0, 1)
                threading.Event().wait(0.01)
        finally:
            ended.set()

    monkeypatch.setattr(toolbox, "call", work)

    async def run():
        async with Client(make_server(toolbox)) as client:
            with anyio.move_on_after(0.5):
                await client.call_tool("list_knobs", {})
        assert begun.is_set()

    in_a_thread(anyio.run, run)
    assert ended.wait(TIMEOUT)


def test_nothing_but_the_protocol_is_on_standard_output(folder_of, tmp_path):
    pytest.importorskip("mcp.server.lowlevel", reason="the extra mcp is absent")
    code = "from tonearm.cli import main; raise SystemExit(main())"
    version = {"protocolVersion": "2025-06-18", "capabilities": {}}
    requests = [
        {"id": 1, "method": "initialize"}
        | {"params": version | {"clientInfo": {"name": "test", "version": "1"}}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/call", "params": {"name": "generate_take"}}
        | {"params": {"name": "generate_take", "arguments": SHORT}},
    ]
    options = ["--model", folder_of("melody"), "--out", tmp_path / "takes"]
    process = subprocess.Popen(
        [sys.executable, "-c", code, "mcp", *map(str, options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        for request in requests:
            process.stdin.write(json.dumps({"jsonrpc": "2.0"} | request) + "\n")
            process.stdin.flush()
        answers = [json.loads(process.stdout.readline()) for _ in range(2)]
        rest, err = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert [one["id"] for one in answers] == [1, 2] and rest == ""
    assert answers[0]["result"]["serverInfo"]["name"] == "tonearm"
    made = answers[1]["result"]["structuredContent"]
    assert soundfile.info(made["audio"]).frames > 0
    assert process.returncode == 0 and "Traceback" not in err, err


def test_without_the_package_the_command_to_install_it_is_named(monkeypatch):
    def absent(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(server, "version", absent)
    with pytest.raises(TonearmError, match=r"pip install 'tonearm\[mcp\]'"):
        server.check_mcp()


def test_an_old_package_is_refused_with_its_version(monkeypatch):
    monkeypatch.setattr(server, "version", lambda name: "1.12.0")
    with pytest.raises(TonearmError, match=r"mcp 2 or newer.*version 1\.12\.0"):
        server.check_mcp()
