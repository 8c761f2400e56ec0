"""Rendered pieces with and without their drums, from which a direction of drums is learned.

Both renderings of a piece have the same lead, bass and chords; the drums are left out of one. The
pieces of FIRST_SEED and those of TEST_SEED have seeds that neither training nor evaluation of pocket
uses, and are not the same.
"""

from collections.abc import Iterator

from tonearm.audio import Clip
from tonearm.datasets.rendering.compose import DRUMS, FRAMES_PER_CLIP, Note, Piece, compose
from tonearm.datasets.rendering.synthesizer import Renderer, master

FIRST_SEED = 2**33
TEST_SEED = 2**34
COUNT = 150


def drum_pairs(count: int = COUNT, first_seed: int = FIRST_SEED) -> tuple[list[Clip], list[Clip]]:
    """Render pieces with drums, and the same pieces without them.

    Args:
        count: pieces.
        first_seed: of the pieces.

    Raises:
        TonearmError: FluidSynth or its sound font is missing.
    """
    with_drums, without = [], []
    with Renderer() as renderer:
        for piece, kept in _pieces(count, first_seed):
            audio = renderer.mix(kept, piece.programs, FRAMES_PER_CLIP)
            bare = master(audio, piece.brightness, piece.dynamics, renderer.sample_rate)
            with_drums.append(Clip(renderer.render(piece)[None], renderer.sample_rate))
            without.append(Clip(bare[None], renderer.sample_rate))
    return with_drums, without


def _pieces(count: int, first_seed: int) -> Iterator[tuple[Piece, list[Note]]]:
    """Pieces that have drums, each with its notes of the other parts."""
    found, seed = 0, first_seed
    while found < count:
        seed += 1
        piece = compose(seed)
        kept = [note for note in piece.notes if note.channel != DRUMS]
        if len(kept) < len(piece.notes):
            found += 1
            yield piece, kept
