"""The whole study: made, resumed, and reported."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tonearm.datasets import prompts
from tonearm.features.trained import load_autoencoder
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.report.study_page import Report
from tonearm.studies.methods2026.analysis import analyse
from tonearm.studies.methods2026.attributes import Attribute, all_groups, attributes, has_notes
from tonearm.studies.methods2026.context import Context
from tonearm.studies.methods2026.design import Design, layer_sets, shared_prompts
from tonearm.studies.methods2026.materials import (
    Materials,
    make_evaluators,
    make_materials,
    usable_attributes,
)
from tonearm.studies.methods2026.note_probes import FILE as PROBES
from tonearm.studies.methods2026.note_probes import read_probes
from tonearm.studies.methods2026.note_steering import note_results, planned_notes
from tonearm.studies.methods2026.processed import MATCHED
from tonearm.studies.methods2026.readings import DRUMS
from tonearm.studies.methods2026.report import Protocols, make_report
from tonearm.studies.methods2026.stages import STAGES
from tonearm.studies.methods2026.stem_steering import planned_stems, stem_results
from tonearm.studies.methods2026.variants import SAE, Candidate, candidates, conditions
from tonearm.studies.plan import Study
from tonearm.studies.prompt_takes import PromptSet, takes
from tonearm.studies.published_run import (
    PROBED,
    StoredStudy,
    complete,
    estimate_size,
    model_details,
    report_stored,
)
from tonearm.studies.run import Settings
from tonearm.studies.store import Store

NAME = "methods2026"


def make_context(
    design: Design,
    layer_count: int,
    materials: Materials,
    methods: Sequence[Candidate],
) -> Context:
    """Inputs of the stages on the bundled prompts.

    Args:
        design: sizes.
        layer_count: of the checkpoint.
        materials: made before.
        methods: of the study.
    """
    return Context(
        design,
        materials.attributes,
        conditions(methods),
        materials.all_vectors,
        layer_sets(layer_count),
        shared_prompts(prompts.neutral(), design.neutral),
        shared_prompts(prompts.held_out(), design.held_out),
        materials.evaluators,
        has_notes(),
    )


def make_study(
    model: Model, design: Design, materials: Materials, methods: Sequence[Candidate]
) -> Study:
    """The study of a checkpoint.

    Args:
        model: the checkpoint.
        design: sizes.
        materials: made before.
        methods: of the study.
    """
    context = make_context(design, model.shape.layer_count, materials, methods)
    stages = {name: partial(stage, context) for name, stage in STAGES.items()}
    details = {
        **model_details(model),
        "design": design.name,
        "seconds": design.seconds,
        "cutoff": design.cutoff,
        "choice": design.choice,
        "neutral": len(context.neutral),
        "held_out": len(context.held_out),
        "plain_seeds": design.plain_seeds,
        "layers": model.shape.layer_count,
        "attributes": [one.name for one in materials.attributes],
        "notes": has_notes(),
        "probed": materials.notes is not None,
        "left_out": dict(materials.left_out),
    }
    return Study(NAME, stages, materials.all_vectors, details)


def run_study(
    model: Model,
    folder: Path,
    design: Design,
    settings: Settings = Settings(),
    progress: Progress | None = None,
    sae: Path | None = None,
) -> Path | None:
    """Complete the study, and write its report.

    Args:
        model: the checkpoint.
        folder: of examples, vectors, store and report.
        design: sizes.
        settings: of the run.
        progress: called with steps done and steps in all of each part.
        sae: file of an autoencoder, whose features are one of the methods.

    Returns:
        The path of the report; None where the limit of the settings was reached before the end.

    Raises:
        TonearmError: no autoencoder in the file, or one of another checkpoint; examples that cannot
            be made or captured.
    """
    autoencoder = None if sae is None else load_autoencoder(sae)
    if autoencoder is not None:
        autoencoder.check_model(model.shape)
    methods = candidates(autoencoder, design.contrasted)
    with Store(folder) as store:
        materials = make_materials(model, folder, design, methods, settings.workers, progress)
        study = make_study(model, design, materials, methods)
        if not complete(study, model, store, settings, progress):
            return None
    return report(folder)


def estimate(model: Model, design: Design, sae: Path | None = None) -> dict[str, float]:
    """Estimate takes, hours and disk, by a few takes that are made and measured now.

    Examples, vectors and classifiers come before the takes and are not counted.

    Args:
        model: the checkpoint.
        design: sizes.
        sae: file of an autoencoder.
    """
    methods = [one for one in candidates(None, 0) if one.name != SAE or sae is not None]
    usable, left_out = usable_attributes(attributes(has_notes()))
    texts = PromptSet(shared_prompts(prompts.neutral(), PROBED), 0)
    probes = takes(design.seconds, texts, PROBED, {}, groups=all_groups(usable))
    return estimate_size(model, probes, planned_takes(design, usable, methods, not left_out))


def planned_takes(
    design: Design,
    found: Sequence[Attribute],
    methods: Sequence[Candidate],
    renders: bool,
) -> int:
    """Takes of a run in which every method finds a direction of every attribute.

    Args:
        design: sizes.
        found: attributes of the run.
        methods: of the run.
        renders: whether FluidSynth is installed, which the protocols of two papers need.
    """
    rows = conditions(methods)
    levels, sets = len(design.divergences), [len(one.candidate.layer_sets) for one in rows]
    plain_takes = (design.neutral + design.held_out) * design.plain_seeds + design.held_out
    neutral = len(found) * sum(count for count in sets if count > 1) * design.neutral
    held_out = len(found) * len(rows) * levels * design.held_out
    places = {(one.candidate.site, name) for one in rows for name in one.candidate.layer_sets}
    random = len(places) * design.random * levels * design.held_out
    others = sum(bool(one.word) + (one.processing in MATCHED) for one in found)
    protocols = planned_notes(design) + planned_stems(design) if renders else 0
    return plain_takes + neutral + held_out + random + others * design.held_out + protocols


def report(folder: Path, page: Path | None = None) -> Path:
    """Write the report of a complete study, as `PublishedStudy.report` describes."""
    return report_stored(folder, NAME, STAGES, partial(_report, folder), page)


def _report(folder: Path, stored: StoredStudy) -> Report:
    details = stored.details
    found = [one for one in attributes(details["notes"]) if one.name in details["attributes"]]
    evaluators = make_evaluators(folder, found)
    results = analyse(
        stored.records,
        found,
        conditions(candidates(None, 0)),
        evaluators,
        details["cutoff"],
    )
    probes = read_probes(folder / PROBES).probes if details["probed"] else ()
    protocols = Protocols(
        probes,
        note_results(stored.records),
        stem_results(stored.records, evaluators),
        evaluators.classifiers[DRUMS].accuracy if DRUMS in evaluators.classifiers else {},
    )
    return make_report(results, stored, protocols)
