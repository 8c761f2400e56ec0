"""Table of the released MusicGen checkpoints and of pocket."""

from dataclasses import dataclass

POCKET = "pocket"
MUSICGEN_LICENCE = "CC-BY-NC-4.0"


@dataclass(frozen=True)
class Variant:
    """One released checkpoint, as `tonearm models` lists it.

    `text` is "cross-attention" or "prefix".
    """

    name: str
    parameters: str
    text: str
    channels: int
    licence: str
    window_seconds: float = 30.0
    melody: bool = False


VARIANTS = {
    variant.name: variant
    for variant in (
        Variant(POCKET, "16 M", "prefix", 1, "Apache-2.0", window_seconds=10.0, melody=True),
        Variant("facebook/musicgen-small", "0.6 B", "cross-attention", 1, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-medium", "2.0 B", "cross-attention", 1, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-large", "3.4 B", "cross-attention", 1, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-melody", "1.6 B", "prefix", 1, MUSICGEN_LICENCE, melody=True),
        Variant(
            "facebook/musicgen-melody-large", "3.4 B", "prefix", 1, MUSICGEN_LICENCE, melody=True
        ),
        Variant("facebook/musicgen-stereo-small", "0.6 B", "cross-attention", 2, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-stereo-medium", "2.0 B", "cross-attention", 2, MUSICGEN_LICENCE),
        Variant("facebook/musicgen-stereo-large", "3.4 B", "cross-attention", 2, MUSICGEN_LICENCE),
        Variant(
            "facebook/musicgen-stereo-melody", "1.6 B", "prefix", 2, MUSICGEN_LICENCE, melody=True
        ),
        Variant(
            "facebook/musicgen-stereo-melody-large",
            "3.4 B",
            "prefix",
            2,
            MUSICGEN_LICENCE,
            melody=True,
        ),
    )
}
