"""tonearm listen make: takes -> a page for listeners, and a key."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from tonearm.cli import _options
from tonearm.cli._screen import out, print_facts, print_json
from tonearm.cli._takes import check_folder
from tonearm.errors import TonearmError
from tonearm.files.atomic_folder import repair_folder
from tonearm.text import quoted

if TYPE_CHECKING:
    from tonearm.listening import ListeningTestFiles
    from tonearm.listening.stimuli import Excerpt

FROM_RUNS, DESIGN = "Takes of a run", "Design"


def make(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="abx, 2afc (choices in pairs) or mushra.")
    ],
    sources: Annotated[
        list[Path],
        typer.Argument(
            metavar="FOLDER...",
            help="A run of tonearm study, folders of tonearm compare, or a folder with a folder of "
            "audio per condition.",
        ),
    ],
    folder: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder of the page and its key.")
    ],
    condition: Annotated[
        list[str] | None,
        typer.Option(
            "--condition",
            metavar="NAME=FACT:VALUE,...",
            rich_help_panel=FROM_RUNS,
            help="A condition by facts of its records: fast=pair:tempo,sign:+,rule:equal. "
            "Repeat it. Default: the settings of the study.",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            "--study", metavar="NAME", rich_help_panel=FROM_RUNS, help="Of a run with several."
        ),
    ] = None,
    question: Annotated[
        str | None,
        typer.Option(
            "--question",
            metavar="TEXT",
            rich_help_panel=DESIGN,
            help='That every trial asks, such as "Which is faster?"; 2afc needs one.',
        ),
    ] = None,
    title: Annotated[
        str, typer.Option("--title", metavar="TEXT", rich_help_panel=DESIGN, help="Of the page.")
    ] = "Listening test",
    reference: Annotated[
        str | None,
        typer.Option(
            "--reference",
            metavar="NAME",
            rich_help_panel=DESIGN,
            help="Condition that the others are compared with; default: plain, or reference.",
        ),
    ] = None,
    anchor: Annotated[
        str | None,
        typer.Option(
            "--anchor",
            metavar="NAME",
            rich_help_panel=DESIGN,
            help="Condition of mushra that listeners should rate low; default: random, or else the "
            'reference without highs, "low-pass 3.5 kHz".',
        ),
    ] = None,
    pairs: Annotated[
        str,
        typer.Option(
            "--pairs",
            metavar="NAME",
            rich_help_panel=DESIGN,
            help="Of 2afc: reference (each condition with it), or all.",
        ),
    ] = "reference",
    items: Annotated[
        int,
        typer.Option(
            "--items",
            metavar="N",
            rich_help_panel=DESIGN,
            help="Draw this many items (prompts with a seed).",
        ),
    ] = 8,
    repeats: Annotated[
        int,
        typer.Option("--repeats", metavar="N", rich_help_panel=DESIGN, help="Of each trial."),
    ] = 1,
    excerpt: Annotated[
        str | None,
        typer.Option(
            "--excerpt",
            metavar="A-B",
            rich_help_panel=DESIGN,
            help="Seconds of every take, such as 2-8; default: all.",
        ),
    ] = None,
    show_text: Annotated[
        bool,
        typer.Option(
            "--show-text", rich_help_panel=DESIGN, help="Show the prompt above each trial."
        ),
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", rich_help_panel=DESIGN, help="Of all draws; default: a random one."),
    ] = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Make a listening test: a page that works offline, and the key that stays with you."""
    check_folder(folder)
    repair_folder(folder)
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise TonearmError(
            f"{folder} is not empty; choose another --out, or replace the test in it with --force, "
            "which also replaces the key of results that you have"
        )
    from tonearm.listening import Design, make_test, parse_condition, read_material

    design = Design(
        cast(Any, kind),
        question,
        title,
        reference,
        anchor,
        cast(Any, pairs),
        items,
        repeats,
        _parse_excerpt(excerpt),
        show_text,
        seed,
    )
    material = read_material(sources, [parse_condition(one) for one in condition or ()], study)
    made = make_test(material, design, folder)
    if as_json:
        print_json(_described(made))
    else:
        _print(made)


def _parse_excerpt(text: str | None) -> "Excerpt":
    from tonearm.listening.stimuli import Excerpt

    if text is None:
        return Excerpt()
    start, _, end = text.partition("-")
    try:
        return Excerpt(float(start), float(end))
    except ValueError:
        raise TonearmError(
            f"--excerpt {quoted(text)} is no A-B; give seconds, such as 2-8"
        ) from None


def _described(made: "ListeningTestFiles") -> dict[str, Any]:
    key = made.key
    return {
        "page": str(made.page),
        "key": str(made.key_file),
        "test": key.test.digest,
        "kind": key.test.kind,
        "question": key.test.question,
        "conditions": list(key.conditions),
        "reference": key.reference,
        "anchor": key.anchor,
        "items": sorted({trial.item for trial in key.trials.values()}),
        "items_available": made.available,
        "practice_is_new": made.is_practice_new,
        "trials": len(key.trials),
        "minutes": key.test.minutes,
        "loudness": key.test.loudness,
        "seed": key.seed,
    }


def _print(made: "ListeningTestFiles") -> None:
    facts = _described(made)
    print_facts(
        {
            "test": f"{facts['kind']}, {facts['trials']} trials, about {facts['minutes']} min",
            "question": facts["question"],
            "reference": facts["reference"],
            "compared": "; ".join(made.key.conditions[1:]),
            "anchor": facts["anchor"] or "",
            "items": f"{len(facts['items'])} of {facts['items_available']}",
            "practice": "with an item that is not in the test"
            if made.is_practice_new
            else "with the first item of the test, since all are in it; --items draws fewer",
            "loudness": f"{facts['loudness']:.1f} LUFS, all excerpts",
            "seed": str(facts["seed"]),
            "key": f"{facts['key']}; keep it from the listeners",
        }
    )
    out.print(f"open {made.page}, or serve {made.page.parent}", soft_wrap=True)
