"""A study's report: every format has every number, and the page opens alone."""

import csv
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from tonearm.report.study_page import Figure, Player, Report, Section, write_report
from tonearm.report.table import Table

TABLE = Table(
    "effects", "Change of A & B, 95 %.", ("condition", "λ"), [["a<b", "+5 %"], ["c|d", "–"]]
)
SVG = '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"><text>dose</text></svg>'
FIGURE = Figure("dose", "Dose and response.", SVG, Table("dose", "", ("x", "y"), [["1", "2"]]))


class Sources(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.text = [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found += [value for name, value in attributes if name in ("src", "href")]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def folder(tmp_path):
    section = Section(
        "Results",
        ["Two <conditions>."],
        [FIGURE],
        [TABLE],
        [Player("plain", "audio/flac", b"fLaC")],
    )
    report = Report("A study", "Smoke run: no result.", ["Model pocket."], [section])
    assert write_report(report, tmp_path / "r") == tmp_path / "r" / "report.html"
    return tmp_path / "r"


def test_a_figure_and_a_table_of_one_name_are_refused(tmp_path):
    """The numbers of one would replace those of the other."""
    section = Section("Results", [], [FIGURE], [replace(TABLE, name="dose")], [])
    with pytest.raises(ValueError, match="dose"):
        write_report(Report("A study", "", [], [section]), tmp_path)


def test_the_page_refers_to_no_other_file_and_shows_all_parts(folder):
    page = Sources((folder / "report.html").read_text())
    assert page.found and all(source.startswith("data:") for source in page.found)
    text = " ".join(page.text)
    for part in ("A study", "Smoke run: no result.", "Two <conditions>.", "a<b", "dose", "plain"):
        assert part in text


def test_every_table_states_that_a_smoke_run_is_one(folder):
    for name in ("report.html", "report.md"):
        assert "Smoke run: no result. Change of A" in (folder / name).read_text()
    assert (folder / "tables.tex").read_text().startswith("% Smoke run")


def test_markdown_latex_and_csv_hold_the_same_cells(folder):
    assert r"| c&#124;d | – |" in (folder / "report.md").read_text()
    latex = (folder / "tables.tex").read_text()
    assert r"a<b & +5 \% \\" in latex and r"Change of A \& B, 95 \%." in latex
    rows = list(csv.reader((folder / "data" / "effects.csv").read_text().splitlines()))
    assert rows == [["condition", "λ"], ["a<b", "+5 %"], ["c|d", "–"]]
    assert (folder / "data" / "dose.csv").read_text() == "x,y\n1,2\n"
    assert (folder / "figures" / "dose.svg").read_text() == SVG


def test_a_row_of_another_length_is_refused():
    with pytest.raises(ValueError, match="a row of 1 cells under 2 headings"):
        Table("t", "", ("a", "b"), [["1"]])
