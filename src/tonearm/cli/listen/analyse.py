"""tonearm listen analyse: results of a listening test -> shares or ratings with intervals."""

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tonearm.cli import _options
from tonearm.cli._screen import new_table, out, print_facts, print_json

if TYPE_CHECKING:
    from tonearm.listening import Analysis

NOTES = {
    "abx": "p: exact binomial test of one side against chance; [ ]: 95 % Clopper-Pearson\n"
    "interval for these listeners. adjusted: by Holm over the conditions.",
    "2afc": "p: against chance, two sides; [ ]: 95 % interval. Both count listeners as\n"
    "clusters. effective: trials that count as independent. adjusted: by Holm.",
    "mushra": "[ ]: 95 % t-interval over listeners. difference: from the hidden reference,\n"
    "paired by listener and item. adjusted: by Holm over the conditions.",
}


def analyse(
    key: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Of tonearm listen make, or its key.json.")
    ],
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT...", help="Files that listeners saved, or folders of them."),
    ],
    incomplete: Annotated[
        bool,
        typer.Option("--incomplete", help="Also analyse the answers of incomplete results."),
    ] = False,
    screening: Annotated[
        str | None,
        typer.Option(
            "--screening",
            metavar="NAME",
            help="Of mushra (ITU-R BS.1534-3): both excludes listeners who rate the hidden "
            "reference below 90, or the anchor above 90, in more than 15 % of the items; reference "
            "applies the first rule alone; none. Default: both where the anchor is the low-pass of "
            "the reference, otherwise reference.",
        ),
    ] = None,
    as_json: _options.Json = False,
) -> None:
    """Analyse the results of a listening test."""
    from tonearm.listening import analyse as analyse_results
    from tonearm.listening import read_key, read_results

    truth = read_key(key)
    found = analyse_results(
        read_results(results, truth),
        truth,
        incomplete=incomplete,
        screening=cast(Any, screening),
    )
    if as_json:
        print_json(found.to_dict())
        return
    right, asked = found.level
    print_facts(
        {
            "question": found.question,
            "listeners": f"{len(found.listeners)}, {found.answers} answers",
            "left out": ", ".join(found.left_out) and f"incomplete: {', '.join(found.left_out)}",
            "superseded": f"{found.superseded} files" if found.superseded else "",
            "screening": found.screening or "",
            "excluded": "\n".join(f"{who}: {why}" for who, why in found.excluded.items()),
            "level": f"{right} of {asked} counted the quiet tones right" if asked else "",
        }
    )
    _print_tables(found)
    out.print(NOTES[found.kind])
    for listener, texts in found.comments.items():
        for text in texts:
            out.print(f"{listener}: {text}", soft_wrap=True)


def _print_tables(found: "Analysis") -> None:
    if found.kind == "abx":
        table = new_table("condition", "right", "share", "", "p", "adjusted")
        for one in found.discriminations:
            share = one.share
            table.add_row(
                one.condition,
                f"{share.count:g} of {share.n}",
                f"{share.value:.2f}",
                _interval(share.low, share.high, 2),
                _p(share.p),
                _p(one.p_adjusted),
            )
        out.print(table)
    if found.kind == "2afc":
        table = new_table("chosen", "over", "share", "", "of", "effective", "p", "adjusted")
        for pair in found.preferences:
            share = pair.share
            table.add_row(
                pair.condition,
                pair.other,
                f"{share.value:.2f}",
                _interval(share.low, share.high, 2),
                str(share.n),
                f"{share.effective:.0f}",
                _p(share.p),
                _p(pair.p_adjusted),
            )
        out.print(table)
    if found.abilities:
        table = new_table("condition", "log ability", "")
        for name, ability in found.abilities.items():
            table.add_row(name, _number(ability.value, 2), _interval(ability.low, ability.high, 2))
        out.print(table)
    if found.ratings:
        table = new_table("condition", "mean", "", "difference", "", "p", "adjusted")
        for rating in found.ratings:
            mean, difference = rating.mean, rating.difference
            cells = ["", "", "", ""]
            if difference is not None:
                cells = [
                    _number(difference.value, 1),
                    _interval(difference.low, difference.high, 1),
                    _p(difference.p),
                    _p(rating.p_adjusted),
                ]
            table.add_row(
                rating.condition,
                _number(mean.value, 1),
                _interval(mean.low, mean.high, 1),
                *cells,
            )
        out.print(table)


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if isfinite(value) else "–"


def _interval(low: float, high: float, decimals: int) -> str:
    if not (isfinite(low) and isfinite(high)):
        return ""
    return f"[{low:.{decimals}f}, {high:.{decimals}f}]"


def _p(value: float) -> str:
    if not isfinite(value):
        return "–"
    return "<0.0001" if value < 0.0001 else f"{value:.2g}"
