"""tonearm models: table of checkpoints."""

from dataclasses import asdict

from tonearm.cli import _options
from tonearm.cli._screen import new_table, out, print_json

NOTE = """\

MusicGen's weights are {licence}: not for commercial use. They are
downloaded at first use. --model takes a folder with a MusicGen checkpoint, too.
text: read in the decoder's prefix, or by cross-attention."""


def models(as_json: _options.Json = False) -> None:
    """List the checkpoints, with their licences."""
    from tonearm.musicgen.variants import MUSICGEN_LICENCE, VARIANTS

    if as_json:
        print_json({"models": [asdict(variant) for variant in VARIANTS.values()]})
        return
    table = new_table("name", "size", "text", "audio", "max", "licence")
    for variant in VARIANTS.values():
        table.add_row(
            variant.name,
            variant.parameters.replace(" ", ""),
            variant.text.removesuffix("-attention"),
            "mono" if variant.channels == 1 else "stereo",
            f"{variant.window_seconds:g}s",
            variant.licence,
        )
    out.print(table)
    out.print(NOTE.format(licence=MUSICGEN_LICENCE), soft_wrap=True)
