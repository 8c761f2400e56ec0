"""Parsing of OSC packets from untrusted senders."""

import logging

from pythonosc.osc_message import OscMessage
from pythonosc.osc_packet import OscPacket, ParseError

from tonearm.errors import TonearmError

BUNDLE = b"#bundle\0"
HEADER_BYTES = len(BUNDLE) + 8  # with the time tag
SIZE_BYTES = 4  # of the size before each element
NO_PACKET = "the datagram is not an OSC packet"


def messages_of(data: bytes) -> list[OscMessage]:
    """The messages of a packet, those of the bundles within it included.

    Raises:
        TonearmError: the data are not an OSC packet.
    """
    if not sizes_are_possible(data):
        raise TonearmError(NO_PACKET)
    try:
        return [timed.message for timed in OscPacket(data).messages]
    except (ParseError, ValueError, IndexError, RecursionError) as error:
        raise TonearmError(NO_PACKET) from error


def sizes_are_possible(data: bytes) -> bool:
    """Whether no element of a bundle, or of a bundle within it, has a negative size.

    python-osc would move its read position back by this size, and parse the same elements in an
    endless loop.
    """
    bundles = [data]
    while bundles:
        bundle = bundles.pop()
        start = HEADER_BYTES if bundle.startswith(BUNDLE) else len(bundle)
        while start < len(bundle):
            size = int.from_bytes(bundle[start : start + SIZE_BYTES], "big", signed=True)
            if size < 0:
                return False
            start += SIZE_BYTES
            bundles.append(bundle[start : start + size])
            start += size
    return True


def is_not_of_the_parser(record: logging.LogRecord) -> bool:
    """A filter without the records of python-osc, which logs every part of a packet that it ignores.

    Anybody who can reach the port could fill the terminal with them.
    """
    return record.module not in ("osc_bundle", "osc_message")
