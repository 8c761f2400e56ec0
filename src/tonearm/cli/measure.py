"""tonearm measure: audio files -> numbers; labelled folders -> a classifier, or clusters."""

from pathlib import Path
from typing import Annotated

import typer

from tonearm import defaults
from tonearm.cli import _options
from tonearm.cli._measuring import (
    Distances,
    Judges,
    Scores,
    cluster,
    measure_embeddings,
    measure_files,
    source_of,
    train_and_save,
)
from tonearm.cli._texts import texts_of
from tonearm.errors import TonearmError

EMBEDDINGS = ("clap", "encodec")
SCORES, SETS, CORPORA = "Scores by a judge", "All files as one set", "From labelled folders"


def measure(
    files: Annotated[
        list[Path], typer.Argument(help="Audio files, and folders of them; or embeddings (.npy, .npz) for --reference.")
    ],
    beats: Annotated[
        str,
        typer.Option(metavar="NAME", help="Beats by librosa, embedded, final0 (Beat This!), or a checkpoint of it."),
    ] = defaults.TRACKER,
    as_json: _options.Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a row for each number.")] = False,
    clap: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            rich_help_panel=SCORES,
            help="The judge: embedded, laion/clap-htsat-unfused, or a folder with a CLAP checkpoint.",
        ),
    ] = defaults.JUDGE,
    device: Annotated[
        str,
        typer.Option(
            metavar="DEVICE", rich_help_panel=SCORES, help="Where judge and beat tracker run: cpu, cuda, mps."
        ),
    ] = "cpu",
    labels: Annotated[
        str | None,
        typer.Option(metavar="A,B,...", rich_help_panel=SCORES, help="How likely each of these is, such as jazz,rock."),
    ] = None,
    template: Annotated[
        str | None,
        typer.Option(rich_help_panel=SCORES, help='What a label is put into; left out, "This is a sound of {}."'),
    ] = None,
    text: Annotated[
        str | None, typer.Option(rich_help_panel=SCORES, help="How well each file fits this description.")
    ] = None,
    texts: Annotated[
        Path | None,
        typer.Option(
            metavar="TABLE",
            rich_help_panel=SCORES,
            help="How well each file fits its own: a .csv or .jsonl with file_name and text.",
        ),
    ] = None,
    prompts: Annotated[
        bool,
        typer.Option("--prompts", rich_help_panel=SCORES, help="How well each take fits the prompt it was made from."),
    ] = False,
    classifier: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", rich_help_panel=SCORES, help="What this classifier says. Repeat it for more."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option(metavar="PATH", rich_help_panel=SETS, help="A folder, .npy or .npz to compare with.")
    ] = None,
    frechet: Annotated[bool, typer.Option("--frechet", rich_help_panel=SETS, help="Fréchet distance alone.")] = False,
    kernel: Annotated[bool, typer.Option("--kernel", rich_help_panel=SETS, help="Kernel distance alone.")] = False,
    extrapolate: Annotated[
        bool,
        typer.Option("--extrapolate", rich_help_panel=SETS, help="Fréchet distance for infinitely many files, too."),
    ] = False,
    embedding: Annotated[
        str, typer.Option(metavar="NAME", rich_help_panel=SETS, help="clap, or encodec: the --model's own, circular.")
    ] = "clap",
    model: Annotated[str, typer.Option(metavar="NAME", rich_help_panel=SETS, help="Whose encodec.")] = "pocket",
    train: Annotated[
        str | None,
        typer.Option(
            "--train-classifier",
            metavar="NAME",
            rich_help_panel=CORPORA,
            help="Train NAME.safetensors from a folder for each label, or one labelled folder.",
        ),
    ] = None,
    clusters: Annotated[
        bool, typer.Option("--clusters", rich_help_panel=CORPORA, help="Cluster, and compare clusters with labels.")
    ] = False,
    seed: Annotated[int, typer.Option(rich_help_panel=CORPORA, help="Of folds, clusters and subsets.")] = 0,
    force: _options.Force = False,
) -> None:
    """Measure audio: tempo, key, brightness, loudness ...; by a judge; as a set against a reference."""
    if as_json and as_csv:
        raise TonearmError("--json and --csv were both given; choose one")
    if embedding not in EMBEDDINGS:
        raise TonearmError(f"no embedding {embedding!r}; use one of {', '.join(EMBEDDINGS)}")
    if (frechet or kernel or extrapolate) and reference is None:
        raise TonearmError("a distance needs something to be distant from; give --reference FOLDER")
    if extrapolate and kernel and not frechet:
        raise TonearmError("--extrapolate is for the Fréchet distance; the kernel distance needs none")
    if template is not None and labels is None:
        raise TonearmError("--template is what labels are put into; give --labels, such as jazz,rock")
    judges = Judges(clap, embedding, model, device)
    if train is not None or clusters:
        asked = {
            "--labels": labels,
            "--text": text,
            "--texts": texts,
            "--prompts": prompts,
            "--classifier": classifier,
            "--reference": reference,
            "--csv": as_csv,
        }
        beside = [name for name, value in asked.items() if value]
        if (train is not None and clusters) or beside:
            raise TonearmError(
                f"--train-classifier and --clusters stand alone; leave out {', '.join(beside) or 'one of them'}"
            )
        if train is not None:
            train_and_save(train, files, judges, seed, force, as_json)
        else:
            cluster(files, judges, seed, as_json)
        return
    # Neither distance asked for by name means both.
    distances = (
        Distances(reference, frechet or not kernel, kernel or not frechet, extrapolate, seed) if reference else None
    )
    form = "json" if as_json else "csv" if as_csv else "table"
    if any(file.suffix in (".npy", ".npz") for file in files):
        measure_embeddings(files, distances, form)
    else:
        from tonearm.datasets.labelled_audio import audio_files

        paths = audio_files(files)
        scores = Scores.opened(judges, labels, template, texts_of(paths, text, texts, prompts), classifier or ())
        measure_files(paths, source_of(files), beats, judges, scores, distances, form)
