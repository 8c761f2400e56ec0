"""Report of a study as one page that opens offline, as Markdown, and as LaTeX tables.

report.html      everything in one file: figures as SVG, players with their audio
report.md        the same text and tables, with figures/*.svg and *.ogg
tables.tex       every table
data/*.csv       every table, and the numbers of every figure
"""

import base64
import html
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tonearm.files.atomic import atomic_write
from tonearm.report.table import Table

HTML, MARKDOWN, LATEX = "report.html", "report.md", "tables.tex"
FIGURES, DATA = "figures", "data"
STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; }
h1 { line-height: 1.2; } h2 { margin-top: 3rem; border-top: 1px solid var(--line); padding-top: 1rem; }
.scroll { overflow-x: auto; margin-bottom: 1.5rem; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
.caption, figcaption { font-size: .875rem; } .caption { margin: 1.5rem 0 .5rem; }
th, td { padding: .25rem .6rem; text-align: left; border-bottom: 1px solid var(--line); white-space: nowrap; vertical-align: top; }
td.long { white-space: normal; min-width: 14rem; }
figure { margin: 1.5rem 0; } figure svg, figure img { max-width: 100%; height: auto; background: white; }
.smoke { background: #b003; padding: .6rem 1rem; border-left: 4px solid #b00; }
.players { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr)); gap: 1rem; }
.players audio { width: 100%; }
"""


@dataclass(frozen=True)
class Figure:
    """A figure with its numbers.

    name     of files
    caption  one or more sentences
    svg      text of the file
    data     its numbers
    """

    name: str
    caption: str
    svg: str
    data: Table


@dataclass(frozen=True)
class Player:
    """A take to listen to: its title and its audio as a file's content, such as audio/ogg."""

    title: str
    media_type: str
    content: bytes

    @property
    def file(self) -> str:
        """Name of its file."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.title.lower()).strip("-")
        return f"{slug}.{self.media_type.partition('/')[2]}"


@dataclass(frozen=True)
class Section:
    """Text, tables, figures and players under one heading; text in paragraphs without markup."""

    title: str
    paragraphs: Sequence[str] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    players: Sequence[Player] = ()


@dataclass(frozen=True)
class Report:
    """A report.

    title     of the study
    warning   above everything, such as that of a smoke run; or empty
    lead      paragraphs: what was done on which checkpoint with which n
    sections  in order
    """

    title: str
    warning: str
    lead: Sequence[str]
    sections: Sequence[Section] = field(default_factory=tuple)

    @property
    def tables(self) -> list[Table]:
        return [table for section in self.sections for table in section.tables]

    @property
    def figures(self) -> list[Figure]:
        return [figure for section in self.sections for figure in section.figures]

    @property
    def players(self) -> list[Player]:
        return [player for section in self.sections for player in section.players]


def write_report(report: Report, folder: Path) -> Path:
    """Write all files of a report.

    Args:
        report: to be written.
        folder: of the files; made where it is absent.

    Returns:
        The path of the page.
    """
    _write_parts(report, folder / FIGURES, folder / DATA)
    note = f"% {report.warning}\n" if report.warning else ""
    _write(folder / LATEX, note + "\n".join(table.latex() for table in report.tables))
    _write(folder / MARKDOWN, markdown(report, FIGURES))
    _write(folder / HTML, page(report))
    return folder / HTML


def write_markdown(report: Report, path: Path) -> None:
    """Write a report as Markdown, with its figures and data in a folder of the same name beside it.

    Args:
        report: to be written.
        path: of the Markdown file.
    """
    folder = path.with_suffix("")
    _write_parts(report, folder, folder)
    _write(path, markdown(report, folder.name))


def _write_parts(report: Report, figures: Path, data: Path) -> None:
    """Write figures as SVG and takes as audio files, and numbers of figures and tables as CSV.

    Raises:
        ValueError: two of them have one name, and one would replace the other.
    """
    names = [figure.name for figure in report.figures] + [table.name for table in report.tables]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise ValueError(f"the names {', '.join(repeated)} are repeated among figures and tables")
    for folder in (figures, data):
        folder.mkdir(parents=True, exist_ok=True)
    for figure in report.figures:
        _write(figures / f"{figure.name}.svg", figure.svg)
        _write(data / f"{figure.name}.csv", figure.data.csv())
    for table in report.tables:
        _write(data / f"{table.name}.csv", table.csv())
    for player in report.players:
        with atomic_write(figures / player.file) as temporary:
            temporary.write_bytes(player.content)


def markdown(report: Report, figures: str) -> str:
    """The report as Markdown.

    Args:
        report: to be written.
        figures: folder of the figures, relative to the page.
    """
    lines = [f"# {report.title}", ""]
    if report.warning:
        lines += [f"**{report.warning}**", ""]
    lines += [line for paragraph in report.lead for line in (paragraph, "")]
    for section in report.sections:
        lines += [f"## {section.title}", ""]
        lines += [line for paragraph in section.paragraphs for line in (paragraph, "")]
        for figure in section.figures:
            lines += [f"![{figure.caption}]({figures}/{figure.name}.svg)", "", figure.caption, ""]
        for table in section.tables:
            lines += [_with_warning(report, table.caption), "", table.markdown(), ""]
        for player in section.players:
            lines += [
                f'{player.title}: <audio controls preload="none" src="{figures}/{player.file}"></audio>',
                "",
            ]
    return "\n".join(lines)


def page(report: Report) -> str:
    """The report as one HTML file without references to others."""
    warning = f'<p class="smoke">{html.escape(report.warning)}</p>' if report.warning else ""
    lead = "".join(f"<p>{html.escape(text)}</p>\n" for text in report.lead)
    sections = "".join(_section(section, report) for section in report.sections)
    title = html.escape(report.title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "style-src 'unsafe-inline'; img-src data:; media-src data:\">"
        f"<title>{title}</title><style>{STYLE}</style></head>\n"
        f"<body><h1>{title}</h1>\n{warning}{lead}{sections}</body></html>\n"
    )


def _section(section: Section, report: Report) -> str:
    parts = [f"<h2>{html.escape(section.title)}</h2>\n"]
    parts += [f"<p>{html.escape(text)}</p>\n" for text in section.paragraphs]
    for figure in section.figures:
        svg = figure.svg[figure.svg.index("<svg") :]
        parts.append(
            f"<figure>{svg}<figcaption>{html.escape(figure.caption)}</figcaption></figure>"
        )
    for table in section.tables:
        shown = Table(table.name, _with_warning(report, table.caption), table.columns, table.rows)
        parts.append(shown.html())
    if section.players:
        parts.append('<div class="players">')
        for player in section.players:
            content = base64.b64encode(player.content).decode("ascii")
            parts.append(
                f"<figure><figcaption>{html.escape(player.title)}</figcaption><audio controls "
                f'preload="none" src="data:{player.media_type};base64,{content}"></audio></figure>'
            )
        parts.append("</div>")
    return "".join(parts)


def _with_warning(report: Report, caption: str) -> str:
    return f"{report.warning} {caption}" if report.warning else caption


def _write(path: Path, text: str) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
