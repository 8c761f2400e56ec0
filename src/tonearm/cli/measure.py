"""tonearm measure: measurements of audio files."""

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from tonearm import defaults
from tonearm.cli import _options
from tonearm.cli._measure_tables import Output
from tonearm.cli._measuring import Clap, EvaluatorDevice, exit_if_failed, load_cached_clap
from tonearm.cli._screen import Stopped, progress_bar, say_error
from tonearm.errors import TonearmError

SCORES = "Scores by CLAP"


def measure(
    files: Annotated[list[Path], typer.Argument(help="Audio files, and folders of them.")],
    beats: _options.Beats = defaults.TRACKER,
    as_json: _options.Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each number.")] = False,
    clap: Clap = defaults.CLAP,
    device: EvaluatorDevice = "cpu",
    tags: Annotated[
        bool,
        typer.Option(
            "--tags", help="Probabilities of 50 tags by musicnn, which was trained on real music."
        ),
    ] = False,
    notes: Annotated[
        bool,
        typer.Option("--notes", help="Note rate, polyphony and pitch by basic-pitch."),
    ] = False,
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="A,B,...",
            rich_help_panel=SCORES,
            help="Probability of each of these labels, such as jazz,rock.",
        ),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="TEXT",
            rich_help_panel=SCORES,
            help='Text around a label; by default "This is a sound of {}."',
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            "--text",
            metavar="TEXT",
            rich_help_panel=SCORES,
            help="CLAP score of each file with this text.",
        ),
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            "--texts",
            metavar="TABLE",
            rich_help_panel=SCORES,
            help="CLAP score with each file's own text: a .csv or .jsonl of file_name and text.",
        ),
    ] = None,
    prompts: Annotated[
        bool,
        typer.Option(
            "--prompts",
            rich_help_panel=SCORES,
            help="CLAP score of each take with its prompt; where that changed, of each section with "
            "its own.",
        ),
    ] = False,
    classifier: Annotated[
        list[Path] | None,
        typer.Option(
            "--classifier",
            metavar="FILE",
            rich_help_panel=SCORES,
            help="Prediction of a trained classifier. Repeat it for more.",
        ),
    ] = None,
) -> None:
    """Measure audio files: tempo, key, brightness, loudness ...; scores by CLAP and classifiers; tags; notes."""
    if as_json and as_csv:
        raise TonearmError("--json and --csv were both given; choose one")
    if template is not None and labels is None:
        raise TonearmError("--template is for labels; give --labels, such as jazz,rock")
    if sum((text is not None, texts is not None, prompts)) > 1:
        raise TonearmError("--text, --texts and --prompts each give the files' texts; choose one")
    from tonearm.datasets.audio_files import FailedFile, audio_files
    from tonearm.datasets.captions import Caption, captions_from_table, prompts_of_takes
    from tonearm.evaluators.load import load_tagger, load_tracker, load_transcriber
    from tonearm.measures import ClapScoring, load_classifier, measure_files
    from tonearm.measures.zero_shot import TEMPLATE

    paths = audio_files(files)
    captions: Mapping[Path, Caption] = {}
    if text is not None:
        captions = dict.fromkeys(paths, text)
    elif texts is not None:
        captions = captions_from_table(paths, texts)
    elif prompts:
        captions = prompts_of_takes(paths)
    classifiers = tuple(load_classifier(path) for path in classifier or ())
    scoring = None
    if labels is not None or captions or classifiers:
        scoring = ClapScoring(
            clap=load_cached_clap(clap, device),
            labels=None if labels is None else tuple(one.strip() for one in labels.split(",")),
            template=TEMPLATE if template is None else template,
            texts=captions,
            classifiers=classifiers,
        )
    tracker = load_tracker(beats, device)
    tagger = load_tagger(device) if tags else None
    transcriber = load_transcriber() if notes else None
    output = Output("json" if as_json else "csv" if as_csv else "table")
    try:
        with progress_bar("measuring") as bar:
            for found in measure_files(
                paths,
                tracker=tracker,
                scoring=scoring,
                tagger=tagger,
                transcriber=transcriber,
                progress=bar.update,
            ):
                with bar.hidden() if as_csv or isinstance(found, FailedFile) else nullcontext():
                    output.add(found)
                    if isinstance(found, FailedFile):
                        say_error(found.reason)
    except KeyboardInterrupt:
        output.finish()
        raise Stopped(f"stopped; measured {len(output.files)} of {len(paths)} files") from None
    output.finish()
    exit_if_failed(output.failures)
