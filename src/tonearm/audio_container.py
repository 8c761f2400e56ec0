"""Containers of audio files: lengths that they state, and fields that depend on the time of writing.

One rule finds truncated files of all formats: a file is cut off if it ends before the place that
its container states. A length that a program cannot know when it writes into a pipe is a dummy; it
states nothing.

Sources: the WAVE, RF64, AIFF, AU, CAF and Wave64 specifications, RFC 3533 (Ogg), the Xing header.
"""

import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

OGG_SERIAL = 1  # any constant; a file of one stream needs no unique number
OGG_HEADER = 27  # bytes before the segment table
OGG_LAST_PAGE = 4  # flag of the header type
OGG_LONGEST_PAGE = OGG_HEADER + 255 + 255 * 255
HEAD = 2**16  # bytes in which the chunks before the samples are expected
DUMMY_SIZE = 0x7FFF0000  # programs write values from here to 2^32 - 1 (or 2^64 - 1) into pipes
PADDING = 1  # some programs leave out the byte that makes an odd size even
W64_PADDING = 7  # chunks are filled up to multiples of 8, which some programs leave out at the end
LATER_CHUNKS = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"cue ", b"smpl", b"fact", b"PEAK")
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
    """Chunks of a RIFF file, as `_chunks` yields them."""
    return _chunks(content, 12, "little")


def _chunks(
    content: bytes | bytearray,
    place: int,
    order: Literal["little", "big"],
    size_bytes: int = 4,
    align: int = 2,
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the content and stated size of each chunk.

    Args:
        content: of the file.
        place: of the first chunk.
        order: of the bytes of a size.
        size_bytes: of a size.
        align: chunks are filled up to multiples of this number of bytes.
    """
    header = 4 + size_bytes
    while place + header <= len(content):
        size = int.from_bytes(content[place + 4 : place + header], order)
        yield bytes(content[place : place + 4]), place + header, size
        place += header + size + -size % align


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


def missing_bytes(path: Path) -> int | None:
    """Find how much a file is shorter than its container states.

    Args:
        path: of an audio file of any format.

    Returns:
        0 for a whole file and where nothing is stated; None for an Ogg file without a last page,
        which is cut off by an unknown number of bytes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(HEAD)
        if head.startswith(b"ID3") and len(head) > 10:  # the tag's size has 7 bits per byte
            skipped = 10
            for place, byte in enumerate(head[6:10]):
                skipped += (byte & 0x7F) << 7 * (3 - place)
            file.seek(skipped)
            head, size = file.read(HEAD), size - skipped
        file.seek(max(0, path.stat().st_size - 2 * OGG_LONGEST_PAGE))
        tail = file.read()
    if head.startswith(b"OggS"):
        return _missing_of_ogg(tail)
    stated = _stated_size(head)
    return 0 if stated is None else max(0, stated - PADDING - size)


def with_open_end(path: Path) -> Path | io.BytesIO:
    """Return the path, or a copy of a WAV file whose samples libsndfile would not read.

    A program that writes into a pipe may state 0 bytes of samples; the copy states "to the end".
    """
    with path.open("rb") as file:
        head = file.read(HEAD)
    if not head.startswith(b"RIFF"):
        return path
    for name, start, size in riff_chunks(head):
        if name == b"data":
            following = head[start : start + 4]
            if size or len(following) < 4 or following in LATER_CHUNKS:
                return path
            content = bytearray(path.read_bytes())
            content[start - 4 : start] = b"\xff" * 4
            return io.BytesIO(content)
    return path


def _stated_size(head: bytes) -> int | None:
    """End of the samples in bytes, or None where the container states none."""
    if head.startswith(b"RIFF"):
        return _end_of_chunk(riff_chunks(head), b"data")
    if head.startswith(b"RF64"):
        for name, start, _ in riff_chunks(head):
            if name == b"ds64":
                return _plausible(int.from_bytes(head[start : start + 8], "little"), 8, wide=True)
        return None
    if head.startswith(b"FORM"):
        return _end_of_chunk(_chunks(head, 12, "big"), b"SSND")
    if head.startswith(b".snd"):
        start = int.from_bytes(head[4:8], "big")
        return _plausible(int.from_bytes(head[8:12], "big"), start)
    if head.startswith(b"caff"):
        return _end_of_chunk(_chunks(head, 8, "big", size_bytes=8, align=1), b"data", wide=True)
    if head.startswith(b"riff\x2e\x91\xcf\x11"):
        size = int.from_bytes(head[16:24], "little")
        return _plausible(max(0, size - W64_PADDING), 0, wide=True)
    return _end_of_mp3(head)


def _plausible(size: int, start: int, wide: bool = False) -> int | None:
    """End of a part that begins at `start`, unless its size is a dummy.

    Args:
        size: as stated.
        start: of the part, in bytes from the beginning of the file.
        wide: whether the size has 64 bits.
    """
    return None if size == 0 or size >= (2**62 if wide else DUMMY_SIZE) else start + size


def _end_of_chunk(
    chunks: Iterator[tuple[bytes, int, int]], wanted: bytes, wide: bool = False
) -> int | None:
    for name, start, size in chunks:
        if name == wanted:
            return _plausible(size, start, wide)
    return None


def _end_of_mp3(head: bytes) -> int | None:
    """End of the frames by the Xing or Info header in the first frame, where there is one."""
    start = head.find(b"\xff", 0, 2048)
    for name in (b"Xing", b"Info"):
        place = head.find(name, start, start + 64)
        if start >= 0 and place >= 0:
            flags = int.from_bytes(head[place + 4 : place + 8], "big")
            if not flags & 2:  # bit 1: a number of bytes is present, after that of the frames
                return None
            place += 8 + 4 * (flags & 1)
            return _plausible(int.from_bytes(head[place : place + 4], "big"), start)
    return None


def _missing_of_ogg(tail: bytes) -> int | None:
    """Missing bytes by the last page, which has a flag; None if the last page is absent."""
    place = tail.rfind(b"OggS")
    if place < 0 or len(tail) < place + OGG_HEADER:
        return None
    segments = tail[place + OGG_HEADER - 1]
    table = tail[place + OGG_HEADER : place + OGG_HEADER + segments]
    end = place + OGG_HEADER + segments + sum(table)
    if len(table) < segments or not tail[place + 5] & OGG_LAST_PAGE:
        return None
    return max(0, end - len(tail))
