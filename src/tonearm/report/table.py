"""A table once, as Markdown, LaTeX, CSV and HTML."""

import csv
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass

LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "λ": r"$\lambda$",
        "α": r"$\alpha$",
        "∞": r"$\infty$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "–": "--",
    }
)


LONG_CELL = 40  # characters; longer ones are wrapped on a page


@dataclass(frozen=True)
class Table:
    """Cells as text, in the form in which all formats show them.

    name     of files and references; letters, digits and hyphens
    caption  one or more sentences
    columns  headings
    rows     cells, as many in each row as there are headings
    """

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(
                    f"table {self.name}: a row of {len(row)} cells under {len(self.columns)} headings"
                )

    def markdown(self) -> str:
        """A table of GitHub's Markdown, without the caption."""
        rows = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join(f"| {' | '.join(c.replace('|', '&#124;') for c in row)} |" for row in rows)

    def latex(self) -> str:
        """A table float in LaTeX, with horizontal rules of booktabs."""
        body = [" & ".join(cell.translate(LATEX) for cell in row) + r" \\" for row in self.rows]
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{self.caption.translate(LATEX)}}}",
                rf"\label{{tab:{self.name}}}",
                rf"\begin{{tabular}}{{{'l' * len(self.columns)}}}",
                r"\toprule",
                " & ".join(cell.translate(LATEX) for cell in self.columns) + r" \\",
                r"\midrule",
                *body,
                r"\bottomrule",
                r"\end{tabular}",
                r"\end{table}",
                "",
            ]
        )

    def csv(self) -> str:
        """Comma-separated values with the headings."""
        file = io.StringIO()
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([self.columns, *self.rows])
        return file.getvalue()

    def html(self) -> str:
        """A table under its caption."""

        def cells(tag: str, row: Sequence[str]) -> str:
            return "".join(
                f"<{tag}{' class=long' if len(cell) > LONG_CELL else ''}>{html.escape(cell)}</{tag}>"
                for cell in row
            )

        body = "".join(f"<tr>{cells('td', row)}</tr>\n" for row in self.rows)
        return (
            f'<p class="caption">{html.escape(self.caption)}</p>\n<div class="scroll"><table>\n'
            f"<thead><tr>{cells('th', self.columns)}</tr></thead>\n<tbody>\n{body}</tbody></table></div>"
        )
