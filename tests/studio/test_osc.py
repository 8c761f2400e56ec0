"""OSC over real UDP sockets, and OSCQuery."""

import asyncio
import socket
import time
from ctypes import c_float

import pytest
from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import OscMessageBuilder, build_msg

from tests.live.players import TIMEOUT, ready_take
from tests.studio.conftest import Client
from tests.threads import in_a_thread
from tonearm.errors import TonearmError
from tonearm.live import commands
from tonearm.steering import Control, Steer
from tonearm.studio import osc_listeners
from tonearm.studio.app import make_app
from tonearm.studio.osc import LAST_PORT, OscServer, call_of, values_of
from tonearm.studio.osc_listeners import LISTENER_SECONDS, MAX_LISTENERS, OscListeners
from tonearm.studio.oscquery import tree
from tonearm.studio.serve import bind


class Controller:
    """A UDP socket that talks to the server."""

    def __init__(self, port: int):
        self.port = port
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)

    def send(self, address: str, *arguments) -> None:
        self.raw(build_msg(address, list(arguments)).dgram)

    def raw(self, content: bytes) -> None:
        self.socket.sendto(content, ("127.0.0.1", self.port))

    def until(self, address: str, received: list | None = None) -> list:
        """Arguments of the next message at an address; `received` takes all addresses until then."""
        end = time.monotonic() + TIMEOUT
        while time.monotonic() < end:
            try:
                message = OscMessage(self.socket.recv(65_536))
            except TimeoutError:
                continue
            if received is not None:
                received.append(message.address)
            if message.address == address:
                return list(message.params)
        raise AssertionError(f"nothing came to {address}")


@pytest.fixture
def controller(session):
    udp = bind("127.0.0.1", 0, socket.SOCK_DGRAM)
    with udp, Client(make_app(session, osc=udp), base_url="http://127.0.0.1:9310") as client:
        one = Controller(udp.getsockname()[1])
        one.client = client
        yield one
        one.socket.close()


def test_a_knob_is_set_and_echoed(controller, session):
    controller.send("/tonearm/knob/brightness", 2)  # an integer is a number, too
    assert controller.until("/tonearm/knob/brightness") == [2.0]
    assert session.snapshot().result(TIMEOUT).controls["target/brightness"] == 2.0


def test_a_change_by_the_page_reaches_the_controller(controller, session):
    controller.send("/tonearm/sync")
    controller.until("/tonearm/prompt")
    session.apply(Control.physical("brightness", -1.0), "page-1").result(TIMEOUT)
    assert controller.until("/tonearm/knob/brightness") == [-1.0]


def test_changes_on_the_page_reach_the_controller(controller, session):
    controller.send("/tonearm/sync")
    controller.until("/tonearm/prompt")
    for command in (
        commands.Listen(to="plain"),
        commands.SetPrompt(text="dark piano"),
        commands.Play(),
    ):
        session.command(command).result(TIMEOUT)
    assert controller.until("/tonearm/ab") == [1]
    assert controller.until("/tonearm/prompt") == ["dark piano"]
    assert controller.until("/tonearm/transport/play") == [1]


def test_a_strength_of_the_research_pane_is_kept_by_a_fork(controller, session):
    steer = Steer(vector="brightness", strength=0.5)
    session.command(commands.SetDesk(knobs=())).result(TIMEOUT)
    session.command(commands.Research(steers=(steer,))).result(TIMEOUT)
    session.command(commands.Play()).result(TIMEOUT)
    controller.send("/tonearm/strength/brightness", 0.25)
    assert controller.until("/tonearm/strength/brightness") == [0.25]
    (held,) = session.snapshot().result(TIMEOUT).research
    assert held.strength == 0.25
    session.command(commands.Play()).result(TIMEOUT)
    session.command(commands.Stop()).result(TIMEOUT)
    ready_take(session, 2)
    (played,) = session._takes.ready(2).steered.provenance.steering.steers
    assert played.strength == 0.25
    session.command(commands.Research(steers=(steer,))).result(TIMEOUT)  # another choice
    assert session.snapshot().result(TIMEOUT).research == (steer,)
    tree = controller.client.get("/oscquery/tonearm").json()["CONTENTS"]
    assert tree["strength"]["CONTENTS"]["brightness"]["VALUE"] == [0.5]
    assert {"sync", "error"} <= set(tree) and "applied" in tree["status"]["CONTENTS"]


def test_a_strength_is_set_before_the_start_and_beside_the_knob_of_its_vector(controller, session):
    steer = Steer(vector="brightness", strength=0.5)
    session.command(commands.Research(steers=(steer,))).result(TIMEOUT)
    for value in (0.25, 0.75):
        controller.send("/tonearm/strength/brightness", value)
        while controller.until("/tonearm/strength/brightness") != [value]:
            pass
        assert session.snapshot().result(TIMEOUT).research[0].strength == value
        session.command(commands.Play()).result(TIMEOUT)


def test_nothing_is_buffered_while_nothing_plays(controller, session):
    controller.send("/tonearm/sync")
    session.command(commands.Play()).result(TIMEOUT)
    with controller.client.websocket_connect("/socket") as socket:
        socket.send_json({"type": "report", "buffer_ms": 300, "underruns": 0})
        while controller.until("/tonearm/status/buffer_ms") != [300.0]:
            pass
        session.command(commands.Stop()).result(TIMEOUT)
        while controller.until("/tonearm/status/buffer_ms") != [0.0]:
            pass


def test_transport_and_status(controller, session):
    controller.send("/tonearm/transport/play", 0)  # a button is released
    controller.send("/tonearm/sync")
    assert controller.until("/tonearm/transport/play") == [0]
    controller.send("/tonearm/transport/play", 1.0)
    controller.send("/tonearm/sync")
    assert controller.until("/tonearm/transport/play") == [1]
    controller.send("/tonearm/knob/brightness", 1.0)
    target, frame, sample = controller.until("/tonearm/status/applied")
    assert target == "target/brightness" and frame >= 0 and sample >= 0
    assert controller.until("/tonearm/status/underruns") == [0]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "not an OSC packet"),
        (b"#bundle\0garbage", "not an OSC packet"),
        (build_msg("/tonearm/knob/nothing", 1.0).dgram, "no knob"),
        (build_msg("/tonearm/knob/brightness", "loud").dgram, "needs a number"),
        (build_msg("/tonearm/knob/brightness", float("nan")).dgram, "needs a number"),
        (build_msg("/tonearm/knob/brightness", 99.0).dgram, "outside its range"),
        (build_msg("/other", 1.0).dgram, "unknown"),
        (build_msg("/tonearm/prompt", 3).dgram, "text"),
        (build_msg("/tonearm/transport/fork", 1).dgram, "nothing plays"),
    ],
)
def test_bad_datagrams_are_answered_with_the_reason(controller, content, part):
    controller.raw(content)
    assert part in controller.until("/tonearm/error")[0]


@pytest.mark.parametrize(
    "content",
    [b"#bundle\0" + bytes(8) + b"\0\0\0\4abcd", b"/tonearm/sync\0\0\0,g\0\0"],
)
def test_packets_that_are_ignored_write_nothing_to_the_log(controller, caplog, content):
    controller.raw(content)
    controller.send("/tonearm/guidance", "loud")
    controller.until("/tonearm/error")
    assert caplog.records == []


def test_messages_of_a_server_are_not_answered(controller):
    """Two studios at neighbouring ports would otherwise answer each other for ever."""
    for address, value in (("/tonearm/error", "x"), ("/tonearm/status/rtf", 1.0)):
        controller.send(address, value)
    controller.send("/tonearm/guidance", "loud")
    assert "needs a number" in controller.until("/tonearm/error")[0]  # the first answer


class Transport:
    """Keeps the addresses that something was sent to."""

    def __init__(self) -> None:
        self.receivers: list[tuple[str, int]] = []

    def is_closing(self) -> bool:
        return False

    def sendto(self, content: bytes, receiver: tuple[str, int]) -> None:
        self.receivers.append(receiver)


def receivers_of_a_mistake(session, port: int, sender: tuple[str, int]) -> list[tuple[str, int]]:
    """Addresses to which a server at a port answers a message that has a mistake."""

    async def receive() -> list[tuple[str, int]]:
        server, transport = OscServer(session, port, lambda: None), Transport()
        server.connection_made(transport)
        server.datagram_received(build_msg("/tonearm/ab", "x").dgram, sender)
        server.connection_lost(None)
        return transport.receivers

    return in_a_thread(lambda: asyncio.run(receive()))


def test_a_server_at_the_port_below_is_not_answered(session):
    """Its answering port is this one, so both would send each other the same change without end."""
    assert receivers_of_a_mistake(session, 9312, ("127.0.0.1", 9311)) == []
    sender = ("127.0.0.1", 9310)
    assert receivers_of_a_mistake(session, 9312, sender) == [sender, ("127.0.0.1", 9313)]


def test_the_last_port_has_no_answering_port(session):
    sender = ("127.0.0.1", 9310)
    assert receivers_of_a_mistake(session, LAST_PORT, sender) == [sender]


def test_a_silent_sender_receives_no_further_echoes_until_it_sends_again():
    now = [0.0]
    listeners = OscListeners(lambda: now[0])
    one, two = ("127.0.0.1", 1), ("127.0.0.1", 2)
    listeners.add(one)
    now[0] = 200.0
    listeners.add(two)
    assert listeners.addresses == [one, two]
    now[0] = LISTENER_SECONDS
    assert listeners.addresses == [two]
    listeners.add(one)
    now[0] = 200.0 + LISTENER_SECONDS
    assert listeners.addresses == [one]


def test_the_newest_senders_receive_echoes():
    listeners = OscListeners()
    for port in (*range(MAX_LISTENERS), 0, MAX_LISTENERS):
        listeners.add(("127.0.0.1", port))
    assert [port for _, port in listeners.addresses] == [*range(2, MAX_LISTENERS), 0, MAX_LISTENERS]


def test_the_server_sends_nothing_to_a_silent_sender(controller, session, monkeypatch):
    controller.send("/tonearm/sync")
    controller.until("/tonearm/prompt")
    monkeypatch.setattr(osc_listeners, "LISTENER_SECONDS", 0.0)
    session.apply(Control.physical("brightness", -1.0), "page-1").result(TIMEOUT)
    controller.client.get("/oscquery")  # passes through the server's loop, after the echo
    monkeypatch.setattr(osc_listeners, "LISTENER_SECONDS", 300.0)
    controller.send("/tonearm/sync")  # whose answers come after any echo
    received = []
    controller.until("/tonearm/prompt", received)
    assert received.count("/tonearm/knob/brightness") == 1


def test_bundles(controller, session):
    bundle = OscBundleBuilder(IMMEDIATELY)
    for value in (1.0, 3.0):
        message = OscMessageBuilder("/tonearm/knob/brightness")
        message.add_arg(value)
        bundle.add_content(message.build())
    controller.raw(bundle.build().dgram)
    while session.snapshot().result(TIMEOUT).controls.get("target/brightness") != 3.0:
        controller.until("/tonearm/knob/brightness")


def test_oscquery_labels_every_address(controller, session):
    info = controller.client.get("/oscquery?HOST_INFO").json()
    assert info["OSC_PORT"] == controller.port
    knob = controller.client.get("/oscquery/tonearm/knob/brightness").json()
    assert knob["RANGE"] == [{"MIN": -4.0, "MAX": 4.0}] and knob["UNIT"] == ["st"]
    assert knob["FULL_PATH"] == "/tonearm/knob/brightness" and knob["TYPE"] == "f"
    assert controller.client.get("/oscquery/tonearm/nothing").status_code == 422
    state = session.snapshot().result(TIMEOUT)
    root = tree(session.manifest, state)
    for address, value in values_of(session.manifest, state):
        node = root
        for part in address.strip("/").split("/"):
            node = node["CONTENTS"][part]
        assert node["VALUE"] == [value]


def test_without_osc_there_is_no_query(client):
    assert client.get("/oscquery").status_code == 404


def test_addresses_become_commands(session):
    manifest = session.manifest
    assert call_of("/tonearm/ab", [1], manifest) == commands.Listen(to="plain")
    assert call_of("/tonearm/loop", [2.0], manifest) == commands.Loop(bars=2)
    assert call_of("/tonearm/transport/stop", [], manifest) == commands.Stop()
    assert call_of("/tonearm/strength/raw", [0.1], manifest) == Control.strength("raw", 0.1)
    with pytest.raises(TonearmError, match="unknown"):
        call_of("/tonearm", [], manifest)


def test_the_end_of_a_range_is_reached_by_its_32_bit_float(session):
    manifest, end = session.manifest, 5.925556
    knob = manifest.knob("brightness")
    knob = knob.model_copy(update={"positive": knob.positive.model_copy(update={"limit": end})})
    manifest = manifest.model_copy(update={"knobs": (knob,)})
    sent = c_float(end).value
    assert sent > end
    assert call_of("/tonearm/knob/brightness", [sent], manifest).value == end
    assert call_of("/tonearm/knob/brightness", [1.1], manifest).value == 1.1


def test_a_port_in_use_is_named_with_its_option():
    with bind("127.0.0.1", 0, socket.SOCK_DGRAM) as udp:
        port = udp.getsockname()[1]
        with pytest.raises(TonearmError, match=rf"127.0.0.1:{port} .*--osc 0"):
            bind("127.0.0.1", port, socket.SOCK_DGRAM, "--osc")
