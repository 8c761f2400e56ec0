"""The whole study: made, resumed, and reported."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tonearm.evaluators.load import load_clap
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.report.study_page import Report
from tonearm.steering import SteeringVector, VectorInfo, load_vector
from tonearm.studies.evaluated_pieces import kept_records
from tonearm.studies.label_scores import Classifier, LabelTexts, embedding, tag_logits
from tonearm.studies.measure_groups import reason_unavailable
from tonearm.studies.panda2025.analysis import analyse
from tonearm.studies.panda2025.claims import concept_claims
from tonearm.studies.panda2025.clips import CONTINUED, MELODY
from tonearm.studies.panda2025.context import Context
from tonearm.studies.panda2025.design import (
    GENRE_PAIRS,
    INSTRUMENTS,
    PROMPTS,
    RIDGE_PAIRS,
    SITES,
    STYLE_PAIRS,
    Design,
    GenrePair,
    genre_pairs,
)
from tonearm.studies.panda2025.materials import (
    CLASSIFIED_FILES,
    GENRE,
    GIVEN_FILE,
    LEAD,
    STRUCTURE_FILE,
    Materials,
    genre_labels,
    make_materials,
    pairs_of,
)
from tonearm.studies.panda2025.report import make_report
from tonearm.studies.panda2025.scores import Scorer
from tonearm.studies.panda2025.stages import CHOICES, STAGES, conditions
from tonearm.studies.panda2025.structure_report import structure_sections
from tonearm.studies.panda2025.structure_results import load_structure
from tonearm.studies.panda2025.trials import takes
from tonearm.studies.panda2025.variants import pair_vector
from tonearm.studies.panda2025.vectors import FOLDER as VECTORS
from tonearm.studies.panda2025.vectors import vector_names
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
RENDERED = "rendered pieces"  # corpus of genres


def make_study(
    model: Model, design: Design, materials: Materials, genres: Path | None = None
) -> Study:
    """The study of a checkpoint on what its corpora gave.

    Args:
        model: the checkpoint.
        design: sizes.
        materials: made before.
        genres: labelled corpus of the user's, if there is one.
    """
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
    norms = materials.vectors[str(pair_vector(materials.pairs[0]))].info.activation_norms
    details = {
        **model_details(model),
        "design": design.name,
        "seconds": design.seconds,
        "genres": list(materials.genres),
        "corpus": RENDERED if genres is None else genres.name,
        "left_out": list(materials.left_out),
        "vectors": [
            str(name) for name in vector_names(design, materials.pairs) if name.method != PROMPTS
        ],
        "norms": [round(min(norms.values()), 1), round(max(norms.values()), 1)],
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
            model,
            folder,
            design,
            load_clap("bundled"),
            harmony_groups(),
            settings.workers,
            genres,
            progress,
        )
        study = make_study(model, design, materials, genres)
        if not complete(study, model, store, settings, progress):
            return None
    return report(folder)


def estimate(model: Model, design: Design, genres: Path | None = None) -> dict[str, float]:
    """Estimate takes, hours and disk, by a few takes that are made and measured now.

    Corpora, their activations and the vectors come before the takes and are not counted.

    Args:
        model: the checkpoint.
        design: sizes.
        genres: labelled corpus of the user's; one without some genres makes fewer takes.
    """
    pairs = GENRE_PAIRS if genres is None else pairs_of(genre_labels(genres, load_clap("bundled")))
    facts = {"experiment": "plain", "variant": "plain"}
    probes = takes(design, "rock", "neutral", PROBED, facts)
    return estimate_size(model, probes, planned_takes(design, pairs, follows_melody(model)))


def planned_takes(design: Design, pairs: Sequence[GenrePair], has_melody: bool) -> int:
    """Takes of a run; takes that experiments share are counted in each.

    Args:
        design: sizes.
        pairs: rows of tables I and II.
        has_melody: of the checkpoint.
    """
    names = {pair.name for pair in pairs}
    sources = [pair.source for pair in pairs]
    plain = len(set(sources)) * (design.neutral + 3 * design.held_out)
    ridge = len(names & set(RIDGE_PAIRS)) * len(design.ridge)
    cells = len(pairs) * len(conditions(design)) * len(design.divergences)
    neutral = (cells + ridge) * design.neutral
    methods, forms, words = (len(SITES) + 1) * len(design.methods) + 1, 4, 2
    cases = methods + forms + len(CHOICES) + words
    held_out = len(pairs) * (cases * design.held_out + 2 * design.random * design.random_prompts)
    stacked = 3 * design.held_out if len(set(sources)) < len(sources) else 0
    transfers = len(INSTRUMENTS) + len(names & set(STYLE_PAIRS))
    # plain, word, random direction, the vector at each divergence, and DiffMean
    each = 4 + len(design.clip_divergences)
    clips = (2 if has_melody else 1) * transfers * each * design.clips
    return plain + neutral + held_out + stacked + clips


def report(folder: Path, page: Path | None = None) -> Path:
    """Write the report of a complete study, as `PublishedStudy.report` describes."""
    return report_stored(folder, NAME, STAGES, partial(_report, folder), page)


def _report(folder: Path, stored: StoredStudy) -> Report:
    details = stored.details
    pieces = kept_records(folder / CLASSIFIED_FILES[GENRE])
    is_rendered = details["corpus"] == RENDERED
    instruments = pieces if is_rendered else kept_records(folder / CLASSIFIED_FILES[LEAD])
    results = analyse(
        stored.records,
        genre_pairs(details["genres"]),
        scorer([one for one in pieces if one[GENRE] in details["genres"]], GENRE),
        scorer(instruments, LEAD),
        kept_records(folder / GIVEN_FILE),
        _infos(folder / VECTORS, details["vectors"]),
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


def _infos(folder: Path, names: Sequence[str]) -> dict[str, VectorInfo]:
    """Infos of the study's vectors; files of others are left out."""
    found = (load_vector(path).info for path in sorted(folder.glob("*.safetensors")))
    return {info.name: info for info in found if info.name in names}
