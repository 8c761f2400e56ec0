"""Messages that the MP3 decoder in libsndfile, libmpg123, prints to stderr about damaged files.

libsndfile has no setting for them. While a file is decoded, the process's file descriptor 2 leads
to a temporary file; at the end, everything in it that is not a message of libmpg123 is printed:
text of other threads arrives late, and is never lost.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

STDERR = 2  # file descriptor

_MESSAGE = re.compile(
    rb"^\n?(\[src/libmpg123/"
    rb"|Warning: (Xing stream|Encountered more|Big change|Real sample|many decoders)"
    rb"|Note: (Could be|Cut frame|Encoder delay|Hit end|ID3|Ignoring Xing|Illegal Audio|Info"
    rb"|Input data|Junk at|Looks like|RVA|Skipp(ed|ing)|Storing|Trying to|Xing|broken frame"
    rb"|doing RVA|faulty ID3|frame of|free format|missing|non|skipped tag)"
    rb").*\n?",
    re.MULTILINE,
)
_descriptor = Lock()  # there is one per process


@contextmanager
def without_decoder_messages() -> Iterator[None]:
    """Drop the messages of libmpg123 within the block, which one thread at a time enters."""
    with _descriptor, tempfile.TemporaryFile() as collected:
        try:
            original = os.dup(STDERR)
        except OSError:  # stderr is closed
            yield
            return
        try:
            os.dup2(collected.fileno(), STDERR)
            yield
        finally:
            os.dup2(original, STDERR)
            os.close(original)
            collected.seek(0)
            others = _MESSAGE.sub(b"", collected.read())
            # Python ignores a closed pipe of stderr, too.
            with suppress(OSError), open(STDERR, "wb", closefd=False) as stderr:
                stderr.write(others)
