"""Containers of audio files: lengths that they state, and fields that depend on the time of writing.

One rule finds truncated files of all formats: a file is cut off if it ends before the place that
its container states. A length that a program cannot know when it writes into a pipe is a dummy; it
states nothing.

Sources: the WAVE, RF64, AIFF, AU, CAF and Wave64 specifications, RFC 3533 (Ogg), the Xing header.
"""

import io
import mmap
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

Source = Path | bytes  # an audio file, or its content

MP3 = ".mp3"
OGG_SERIAL = 1  # any constant; a file of one stream needs no unique number
OGG_HEADER = 27  # bytes before the segment table
OGG_LAST_PAGE = 4  # flag of the header type
OGG_LONGEST_PAGE = OGG_HEADER + 255 + 255 * 255
HEAD = 2**16  # bytes in which the next MP3 frame is looked for, after other bytes
MAX_CHUNKS = 10_000  # looked through for the samples
DUMMY_SIZE = 0x7FFF0000  # programs write values from here to 2^32 - 1 (or 2^64 - 1) into pipes
PADDING = 1  # some programs leave out the byte that makes an odd size even
W64_PADDING = 7  # chunks are filled up to multiples of 8, which some programs leave out at the end
LATER_CHUNKS = (b"LIST", b"id3 ", b"ID3 ", b"bext", b"cue ", b"smpl", b"fact", b"PEAK")
MP3_SEARCH = 2048  # bytes in which the first frame begins
XING_SEARCH = 64  # bytes of the first frame in which a Xing header begins
MAX_MP3_FRAME = 1441  # bytes
MAX_MP3_FRAMES = 2**20  # three hours or more
MP3_KBITS = {  # bits per second / 1000 of layer III by the index in a frame's header
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 0),  # MPEG 1
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160, 0),  # MPEG 2
}
MP3_KBITS[0] = MP3_KBITS[2]  # MPEG 2.5
MP3_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8000)}
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
    for name, start, _ in _riff_chunks(io.BytesIO(content)):
        if name == b"PEAK":
            content[start + 4 : start + 8] = bytes(4)
        if name == b"data":
            break
    return bytes(content)


def _riff_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    return _chunks(file, 12, "little")


def _chunks(
    file: BinaryIO,
    place: int,
    order: Literal["little", "big"],
    size_bytes: int = 4,
    align: int = 2,
) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start of the content and stated size of each chunk.

    Args:
        file: open for reading.
        place: of the first chunk.
        order: of the bytes of a size.
        size_bytes: of a size.
        align: chunks are filled up to multiples of this number of bytes.
    """
    header = 4 + size_bytes
    for _ in range(MAX_CHUNKS):
        content = _bytes_at(file, place, header)
        if len(content) < header:
            return
        size = int.from_bytes(content[4:], order)
        yield content[:4], place + header, size
        place += header + size + -size % align


def _bytes_at(file: BinaryIO, place: int, count: int) -> bytes:
    """Up to `count` bytes from `place` on; none beyond the end of the file."""
    try:
        file.seek(min(place, 2**63 - 1))
    except OSError:  # beyond the longest file of the file system
        return b""
    return file.read(count)


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


def opened(source: Source) -> BinaryIO:
    """Open a file, or its content, for reading."""
    return io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")


def missing_bytes(source: Source) -> int | None:
    """Find how much a file is shorter than its container states.

    Args:
        source: an audio file of any format.

    Returns:
        0 for a whole file and where nothing is stated; None for an Ogg file without a last page,
        which is cut off by an unknown number of bytes.
    """
    with opened(source) as file:
        size = file.seek(0, io.SEEK_END)
        begin = _end_of_id3(_bytes_at(file, 0, 10))
        if _bytes_at(file, begin, 4) == b"OggS":
            return _missing_of_ogg(_bytes_at(file, max(0, size - 2 * OGG_LONGEST_PAGE), size))
        stated = _stated_end(file, begin)
    return 0 if stated is None else max(0, stated - PADDING - size)


def with_stated_length(source: Source) -> Path | mmap.mmap | io.BytesIO:
    """Return the file, or a copy of its content of which libsndfile reads all samples.

    A program that writes a WAV file into a pipe may state 0 bytes of samples. For an MP3 file of
    varying bit rate without a Xing header, libsndfile estimates the length by the first frame and
    ignores what follows.
    """
    unchanged = io.BytesIO(source) if isinstance(source, bytes) else source
    with opened(source) as file:
        begin = _end_of_id3(_bytes_at(file, 0, 10))
        head = _bytes_at(file, begin, 4)
        if head == b"RIFF":
            place = _empty_data_size(file)
            return unchanged if place is None else _with_data_size(source, place)
        frames = _mp3_frames(file, begin) if _may_be_mp3(head, begin) else []
        if len({header[2] >> 4 for _, header in frames}) < 2 or _xing_place(file, begin):
            return unchanged
        start, first = frames[0]
        content = _bytes_at(file, start, file.seek(0, io.SEEK_END))
    return io.BytesIO(_xing_frame(first, len(frames), len(content)) + content)


def _empty_data_size(file: BinaryIO) -> int | None:
    """Find the size of the samples in a WAV file that states 0 bytes although samples follow.

    Returns:
        The place of these 4 bytes; None where the size is not 0, or no samples follow.
    """
    for name, start, size in _riff_chunks(file):
        if name == b"data":
            following = _bytes_at(file, start, 4)
            if size or len(following) < 4 or following in LATER_CHUNKS:
                return None
            return start - 4
    return None


def _with_data_size(source: Source, place: int) -> mmap.mmap | io.BytesIO:
    """Make a copy of a WAV file whose size of the samples, at `place`, covers all that follows.

    The copy of a file is a private view of it, which takes no memory.
    """
    with opened(source) as file:
        count = min(file.seek(0, io.SEEK_END) - place - 4, 2**32 - 1).to_bytes(4, "little")
        if isinstance(source, bytes):
            return io.BytesIO(source[:place] + count + source[place + 4 :])
        view = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    view[place : place + 4] = count
    return view


def is_mpeg(source: Source) -> bool:
    """Whether libsndfile may decode a file by libmpg123: by its ending or its first bytes."""
    if isinstance(source, Path) and source.suffix.lower() == MP3:
        return True
    with opened(source) as file:
        head = file.read(4)
    return _may_be_mp3(head, 1 if head.startswith(b"ID3") else 0)


def _end_of_id3(head: bytes) -> int:
    """End of the tag at the beginning of an MP3 file in bytes, 0 without one."""
    if len(head) < 10 or not head.startswith(b"ID3"):
        return 0
    sizes = [byte & 0x7F for byte in head[6:10]]  # 7 bits per byte
    return 10 + (sizes[0] << 21) + (sizes[1] << 14) + (sizes[2] << 7) + sizes[3]


def _stated_end(file: BinaryIO, begin: int) -> int | None:
    """End of the samples in bytes, or None where the container states none.

    Args:
        file: open for reading.
        begin: of the container.
    """
    head = _bytes_at(file, begin, 24)
    if head.startswith(b"RIFF"):
        return _end_of_chunk(_chunks(file, begin + 12, "little"), b"data")
    if head.startswith(b"RF64"):
        for name, start, _ in _chunks(file, begin + 12, "little"):
            if name == b"ds64":
                size = int.from_bytes(_bytes_at(file, start, 8), "little")
                return _plausible(size, begin + 8, wide=True)
        return None
    if head.startswith(b"FORM"):
        return _end_of_chunk(_chunks(file, begin + 12, "big"), b"SSND")
    if head.startswith(b".snd"):
        start = int.from_bytes(head[4:8], "big")
        return _plausible(int.from_bytes(head[8:12], "big"), begin + start)
    if head.startswith(b"caff"):
        chunks = _chunks(file, begin + 8, "big", size_bytes=8, align=1)
        return _end_of_chunk(chunks, b"data", wide=True)
    if head.startswith(b"riff\x2e\x91\xcf\x11"):
        size = int.from_bytes(head[16:24], "little")
        return _plausible(max(0, size - W64_PADDING), begin, wide=True)
    return _end_of_mp3(file, begin) if _may_be_mp3(head, begin) else None


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


def _may_be_mp3(head: bytes, begin: int) -> bool:
    """Whether a file is MP3 by its first bytes, or those after a tag, which ends at `begin`."""
    return head[:1] == b"\xff" or (begin > 0 and head not in (b"fLaC", b"OggS", b"RIFF"))


def _end_of_mp3(file: BinaryIO, begin: int) -> int | None:
    """End of the frames by the Xing header, or else by the header of the last frame."""
    place = _xing_place(file, begin)
    if place:
        flags, *sizes = struct.unpack(">3I", _bytes_at(file, place + 4, 12).ljust(12, b"\0"))
        if flags & 2:  # bit 1: a number of bytes is present, after that of the frames (bit 0)
            start = begin + _bytes_at(file, begin, MP3_SEARCH).find(b"\xff")
            return _plausible(sizes[flags & 1], start)
    frames = _mp3_frames(file, begin)
    if not frames:
        return None
    last, header = frames[-1]
    return last + _mp3_frame_bytes(header)


def _xing_place(file: BinaryIO, begin: int) -> int | None:
    """Place of the Xing or Info header in the first frame of an MP3 file, where there is one."""
    head = _bytes_at(file, begin, MP3_SEARCH + XING_SEARCH)
    start = head.find(b"\xff", 0, MP3_SEARCH)
    if start < 0:
        return None
    places = (head.find(name, start, start + XING_SEARCH) for name in (b"Xing", b"Info"))
    return next((begin + place for place in places if place >= 0), None)


def _xing_frame(header: bytes, count: int, size: int) -> bytes:
    """A silent frame that states the length of an MP3 file.

    Args:
        header: of a frame of the file.
        count: of its frames.
        size: of its frames in bytes.
    """
    bits = int.from_bytes(header, "big") & ~(15 << 12) | 9 << 12 | 1 << 16  # no checksum
    first = bits.to_bytes(4, "big")
    is_mono, is_mpeg_1 = bits >> 6 & 3 == 3, bits >> 19 & 3 == 3
    side_info = (17 if is_mono else 32) if is_mpeg_1 else (9 if is_mono else 17)
    length = _mp3_frame_bytes(first)
    stated = b"Xing" + struct.pack(">3I", 3, count, size + length)
    return (first + bytes(side_info) + stated).ljust(length, b"\0")


def _mp3_frames(file: BinaryIO, begin: int) -> list[tuple[int, bytes]]:
    """Places and headers of the frames of an MP3 file.

    A frame follows the frame before it, or other bytes, and then a frame of the same kind follows
    it. The last one may be incomplete.

    Args:
        file: open for reading.
        begin: end of the tag before them.
    """
    frames: list[tuple[int, bytes]] = []
    place: int | None = _next_mp3_frame(file, begin, MP3_SEARCH, b"")
    while place is not None and len(frames) < MAX_MP3_FRAMES:
        header = _bytes_at(file, place, 4)
        if _is_like(header, frames[0][1] if frames else b""):
            frames.append((place, header))
            place += _mp3_frame_bytes(header)
        else:
            place = _next_mp3_frame(file, place, HEAD, frames[0][1])
    return frames


def _next_mp3_frame(file: BinaryIO, place: int, count: int, like: bytes) -> int | None:
    """Place of the next frame that another one follows, within `count` bytes."""
    content = _bytes_at(file, place, count + 2 * MAX_MP3_FRAME)
    start = content.find(b"\xff", 0, count)
    while start >= 0:
        header = content[start : start + 4]
        second = start + _mp3_frame_bytes(header)
        if _is_like(header, like) and _is_like(content[second : second + 4], header):
            return place + start
        start = content.find(b"\xff", start + 1, count)
    return None


def _is_like(header: bytes, other: bytes) -> bool:
    """Whether a header begins a frame, of the version and rate of another if one is given."""
    kinds = {(one[1] & 0xFE, one[2] & 0x0C) for one in (header, other) if len(one) == 4}
    return _mp3_frame_bytes(header) > 0 and len(kinds) == 1


def _mp3_frame_bytes(header: bytes) -> int:
    """Length of an MP3 frame by its header of 4 bytes; 0 if it is none of a stated length."""
    bits = int.from_bytes(header, "big")
    version, layer = bits >> 19 & 3, bits >> 17 & 3
    kbits_index, rate_index, padding = bits >> 12 & 15, bits >> 10 & 3, bits >> 9 & 1
    if len(header) < 4 or bits >> 21 != 0x7FF or version == 1 or layer != 1 or rate_index == 3:
        return 0
    kbits, rate = MP3_KBITS[version][kbits_index], MP3_RATES[version][rate_index]
    return kbits and (144_000 if version == 3 else 72_000) * kbits // rate + padding


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
