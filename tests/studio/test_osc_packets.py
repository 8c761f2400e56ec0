"""Parsing of OSC packets."""

import struct

import pytest
from pythonosc.osc_message_builder import build_msg

from tonearm.errors import TonearmError
from tonearm.studio.osc_packets import messages_of, sizes_are_possible

MESSAGE = build_msg("/tonearm/ab", 1).dgram


def bundle(*elements: bytes, size: int | None = None) -> bytes:
    """A bundle of elements, with their sizes or another one."""
    sized = [
        struct.pack(">i", len(one) if size is None else size) + one for one in elements or (b"",)
    ]
    return b"#bundle\0" + bytes(8) + b"".join(sized)


def test_the_messages_of_a_message_and_of_nested_bundles():
    for data, count in (
        (MESSAGE, 1),
        (bundle(MESSAGE, MESSAGE), 2),
        (bundle(MESSAGE, bundle(bundle(MESSAGE))), 2),
        (bundle(size=0), 0),
    ):
        assert [one.address for one in messages_of(data)] == ["/tonearm/ab"] * count


@pytest.mark.parametrize("size", [-1, -4, -20, -(2**31)])
def test_a_negative_size_is_refused_before_it_is_parsed_without_end(size):
    for data in (bundle(size=size), bundle(MESSAGE, bundle(MESSAGE, bundle(size=size)))):
        assert not sizes_are_possible(data)
        with pytest.raises(TonearmError, match="not an OSC packet"):
            messages_of(data)


@pytest.mark.parametrize(
    "data", [b"", b"#bundle\0garbage", bundle()[:-1], bundle(MESSAGE, size=2**31 - 1)[:-9], b"/x"]
)
def test_other_garbage_is_refused(data):
    with pytest.raises(TonearmError, match="not an OSC packet"):
        messages_of(data)


def test_deep_nesting_is_refused_and_quick():
    data = MESSAGE
    while len(data) < 60_000:
        data = bundle(data)
    with pytest.raises(TonearmError, match="not an OSC packet"):
        messages_of(data)
