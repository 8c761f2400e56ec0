"""Models with a vector of their own, for the tests of streams."""

import pytest

from tests.generation.streams import WINDOW
from tests.musicgen.decode_requests import with_window
from tests.steering.vectors import vector_of


@pytest.fixture
def steered(melody):
    melody.vectors["push"] = vector_of(melody, "push")
    return melody


@pytest.fixture
def windowed(steered):
    """The steered model with a window of WINDOW frames."""
    return with_window(steered, WINDOW)
