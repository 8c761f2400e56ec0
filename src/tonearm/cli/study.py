"""tonearm study: run a published experiment, and look at what runs have stored."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tonearm.cli import _options
from tonearm.cli._screen import (
    Stopped,
    load_model,
    new_table,
    out,
    print_facts,
    print_json,
    progress_bar,
    say_error,
)
from tonearm.errors import TonearmError
from tonearm.studies.published import STUDIES, PublishedStudy
from tonearm.text import quoted

if TYPE_CHECKING:
    from tonearm.model import Model
    from tonearm.studies.remote import Cluster
    from tonearm.studies.run import Settings
    from tonearm.studies.store import Store

ACTIONS = ("list", "show", "export")
EXAMPLE = next(iter(STUDIES))
SUMMARIES = ", ".join(f"{one.name} ({one.summary})" for one in STUDIES.values())
RUNS = Path("runs")


def study(
    what: Annotated[
        str,
        typer.Argument(
            metavar="WHAT",
            help=f"A published study to run: {SUMMARIES}. Or list, show or export, which read what "
            "runs have stored.",
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[FOLDER]", help="For list, show and export: of a run, or of runs."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="PATH",
            help="Folder of the run (default: runs/WHAT); for export, a .csv or .parquet file.",
        ),
    ] = None,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="A few takes of everything; the numbers mean nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue a run that is in the folder.")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", min=0, help="Make at most N takes in this run."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show how many takes, how long and how much disk.")
    ] = False,
    workers: Annotated[
        int, typer.Option("--workers", min=0, max=64, help="Processes that measure; 0 for none.")
    ] = 1,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Make takes on a Ray cluster: ray://HOST:10001, auto, or local.",
        ),
    ] = None,
    genres: Annotated[
        Path | None,
        typer.Option(
            "--genres",
            metavar="FOLDER",
            help="A labelled corpus of yours in place of rendered pieces, for a study of genres.",
        ),
    ] = None,
    sae: Annotated[
        Path | None,
        typer.Option(
            "--sae",
            metavar="FILE",
            help="An autoencoder by tonearm sae train, for a study of methods.",
        ),
    ] = None,
    model: _options.ModelName = "pocket",
    device: _options.Device = None,
    dtype: _options.DType = None,
    force: _options.Force = False,
    as_json: _options.Json = False,
) -> None:
    """Run a published study as one command, or list, show and export what is stored of runs."""
    given = {"genres": genres, "sae": sae}
    options = {name: value for name, value in given.items() if value is not None}
    if what in ACTIONS:
        _check_options(what, options, ())
        _read(what, folder, output, force, as_json)
        return
    if what not in STUDIES:
        raise TonearmError(
            f"no study {quoted(what)}; give {', '.join(STUDIES)}, or one of {', '.join(ACTIONS)}"
        )
    if folder is not None:
        raise TonearmError(f"a study takes its folder as --out {folder}")
    published = STUDIES[what]
    _check_options(what, options, published.options)
    target = output or RUNS / what
    from tonearm.studies.run import Settings

    _check_target(target, what, resume or dry_run)
    loaded = load_model(model, device, dtype)
    if dry_run:
        _print_plan(published.estimate(loaded, smoke, **options), as_json)
        return
    cluster = None if ray is None else _cluster(ray, loaded, model, device, dtype)
    settings = Settings(workers, limit=limit, cluster=cluster)
    _run(published, loaded, target, smoke, settings, options, as_json)


def _check_options(what: str, given: Mapping[str, Path], taken: Sequence[str]) -> None:
    """Refuse options that belong to other studies, folders that are none, and files likewise."""
    for name, path in given.items():
        if name not in taken:
            raise TonearmError(f"{what} takes no --{name}; leave it out")
        if name == "genres" and not path.is_dir():
            raise TonearmError(f"no folder at {path}; --{name} takes a labelled corpus")
        if name == "sae" and not path.is_file():
            raise TonearmError(f"no file at {path}; --{name} takes an autoencoder")


def _check_target(folder: Path, name: str, may_exist: bool) -> None:
    """Refuse a folder that cannot be that of the run, before a model is loaded."""
    from tonearm.studies.store import DATABASE, Store

    if folder.is_file():
        raise TonearmError(f"{folder} is a file; give a folder as --out")
    if not (folder / DATABASE).exists():
        return
    if not may_exist:
        raise TonearmError(
            f"{folder} holds a run already; continue it with --resume, or choose another --out"
        )
    with Store.existing(folder) as store:
        for other in store.studies():
            if other in STUDIES and other != name:
                raise TonearmError(
                    f"{folder} holds a run of {other}, whose report would be replaced; choose "
                    "another --out"
                )


def _cluster(
    address: str, loaded: "Model", name: str, device: str | None, dtype: str | None
) -> "Cluster":
    from tonearm.studies.remote import Cluster, ModelSource

    where = str(Path(name).absolute()) if Path(name).is_dir() else name
    source = ModelSource(where, device, dtype, loaded.shape.fingerprint)
    gpus = 1 if loaded.checkpoint.device.type == "cuda" else 0
    return Cluster(address, source, gpus=gpus)


def _run(
    published: PublishedStudy,
    loaded: "Model",
    folder: Path,
    smoke: bool,
    settings: "Settings",
    options: Mapping[str, Any],
    as_json: bool,
) -> None:
    from tonearm.studies.store import Store

    try:
        with progress_bar("generating and measuring") as bar:
            page = published.run(loaded, folder, smoke, settings, bar.update, **options)
    except KeyboardInterrupt:
        raise Stopped(
            f"stopped; what was made is in {folder}, and the same command with --resume continues"
        ) from None
    with Store.existing(folder) as store:
        done = _described(store, published.name)
    if as_json:
        print_json({"folder": str(folder), "report": page and str(page), **done})
        return
    print_facts(_in_short(done))
    if page is None:
        out.print("the limit is reached; the same command with --resume continues")
    else:
        out.print(f"open {page}", soft_wrap=True)


def _print_plan(found: Mapping[str, float], as_json: bool) -> None:
    """Print the size of a study, with a rate that was measured for it."""
    if as_json:
        print_json(found)
        return
    print_facts(
        {
            "takes": f"about {found['takes']:,}",
            "time": f"about {found['hours']:.1f} h at {found['takes_per_hour']:,.0f} takes per hour, "
            f"measured on {found['probed']} takes",
            "disk": f"about {found['gigabytes']:.1f} GB",
        }
    )


def _list(where: Path, as_json: bool) -> None:
    """Print the runs below a folder; those that cannot be read are one line each."""
    from tonearm.studies.store import DATABASE, Store

    runs: list[dict[str, object]] = []
    faults = []
    for file in sorted(where.rglob(DATABASE)) if where.is_dir() else []:
        try:
            with Store.existing(file.parent) as store:
                runs += [
                    {"folder": str(file.parent), "study": name, **_described(store, name)}
                    for name in store.studies()
                ]
        except TonearmError as fault:
            faults.append(fault)
    _print_runs(runs, where, as_json)
    for one in faults[:-1]:
        say_error(str(one))
    if faults:
        raise faults[-1]


def _read(what: str, folder: Path | None, output: Path | None, force: bool, as_json: bool) -> None:
    from tonearm.studies.store import Store

    if what == "list":
        _list(folder or RUNS, as_json)
        return
    if folder is None:
        raise TonearmError(f"study {what} needs the folder of a run, such as {RUNS / EXAMPLE}")
    with Store.existing(folder) as store:
        names = store.studies()
        if not names:
            raise TonearmError(f"{folder} holds no study yet; tonearm study {EXAMPLE} makes one")
        if what == "show":
            shown = {name: _described(store, name) for name in names}
            if as_json:
                print_json({"studies": shown})
                return
            for name, facts in shown.items():
                print_facts({"study": name, **_in_short(facts)})
            return
        if output is None:
            raise TonearmError("study export needs --out FILE, a .csv or .parquet file")
        from tonearm.cli._takes import check_outputs
        from tonearm.studies.export import export_records

        check_outputs([output], force)
        records = [{"study": name, **record} for name in names for record in store.records(name)]
    export_records(records, output)
    if as_json:
        print_json({"file": str(output), "records": len(records)})
    else:
        out.print(f"wrote {len(records)} records to {output}", soft_wrap=True)


def _in_short(facts: dict[str, object]) -> dict[str, str]:
    """Facts for a terminal; lists are left to --json."""
    return {name: str(value) for name, value in facts.items() if not isinstance(value, list)}


def _described(store: "Store", name: str) -> dict[str, object]:
    """Details of a study, and how far it is."""
    counts = store.counts(name)
    stages = {stage: f"{done} of {trials}" for stage, (done, trials) in counts.items()}
    facts = store.throughput()
    rate = facts["takes_per_hour"]
    return {
        **store.details(name),
        **{f"stage {stage}": text for stage, text in stages.items()},
        "takes": int(facts["takes"]),
        "takes per hour": round(rate) if rate == rate else None,
    }


def _print_runs(runs: list[dict[str, object]], where: Path, as_json: bool) -> None:
    if as_json:
        print_json({"runs": runs})
        return
    if not runs:
        out.print(f"no runs in {where}; tonearm study {EXAMPLE} makes one", soft_wrap=True)
        return
    table = new_table("folder", "study", "model", "design", "takes", numbers=("takes",))
    for run in runs:
        cells = (run["folder"], run["study"], run.get("model"), run.get("design"), run["takes"])
        table.add_row(*("" if cell is None else str(cell) for cell in cells))
    out.print(table)
