"""Report of the study: sections in the order of the paper."""

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from statistics import fmean
from typing import Any

from tonearm.audio import Clip
from tonearm.report.claims import Claim, claims_tables
from tonearm.report.levels import level_matched
from tonearm.report.study_page import Player, Report, Section
from tonearm.report.table import Table
from tonearm.studies.panda2025.analysis import PairResult, Results
from tonearm.studies.panda2025.claims import all_claims, points
from tonearm.studies.panda2025.clip_analysis import Transfer
from tonearm.studies.panda2025.clips import INSTRUMENT, STYLE
from tonearm.studies.panda2025.design import (
    DIFFMEAN,
    INSTRUMENTS,
    MAX_TEXT_LOSS,
    PAPER,
    PAPER_METHOD,
)
from tonearm.studies.panda2025.figures import all_figures, fused
from tonearm.studies.panda2025.rows import Row, Spread
from tonearm.studies.panda2025.variants import BEST, is_random
from tonearm.studies.published_run import StoredStudy
from tonearm.studies.records import Record, select

SMOKE = "Smoke run: it shows that everything runs, and its numbers mean nothing."
SCORES = ("CLAP {source, target}", "CLAP all labels", "cosine", "embeddings", "tags")
SCORE_NAMES = ("pair", "full", "cosine", "embeddings", "tags")
CONDITION = ("pair", "condition", "site", "α")
DAMAGE = ("text agreement", "FAD", "faulty")


def make_report(
    results: Results,
    stored: StoredStudy,
    structure: Sequence[Section] = (),
    structure_claims: Sequence[Claim] = (),
) -> Report:
    """Write the report.

    Args:
        results: numbers of the steering experiments.
        stored: records of which some takes are played, and details of the run.
        structure: sections about clusters and probes.
        structure_claims: claims that they bear on.
    """
    figures, details = all_figures(results), stored.details
    claims = [*structure_claims, *all_claims(results)]
    ridge = [figures["ridge"]] if "ridge" in figures else []
    return Report(
        title=f"{PAPER} on {details['model']}",
        warning=SMOKE if details["design"] == "smoke" else "",
        lead=_lead(details, results),
        sections=[
            Section("Claims", tables=claims_tables(claims)),
            *structure,
            Section(
                "Vectors and evaluators",
                tables=[vectors_table(results), evaluators_table(results)],
            ),
            Section(
                "Strength",
                [
                    'The paper scales the sum "such that the norm is maintained". Its formula, '
                    "(h + α r) / (1 + α) with a unit r, keeps the norm only of a unit h along r. Here "
                    f"the mean of |h| is {_norms(details)}, by layer of the residual stream, so that the "
                    "literal formula shrinks h by 1 + α in every layer and hardly adds r. The form that "
                    "is used, blend, is (h + α |h| r) / (1 + α), which keeps the norm of any h along r; "
                    "rotate scales h + α |h| r to the norm of h exactly; literal is the formula.",
                    "Raw values of α compare neither sites nor forms. They are compared at equal "
                    "divergence of the predictions, teacher-forced on plain takes, and methods at equal "
                    "α, too.",
                ],
                figures=[figures["divergence"], figures["alpha"], figures["frontier"]],
                tables=[strengths_table(results)],
            ),
            Section(
                "Genres (tables I and II), on held-out prompts",
                [
                    "The prompt names the source, and text agreement is the cosine with the prompt. A "
                    "take that leans to the target therefore loses some of it, by words in the prompt "
                    "just as by vectors; the second table shows what the paper's rise costs."
                ],
                tables=[
                    tables_1_and_2(results),
                    cost_table(results),
                    scores_table(results),
                    random_table(results),
                ],
                players=_genre_players(stored, results),
            ),
            Section(
                "Methods, sites and layers",
                figures=[figures["methods"], *ridge],
                tables=[methods_table(results), contrasts_table(results)],
            ),
            Section(
                "Fusion and stacking",
                figures=[figures["fusion"]],
                tables=[fusion_table(results), stacked_table(results)],
            ),
            Section(
                "Instruments (table III) and styles, on given clips",
                [
                    "A continuation keeps the first half of the clip, and its new part is measured "
                    "alone. A take with the clip's melody is the model's own from its first frame on. "
                    "Harmony is compared with the given clip at equal times for takes with its "
                    "melody, and by means over time for continuations; the control is another given "
                    "clip."
                ],
                tables=[table_3(results), transfer_table(results)],
                players=_clip_players(stored),
            ),
        ],
    )


def _norms(details: Mapping[str, Any]) -> str:
    low, high = details["norms"]
    return f"{low:g} to {high:g}"


def _lead(details: Mapping[str, Any], results: Results) -> list[str]:
    stand_ins = [
        f"{one.pair.name} stands for {one.pair.stands_for}"
        for one in results.pairs
        if one.pair.stands_for
    ]
    stand_ins += [f"{one.target} for {one.stands_for}" for one in INSTRUMENTS if one.stands_for]
    left_out = "; ".join(details["left_out"]) or "nothing"
    return [
        f"Checkpoint {details['model']} ({details['fingerprint']}) on {details['device']}; design "
        f"{details['design']}; {details['takes']} takes of {details['seconds']:g} s, "
        f"{details['takes_per_hour']:,.0f} per hour.",
        f"Vectors of genres are fitted to {details['corpus']} ({', '.join(details['genres'])}), those "
        f"of instruments to rendered pieces. Left out of the corpora: {left_out}. Stand-ins: "
        f"{'; '.join(stand_ins)}.",
        "Every change of a score is a difference against plain takes of the same prompts and seeds, "
        "with a 95 % t-interval over prompts. Neutral prompts choose α and methods; the held-out "
        "prompts choose nothing. Layers are counted from 0.",
        "The bundled CLAP was trained on pocket's own corpus. The classifier of musicnn's tags is of "
        "another family; the claim about both sites needs both, and the tables give both where tags "
        "were measured. The paper's numbers are of another checkpoint, corpus and CLAP: they are "
        "shown, and not comparable.",
    ]


def vectors_table(results: Results) -> Table:
    """Held-out scores of the probes."""
    rows = []
    for info in results.vectors.values():
        statistics, auc = info.statistics, info.scores.get("auc", {})
        rows.append(
            [
                f"{info.positive_label} against {info.negative_label}",
                info.site,
                info.method,
                f"{info.positive_count} and {info.negative_count}",
                "–" if info.best_layer is None else str(info.best_layer),
                _text(statistics.get("best_auc"), ".2f"),
                _text(statistics.get("null_auc"), ".2f"),
                _text(statistics.get("p_value"), ".3f"),
                " ".join(f"{value:.2f}" for value in auc.values()) or "–",
            ]
        )
    return Table(
        "vectors",
        "Vectors, each from segments of the corpus: AUC of the best layer on parts that chose neither "
        "the layer nor the regularisation, the limit that 95 % of permutations do not exceed, and AUC "
        "of each layer.",
        (
            "vector",
            "site",
            "method",
            "segments",
            "best layer",
            "AUC",
            "null",
            "p",
            "AUC of each layer",
        ),
        sorted(rows),
    )


def evaluators_table(results: Results) -> Table:
    """Labels that the evaluators recognise."""
    rows = []
    for kind, scorer in (("genre", results.genres), ("instrument", results.instruments)):
        for label, share in scorer.by_tags.accuracy.items():
            takes = results.recognised.get(label, {}) if kind == "genre" else {}
            found = (takes.get(name) for name in ("CLAP", "embeddings", "tags"))
            rows.append(
                [
                    label,
                    kind,
                    str(scorer.by_embedding.accuracy[label]),
                    str(share),
                    *("–" if one is None else str(one) for one in found),
                ]
            )
    return Table(
        "evaluators",
        "Share of cases in which a label is the most probable of all: on pieces that did not train the "
        "classifiers (five folds), and on plain takes of prompts with the label.",
        (
            "label",
            "kind",
            "pieces, embeddings",
            "pieces, tags",
            "takes, CLAP",
            "takes, embeddings",
            "takes, tags",
        ),
        rows,
    )


def strengths_table(results: Results) -> Table:
    rows = [
        [
            one.pair.name,
            str(row.facts["site"]),
            _method(row),
            f"{row.facts['nats']:g}",
            f"{row.facts['alpha']:.3g}",
            points(row.target),
            points(row.text),
            _text(row.fad, ".2f"),
            str(row.faulty),
        ]
        for one in results.pairs
        for row in one.strengths
    ]
    return Table(
        "strengths",
        "Every method and site at rising divergence, on neutral prompts; FAD is of few takes and "
        "compares within this table alone.",
        ("pair", "site", "method", "nats per frame", "α", "target's score", *DAMAGE),
        rows,
    )


def tables_1_and_2(results: Results) -> Table:
    """Tables I and II beside the paper's."""
    rows = []
    for one in results.pairs:
        pair = one.pair
        paper = [
            f"{pair.before:g} to {pair.after:g}",
            f"{pair.after - pair.before:+.3f}",
            f"{pair.kept:g}",
        ]
        rows.append(
            [
                pair.table,
                pair.name,
                "plain",
                "",
                f"{one.plain:.3f}",
                "",
                "",
                _text(one.floor, ".2f"),
                str(one.faulty),
                *paper,
            ]
        )
        for name, row in (*one.chosen.items(), ("equal divergence", one.own)):
            rows.append(
                [
                    pair.table,
                    pair.name,
                    f"{name}: {_method(row)}",
                    f"{row.facts['alpha']:.3g}",
                    f"{row.target.mean:.3f}",
                    points(row.target),
                    points(row.text),
                    _text(row.fad, ".2f"),
                    str(row.faulty),
                    *paper,
                ]
            )
    return Table(
        "tables-1-and-2",
        "Tables I and II: CLAP's probability of the target against the source, plain, under what "
        f"neutral prompts chose (text agreement may fall by {MAX_TEXT_LOSS:g}): α of the paper's "
        "method, and method, site, form and α; and at equal divergence. On the right the paper's "
        "scores and their change, which are not comparable.",
        (
            "table",
            "pair",
            "condition",
            "α",
            "target's score",
            "change",
            *DAMAGE,
            "paper: score",
            "paper: change",
            "paper: source's score",
        ),
        rows,
    )


def cost_table(results: Results) -> Table:
    """Loss of text agreement at the paper's rise."""
    rows = []
    for one in results.pairs:
        found, words = one.cheapest, one.word("both words")
        cells = (
            [
                f"{_method(found)}, {found.facts['site']}",
                points(found.target),
                points(found.text),
            ]
            if found
            else ["none", "–", "–"]
        )
        rows.append(
            [
                one.pair.name,
                f"{one.pair.after - one.pair.before:+.3f}",
                *cells,
                points(words.target),
                points(words.text),
            ]
        )
    return Table(
        "cost",
        "Of all conditions on neutral prompts that raise the target's score by the paper's amount, the "
        "one that loses the least text agreement; and both genres in a held-out prompt. The condition "
        "is the best of many on few prompts, and so looks better than it is.",
        (
            "pair",
            "paper: change",
            "condition",
            "change",
            "text agreement",
            "both words: change",
            "both words: text agreement",
        ),
        rows,
    )


def _method(row: Row) -> str:
    """Method, form, and the place where it is the best layer alone."""
    place = f", {BEST}" if BEST in str(row.facts["variant"]) else ""
    return f"{row.facts['method']}, {row.facts['form']}{place}"


def scores_table(results: Results) -> Table:
    """Every score of the paper's method, of its controls, and of the words."""
    rows = []
    for one in results.pairs:
        conditions = [("other seeds", one.seeds), ("vector, equal divergence", one.own)]
        conditions += list(one.chosen.items())
        conditions += [(str(row.facts["variant"]), row) for row in one.words]
        rows += [
            [*_condition(one, name, row), *_scores(row), *_damage(row)] for name, row in conditions
        ]
    return Table(
        "scores",
        "Every score of the target, and controls: plain takes of other seeds, both genres in the "
        "prompt, and the target's word in place of the source's.",
        (*CONDITION, *SCORES, *DAMAGE),
        rows,
    )


def _condition(one: PairResult, name: str, row: Row) -> list[str]:
    alpha = row.facts.get("alpha")
    return [
        one.pair.name,
        name,
        str(row.facts.get("site", "")),
        "" if alpha is None else f"{alpha:.3g}",
    ]


def _scores(row: Row) -> list[str]:
    return [points(row.scores[name]) if name in row.scores else "–" for name in SCORE_NAMES]


def _damage(row: Row) -> list[str]:
    return [points(row.text), _text(row.fad, ".2f"), str(row.faulty)]


def random_table(results: Results) -> Table:
    rows = [
        [
            str(spread.facts["pair"]),
            str(spread.facts["site"]),
            str(spread.facts["rule"]),
            f"{fmean(float(row.facts['alpha']) for row in spread.rows):.3g}",
            *(_spread(spread, name) for name in ("pair", "cosine", "tags")),
            f"{spread.as_far()} of {len(spread.rows)}",
            points(spread.vector.target),
            f"{spread.text:+.3f}",
            str(spread.faulty),
        ]
        for one in results.pairs
        for spread in one.random
    ]
    return Table(
        "random",
        "Random directions in every layer at the site of the paper's row, at the α of the vector "
        "(equal norm) and at its divergence: mean and range over directions, how many move CLAP's "
        "score as far as the vector, and the vector on the same prompts. All pairs share the "
        "directions.",
        (
            "pair",
            "site",
            "rule",
            "α",
            "CLAP {source, target}",
            "cosine",
            "tags",
            "as far",
            "vector",
            "text agreement",
            "faulty",
        ),
        rows,
    )


def _spread(spread: Spread, name: str) -> str:
    if any(name not in row.scores for row in spread.rows):
        return "–"
    changes = spread.changes(name)
    return f"{fmean(changes):+.3f} ({min(changes):+.3f} to {max(changes):+.3f})"


def methods_table(results: Results) -> Table:
    rows = []
    for one in results.pairs:
        sets = [("equal divergence", one.methods), ("equal α", one.same), ("form", one.forms)]
        rows += [
            [
                *_condition(one, f"{_method(row)}, {name}", row),
                points(row.target),
                _score(row, "cosine"),
                _score(row, "embeddings"),
                *_damage(row),
            ]
            for name, members in sets
            for row in members
        ]
    return Table(
        "methods-table",
        "Methods at equal divergence at both sites, at the α of the MSE probe at the site of the "
        "paper's row, and other forms of the MSE probe; held-out prompts.",
        (*CONDITION, "CLAP {source, target}", "cosine", "embeddings", *DAMAGE),
        rows,
    )


def _score(row: Row, name: str) -> str:
    return points(row.scores[name]) if name in row.scores else "–"


def contrasts_table(results: Results) -> Table:
    rows = [
        [
            one.comparison,
            one.pair,
            one.site,
            one.condition,
            one.against,
            points(one.score),
            _text(one.score.p, ".2g"),
            points(one.text),
        ]
        for one in results.contrasts
    ]
    return Table(
        "contrasts",
        "Conditions against one another, paired by prompt and seed: difference of the target's score "
        "and of text agreement.",
        ("comparison", "pair", "site", "condition", "against", "score", "p", "text agreement"),
        rows,
    )


def fusion_table(results: Results) -> Table:
    rows = []
    for one in results.pairs:
        rows += [
            [
                *_condition(one, name, row),
                _score(row, "cosine"),
                _score(row, "source cosine"),
                _score(row, "tags"),
                _score(row, "source tags"),
            ]
            for name, row in fused(one).items()
        ]
    return Table(
        "fusion-table",
        "Target and source apart, at equal divergence: CLAP's cosines with both texts, which do not "
        "enter one another, and the probabilities by tags.",
        (*CONDITION, "target, cosine", "source, cosine", "target, tags", "source, tags"),
        rows,
    )


def stacked_table(results: Results) -> Table:
    rows = [
        [
            one.name,
            ", ".join(f"{name} {points(e)}" for name, e in one.cosines.items()),
            points(one.text),
            str(one.faulty),
        ]
        for one in results.stacked
    ]
    return Table(
        "stacked",
        "Two genres at once, each at half of its α of equal divergence, and each alone at that α: "
        "change of the cosines with the targets' and the source's texts.",
        ("vectors", "cosines", "text agreement", "faulty"),
        rows,
    )


def table_3(results: Results) -> Table:
    """Table III beside the paper's."""
    paper = {one.target: one for one in INSTRUMENTS}
    rows = []
    for one in results.transfers:
        if one.experiment != INSTRUMENT:
            continue
        known = paper[one.target]
        rows.append(
            [
                one.target,
                one.mode,
                _condition_of(one),
                _text(one.nats, "g"),
                f"{one.clip:.3f}",
                f"{one.plain:.3f}",
                points(one.row.target),
                _score(one.row, "full"),
                _score(one.row, "embeddings"),
                _score(one.row, "tags"),
                str(one.row.faulty),
                f"{known.before:g} to {known.after:g}",
            ]
        )
    return Table(
        "table-3",
        "Table III: CLAP's probability of the target among flute, violin and marimba, of the given "
        "clips, of plain takes, and its change; then the change by other scores. The divergence is that "
        "of takes of prompts, not of clips. On the right the paper's scores, which are not comparable.",
        (
            "target",
            "mode",
            "condition",
            "nats per frame",
            "clip",
            "plain",
            "change",
            "all labels",
            "embeddings",
            "tags",
            "faulty",
            "paper",
        ),
        rows,
    )


def _condition_of(one: Transfer) -> str:
    if one.is_random:
        return "random direction"
    return one.method or one.variant


def transfer_table(results: Results) -> Table:
    """What stays of the given clips."""
    rows = []
    for one in results.transfers:
        cells = []
        for name in ("chroma", "notes"):
            kept = one.kept.get(name)
            cells += (
                [
                    f"{kept.mean:.2f} (plain {kept.plain:.2f}, other clips {kept.unrelated:.2f})",
                    points(kept.own),
                ]
                if kept
                else ["–", "–"]
            )
        rows.append(
            [
                f"{one.source} to {one.target}" if one.source else one.target,
                one.mode,
                _condition_of(one),
                _text(one.nats, "g"),
                points(one.row.target),
                *cells,
                points(one.row.text),
            ]
        )
    return Table(
        "transfer",
        "Transfer of instruments and styles: the target's score and the similarity with the given "
        "clip: chroma, and notes (F1 at equal times, or overlap of pitch classes of a continuation).",
        (
            "target",
            "mode",
            "condition",
            "nats per frame",
            "target's score",
            "chroma",
            "difference",
            "notes",
            "difference",
            "text agreement",
        ),
        rows,
    )


def _genre_players(stored: StoredStudy, results: Results) -> list[Player]:
    """The first held-out prompt of each pair: plain, and by two methods at equal divergence."""
    chosen: dict[str, list[Record]] = {}
    for one in results.pairs:
        pair = one.pair
        chosen[f"{pair.source}, plain"] = select(
            stored.records, experiment="plain", split="held-out", source=pair.source, prompt=0
        )
        for method in (PAPER_METHOD, DIFFMEAN):
            chosen[f"{pair.name}, {pair.site}, {method}"] = select(
                stored.records,
                experiment="equal divergence",
                pair=pair.name,
                site=pair.site,
                method=method,
                prompt=0,
            )
    return _players(chosen, stored.clip)


def _clip_players(stored: StoredStudy) -> list[Player]:
    """The first given clip of each instrument and style: plain, and by DiffMean."""
    chosen: dict[str, list[Record]] = {}
    for one in stored.records:
        if one["experiment"] not in (INSTRUMENT, STYLE) or one["prompt"] or one.get("part"):
            continue
        of = f"{one['source']} clip" if one["source"] else "clip"
        if one["variant"] == "plain":
            chosen[f"{of} {one['mode']}, plain"] = [one]
        elif _is_steered_clip(one):
            chosen[f"{of} {one['mode']}, to {one['target']}"] = [one]
    return _players(chosen, stored.clip)


def _is_steered_clip(record: Record) -> bool:
    """Whether a take is of a given clip, steered by a learned vector."""
    return (
        record["experiment"] in (INSTRUMENT, STYLE)
        and record.get("method") == DIFFMEAN
        and not is_random(record["variant"])
    )


def _players(
    chosen: Mapping[str, Sequence[Record]], clip: Callable[[Record], Clip]
) -> list[Player]:
    clips = level_matched([clip(takes[0]) for takes in chosen.values()])
    return [
        Player(title, "audio/ogg", one.encoded(".ogg"))
        for title, one in zip(chosen, clips, strict=True)
    ]


def _text(value: float | None, form: str) -> str:
    return "–" if value is None or isnan(value) else f"{value:{form}}"
