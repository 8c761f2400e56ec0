"""Uploads: bytes of an audio file -> Clip, by a child process, limited in size and time."""

import asyncio
import sys
from collections.abc import AsyncIterator

import numpy as np
from starlette.requests import ClientDisconnect

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.escapes import escaped

MAX_BYTES = 32 * 2**20
RECEIVE_SECONDS = 20.0
DECODE_SECONDS = 60.0  # enough for a busy machine; the child limits its own CPU time


async def received(chunks: AsyncIterator[bytes]) -> bytes:
    """Collect the body of an upload.

    Raises:
        TonearmError: it is larger than MAX_BYTES, takes longer than RECEIVE_SECONDS, or the connection
            is lost.
    """
    parts, size = [], 0
    try:
        async with asyncio.timeout(RECEIVE_SECONDS):
            async for chunk in chunks:
                size += len(chunk)
                if size > MAX_BYTES:
                    raise TonearmError(
                        f"the upload is larger than {MAX_BYTES // 2**20} MiB; give a shorter file"
                    )
                parts.append(chunk)
    except TimeoutError:
        raise TonearmError(f"the upload took longer than {RECEIVE_SECONDS:g} s") from None
    except ClientDisconnect:
        raise TonearmError("the connection was lost during the upload; repeat it") from None
    return b"".join(parts)


async def decoded(content: bytes) -> Clip:
    """Decode an audio file in a child process.

    Raises:
        TonearmError: it is not audio, too long, or takes longer than DECODE_SECONDS.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # a module of the current folder is not imported
        "-m",
        "tonearm.studio.decoding",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(DECODE_SECONDS):
            out, fault = await child.communicate(content)
    except TimeoutError:
        raise TonearmError(f"the upload could not be decoded in {DECODE_SECONDS:g} s") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        known = child.returncode == 2 and fault.strip()
        text = fault.decode(errors="replace").strip().splitlines()[-1] if known else "it is damaged"
        raise TonearmError(escaped(text) if known else f"the upload cannot be decoded: {text}")
    head, _, samples = out.partition(b"\n")
    rate, channels = map(int, head.split())
    return Clip(np.frombuffer(samples, "<f4").reshape(channels, -1).copy(), rate)
