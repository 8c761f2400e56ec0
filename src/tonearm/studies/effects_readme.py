"""Tables and statements of the effects study in a README, between marks."""

from pathlib import Path

from tonearm.report.marks import write_between_marks
from tonearm.studies.effects_analysis import ATTRIBUTE_MEASURES, Results
from tonearm.studies.effects_conditions import SIGNS, amount_name
from tonearm.studies.effects_tables import ALL_MEASURES, effects_table, vectors_table


def readme_parts(results: Results) -> dict[str, list[str]]:
    """Make the parts of the README, lines of Markdown by mark.

    Args:
        results: of the study.
    """
    parts = {
        attribute: effects_table(
            results, measures, (attribute,), [amount_name(attribute, sign) for sign in SIGNS]
        )
        for attribute, measures in ATTRIBUTE_MEASURES.items()
    }
    parts["both"] = effects_table(results, ALL_MEASURES, ("both",), ["fast-dark"])
    parts["vectors"] = vectors_table(results)
    parts["claims"] = [f"- {claim}" for claim in results.claims]
    return parts


def write_readme(readme: Path, results: Results) -> None:
    """Write the parts between their marks.

    Args:
        readme: with `<!-- effects-NAME: begin -->` and `<!-- effects-NAME: end -->` for the names
            tempo, brightness, both, vectors and claims.
        results: of the study.

    Raises:
        TonearmError: the README lacks a mark.
    """
    parts = readme_parts(results)
    write_between_marks(readme, {f"effects-{name}": lines for name, lines in parts.items()})
