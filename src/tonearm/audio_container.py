"""Containers of audio files: fields that depend on the time of writing.

Sources: the WAVE specification (little-endian chunks), and RFC 3533 (Ogg pages).
"""

import zlib
from collections.abc import Iterator

OGG_SERIAL = 1  # any constant; a file of one stream needs no unique number
OGG_HEADER = 27  # bytes before the segment table
_REVERSED_BITS = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))


def without_clock(content: bytes) -> bytes:
    """Set the fields to constants that libsndfile derives from the clock.

    These are the time stamp of the PEAK chunk of a WAV file of floats, and the serial number of an
    Ogg stream, which is part of each page's checksum. Other content is returned unchanged.
    """
    if content.startswith(b"RIFF"):
        return _without_peak_time(bytearray(content))
    if content.startswith(b"OggS"):
        return _with_serial(bytearray(content))
    return content


def _without_peak_time(content: bytearray) -> bytes:
    for name, start, _ in riff_chunks(content):
        if name == b"PEAK":
            content[start + 4 : start + 8] = bytes(4)
        if name == b"data":
            break
    return bytes(content)


def riff_chunks(content: bytes | bytearray) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the content and stated size of each chunk of a RIFF file."""
    place = 12
    while place + 8 <= len(content):
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        yield bytes(content[place : place + 4]), place + 8, size
        place += 8 + size + size % 2


def _with_serial(content: bytearray) -> bytes:
    place = 0
    while content[place : place + 4] == b"OggS":
        segments = content[place + OGG_HEADER - 1]
        table = content[place + OGG_HEADER : place + OGG_HEADER + segments]
        end = place + OGG_HEADER + segments + sum(table)
        content[place + 14 : place + 18] = OGG_SERIAL.to_bytes(4, "little")
        content[place + 22 : place + 26] = bytes(4)  # the checksum covers itself as zero
        checksum = _ogg_checksum(bytes(content[place:end]))
        content[place + 22 : place + 26] = checksum.to_bytes(4, "little")
        place = end
    return bytes(content)


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 of RFC 3533: initial value 0 and no final inversion, most significant bit first.

    It is zlib's CRC-32 on bytes and result with reversed bits, without zlib's two inversions.
    """
    mirrored = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)
