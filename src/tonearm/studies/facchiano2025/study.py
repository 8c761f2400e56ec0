"""The whole study: made, resumed, and reported."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from tonearm.audio import Clip
from tonearm.datasets import prompts
from tonearm.model import Model
from tonearm.progress import Progress
from tonearm.report.study_page import Report
from tonearm.studies.facchiano2025.analysis import analyse
from tonearm.studies.facchiano2025.context import Context, Pole
from tonearm.studies.facchiano2025.controls import controls
from tonearm.studies.facchiano2025.design import BRANCHES, PAIR, SIGNS, STRATEGIES, Design
from tonearm.studies.facchiano2025.held_out import held_out
from tonearm.studies.facchiano2025.materials import Materials, make_materials
from tonearm.studies.facchiano2025.processed import processed
from tonearm.studies.facchiano2025.report import make_report
from tonearm.studies.facchiano2025.stages import (
    choices,
    layer_curves,
    layers,
    plain,
    variant_curves,
)
from tonearm.studies.facchiano2025.trials import REFERENCE_SEEDS
from tonearm.studies.plan import Found, Study, Trial
from tonearm.studies.published_run import (
    PROBED,
    StoredStudy,
    complete,
    estimate_size,
    model_details,
    read_arrays,
    report_stored,
    write_arrays,
)
from tonearm.studies.run import Settings
from tonearm.studies.store import Store

NAME = "facchiano2025"
ACTIVATIONS = "activations.npz"


STAGES: Mapping[str, Callable[[Context, Found], Sequence[Trial]]] = {
    "plain": plain,
    "curves": layer_curves,
    "layers": layers,
    "variants": variant_curves,
    "choices": choices,
    "controls": controls,
    "held out": held_out,
    "processed": processed,
}


def make_context(design: Design, layer_count: int) -> Context:
    """The bundled prompts, for a checkpoint of so many layers."""
    return Context(
        design,
        design.layers(layer_count),
        prompts.neutral(),
        prompts.held_out(),
        {name: _poles(name) for name in design.pairs(tuple(prompts.PAIRS))},
    )


def _poles(name: str) -> dict[str, Pole]:
    pair = prompts.load_pair(name)
    sides = ((pair.positive, pair.positive_label), (pair.negative, pair.negative_label))
    return {
        sign: Pole(texts, None if label.startswith("other") else label)
        for sign, (texts, label) in zip(SIGNS, sides, strict=True)
    }


def make_study(model: Model, design: Design, materials: Materials) -> Study:
    """The study of a checkpoint on the bundled prompts."""
    context = make_context(design, model.shape.layer_count)
    stages = {name: partial(stage, context) for name, stage in STAGES.items()}
    details = {**model_details(model), "design": design.name, "seconds": design.seconds}
    return Study(NAME, stages, materials.vectors, details)


def run_study(
    model: Model,
    folder: Path,
    design: Design,
    settings: Settings = Settings(),
    progress: Progress | None = None,
) -> Path | None:
    """Complete the study, and write its report.

    Args:
        model: the checkpoint.
        folder: of the store and the report.
        design: sizes.
        settings: of the run.
        progress: called with takes done and takes in all of the stage.

    Returns:
        The path of the report; None where the limit of the settings was reached before the end.
    """
    with Store(folder) as store:
        materials = make_materials(model, design)
        write_arrays(folder / ACTIVATIONS, materials.rows)
        study = make_study(model, design, materials)
        if not complete(study, model, store, settings, progress):
            return None
    return report(folder)


def estimate(model: Model, design: Design) -> dict[str, float]:
    """Estimate takes, hours and disk, by a few takes that are made and measured now.

    Args:
        model: the checkpoint.
        design: sizes.
    """
    takes = planned_takes(design, model.shape.layer_count)
    context = make_context(replace(design, neutral=PROBED), model.shape.layer_count)
    probes = plain(context, Found((), lambda record: Clip(np.zeros(1), 1)))[:PROBED]
    return estimate_size(model, probes, takes)


def planned_takes(design: Design, layers: int) -> int:
    """Takes of a run; takes that experiments share are counted in each, so that a smoke run makes
    fewer.
    """
    attributes, signs = len(PAIR), len(SIGNS)
    both = attributes * signs
    further = len(design.pairs(tuple(prompts.PAIRS))) - attributes
    neutral = design.neutral * (2 + len(REFERENCE_SEEDS))
    scan = both * len(design.layers(layers)) * design.neutral
    sweep = both * design.sweep * (len(design.strengths) + len(STRATEGIES) + len(BRANCHES) - 1)
    sizes = both * len(design.set_sizes) * design.draws * design.size_prompts
    pairs = signs * (further + attributes) * (design.class_prompts + 2 * design.pair_prompts)
    grid = (len(design.grid) ** 2 - 1) * design.grid_prompts
    controls = both * (2 * design.random * design.control_prompts + 2 * design.sweep)
    held_out = design.held_out * (2 + both * (2 + 2 * design.random + 2) + 3 + design.random)
    return neutral + scan + sweep + sizes + pairs + grid + controls + held_out


def report(folder: Path, page: Path | None = None) -> Path:
    """Write the report of a complete study, as `PublishedStudy.report` describes."""

    def make(stored: StoredStudy) -> Report:
        results = analyse(stored.records, read_arrays(folder / ACTIVATIONS))
        return make_report(results, stored.records, stored.details, stored.clip)

    return report_stored(folder, NAME, STAGES, make, page)
