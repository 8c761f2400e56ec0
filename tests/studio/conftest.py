"""A client of the studio's application, with a session of a tiny model."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from tests.live.players import playing
from tonearm.live import Session
from tonearm.studio.app import make_app


class Client(TestClient):
    """Sends the host of its base URL with WebSockets too."""

    def websocket_connect(self, url, subprotocols=None, headers=None, **options):
        headers = {"host": self.base_url.netloc.decode(), **(headers or {})}
        return super().websocket_connect(url, subprotocols, headers=headers, **options)


@pytest.fixture
def session(melody) -> Iterator[Session]:
    with playing(melody, lead=2.0) as (
        session,
        player,
    ):  # that a control of the test still finds music to act on
        player.playing = False  # the clients under test report their own play heads
        yield session


@pytest.fixture
def client(session) -> Iterator[TestClient]:
    with Client(make_app(session), base_url="http://127.0.0.1:9310") as client:
        yield client
