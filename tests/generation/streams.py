"""Streams that are played in the tests."""

import numpy as np

PROMPT = "a fast folk tune"
WINDOW = 20  # frames of the short window


def joined(chunks) -> np.ndarray:
    """All samples, [C, N]."""
    return np.concatenate([chunk.samples for chunk in chunks], axis=1)


def joined_plain(chunks) -> np.ndarray:
    """All samples of the plain row of a twin stream, [C, N]."""
    return np.concatenate([chunk.plain for chunk in chunks], axis=1)


def play(stream, changes=None, stop_at=None):
    """Play a stream; set Controls and prompts after given numbers of chunks, and stop after
    `stop_at` chunks.

    Returns:
        The chunks, and the frames at which the changes took effect.
    """
    chunks, futures = [], []
    for chunk in stream:
        chunks.append(chunk)
        for change in (changes or {}).get(len(chunks), ()):
            set_it = stream.set_prompt if isinstance(change, str) else stream.set
            futures.append(set_it(change))
        if len(chunks) == stop_at:
            stream.stop()
    return chunks, [future.result(timeout=0) for future in futures]


def assert_same_audio(samples, clip):
    np.testing.assert_allclose(samples, clip.samples, atol=1e-5 * abs(clip.samples).max())
