"""Decoding of an uploaded audio file, as a process of its own: `python -m tonearm.studio.decoding`.

Reads the file from standard input, and writes its sample rate and its number of channels as a line,
then the samples as float32 [C, N]. A fault is one line on standard error, with exit code 2.
Decoders are third-party code that reads untrusted bytes; a crash or excessive memory use ends this
process alone.
"""

import os
import sys
from contextlib import suppress

MAX_SECONDS = 120.0  # of audio
MAX_SAMPLES = 2 * 192_000 * 120  # in all channels: stereo at the highest rate of music files
MAX_BYTES = 4 * 2**30  # of memory
CPU_SECONDS = 15
NICENESS = 10  # as BACKGROUND of tonearm.threads, which imports torch


def main() -> int:
    """Decode standard input; returns the exit code."""
    _limit()
    from tonearm.audio import Clip
    from tonearm.errors import TonearmError

    try:
        clip = Clip.decode(sys.stdin.buffer.read(), "the upload")
        if clip.seconds > MAX_SECONDS:
            raise TonearmError(
                f"the upload lasts {clip.seconds:.0f} s; use at most {MAX_SECONDS:g} s"
            )
        if clip.samples.size > MAX_SAMPLES:
            raise TonearmError(
                f"the upload has {len(clip.samples)} channels at {clip.sample_rate} Hz; "
                "give stereo at 192000 Hz or less"
            )
    except TonearmError as error:
        print(error, file=sys.stderr)
        return 2
    out = sys.stdout.buffer
    out.write(f"{clip.sample_rate} {len(clip.samples)}\n".encode())
    out.write(clip.samples.astype("<f4").tobytes())
    out.flush()
    return 0


def _limit() -> None:
    """Limit priority, memory and CPU time, where the system can."""
    if sys.platform == "win32":
        return
    import resource

    os.nice(NICENESS)
    for kind, most in ((resource.RLIMIT_AS, MAX_BYTES), (resource.RLIMIT_CPU, CPU_SECONDS)):
        hard = resource.getrlimit(kind)[1]
        with suppress(ValueError, OSError):  # macOS has no limit of the address space
            resource.setrlimit(kind, (most if hard < 0 else min(most, hard), hard))


if __name__ == "__main__":
    sys.exit(main())
