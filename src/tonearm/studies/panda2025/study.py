"""The whole study: made, resumed, and reported."""

from functools import partial
from pathlib import Path

from tonearm.evaluators.load import load_clap
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.report.study_page import Report
from tonearm.steering import SteeringVector, VectorInfo, load_vector
from tonearm.studies.measure_groups import reason_unavailable
from tonearm.studies.panda2025.analysis import analyse
from tonearm.studies.panda2025.claims import concept_claims
from tonearm.studies.panda2025.clips import CONTINUED, MELODY
from tonearm.studies.panda2025.context import Context
from tonearm.studies.panda2025.design import (
    GENRE_PAIRS,
    INSTRUMENTS,
    RIDGE_PAIRS,
    SITES,
    STYLE_PAIRS,
    Design,
    genre_pairs,
)
from tonearm.studies.panda2025.evaluated import kept_records
from tonearm.studies.panda2025.materials import (
    CLASSIFIED_FILES,
    GENRE,
    GIVEN_FILE,
    LEAD,
    STRUCTURE_FILE,
    Materials,
    make_materials,
)
from tonearm.studies.panda2025.report import make_report
from tonearm.studies.panda2025.scores import (
    Classifier,
    LabelTexts,
    Scorer,
    embedding,
    tag_logits,
)
from tonearm.studies.panda2025.stages import STAGES, conditions
from tonearm.studies.panda2025.structure_report import structure_sections
from tonearm.studies.panda2025.structure_results import load_structure
from tonearm.studies.panda2025.trials import takes
from tonearm.studies.panda2025.vectors import FOLDER as VECTORS
from tonearm.studies.plan import Study
from tonearm.studies.published_run import (
    PROBED,
    StoredStudy,
    complete,
    estimate_size,
    model_details,
    report_stored,
)
from tonearm.studies.records import Record
from tonearm.studies.run import Settings
from tonearm.studies.store import Store

NAME = "panda2025"


def make_study(model: Model, design: Design, materials: Materials) -> Study:
    """The study of a checkpoint on what its corpora gave."""
    context = Context(
        design,
        materials.pairs,
        {name: best_layer(vector) for name, vector in materials.vectors.items()},
        LabelTexts.of(load_clap("bundled"), materials.genres),
        materials.given,
        [CONTINUED, MELODY] if follows_melody(model) else [CONTINUED],
        harmony_groups(),
    )
    stages = {name: partial(stage, context) for name, stage in STAGES.items()}
    details = {
        **model_details(model),
        "design": design.name,
        "seconds": design.seconds,
        "genres": list(materials.genres),
    }
    return Study(NAME, stages, materials.vectors, details)


def best_layer(vector: SteeringVector) -> int:
    """The layer with the best probe; the middle one where the method ranks none."""
    found = vector.info.best_layer
    return vector.info.layer_count // 2 if found is None else found


def follows_melody(model: Model) -> bool:
    """Whether the checkpoint renders a melody anew."""
    return model.shape.text_in_prefix and model.shape.melody_trained


def harmony_groups() -> tuple[str, ...]:
    """Groups that compare a take with the given clip; notes only where their extra is installed."""
    return ("chroma",) if reason_unavailable("notes") else ("chroma", "notes")


def run_study(
    model: Model,
    folder: Path,
    design: Design,
    settings: Settings = Settings(),
    progress: Progress | None = None,
    genres: Path | None = None,
) -> Path | None:
    """Complete the study, and write its report.

    Args:
        model: the checkpoint.
        folder: of corpora, activations, vectors, store and report.
        design: sizes.
        settings: of the run.
        progress: called with steps done and steps in all of each part.
        genres: labelled corpus of the user's, in place of rendered pieces.

    Returns:
        The path of the report; None where the limit of the settings was reached before the end.
    """
    with Store(folder) as store:
        materials = make_materials(
            model, folder, design, harmony_groups(), settings.workers, genres, progress
        )
        if not complete(make_study(model, design, materials), model, store, settings, progress):
            return None
    return report(folder)


def estimate(model: Model, design: Design, genres: Path | None = None) -> dict[str, float]:
    """Estimate takes, hours and disk, by a few takes that are made and measured now.

    Corpora, their activations and the vectors come before the takes and are not counted.

    Args:
        model: the checkpoint.
        design: sizes.
        genres: labelled corpus of the user's; the number of takes does not depend on it.
    """
    facts = {"experiment": "plain", "variant": "plain"}
    probes = takes(design, "rock", "neutral", PROBED, facts)
    return estimate_size(model, probes, planned_takes(design, follows_melody(model)))


def planned_takes(design: Design, has_melody: bool) -> int:
    """Takes of a run; takes that experiments share are counted in each.

    Args:
        design: sizes.
        has_melody: of the checkpoint.
    """
    pairs, sites = len(GENRE_PAIRS), len(SITES)
    sources = len({pair.source for pair in GENRE_PAIRS})
    plain = sources * (design.neutral + 3 * design.held_out)
    ridge = (len(RIDGE_PAIRS) - 1) * len(design.ridge)
    cells = pairs * len(conditions(design)) * len(design.divergences)
    neutral = (cells + ridge) * design.neutral
    cases = (sites + 1) * len(design.methods) + 4 + 2 + 2  # methods, forms, choices and words
    held_out = pairs * (cases * design.held_out + 2 * design.random * design.random_prompts)
    stacked = 3 * design.held_out
    transfers = len(INSTRUMENTS) + len(STYLE_PAIRS)
    each = 2 + 2 * len(design.clip_divergences)
    clips = (2 if has_melody else 1) * transfers * each * design.clips
    return plain + neutral + held_out + stacked + clips


def report(folder: Path, page: Path | None = None) -> Path:
    """Write the report of a complete study from its store; nothing is generated.

    Args:
        folder: of the store.
        page: also write the report as Markdown to this path, with its figures and data in a folder
            of the same name.

    Returns:
        The path of the report.

    Raises:
        TonearmError: no such study, or one that is not complete.
    """
    return report_stored(folder, NAME, STAGES, partial(_report, folder), page)


def _report(folder: Path, stored: StoredStudy) -> Report:
    pieces = kept_records(folder / CLASSIFIED_FILES[GENRE])
    instruments = folder / CLASSIFIED_FILES[LEAD]
    results = analyse(
        stored.records,
        genre_pairs(stored.details["genres"]),
        scorer(pieces, GENRE),
        scorer(kept_records(instruments) if instruments.exists() else pieces, LEAD),
        kept_records(folder / GIVEN_FILE),
        _infos(folder / VECTORS),
    )
    structure = load_structure(folder / STRUCTURE_FILE)
    return make_report(results, stored, structure_sections(structure), concept_claims(structure))


def scorer(pieces: list[Record], column: str) -> Scorer:
    """Scores of a column's labels, with classifiers that are trained on pieces.

    Args:
        pieces: records with labels, embeddings and tags.
        column: of the labels.
    """
    labels = sorted({one[column] for one in pieces})
    return Scorer(
        LabelTexts.of(load_clap("bundled"), labels),
        Classifier.trained(pieces, column, embedding),
        Classifier.trained(pieces, column, tag_logits),
    )


def _infos(folder: Path) -> dict[str, VectorInfo]:
    found = (load_vector(path).info for path in sorted(folder.glob("*.safetensors")))
    return {info.name: info for info in found}
