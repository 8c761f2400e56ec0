"""The code blocks of README, CONTRIBUTING and docs run as they are printed."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import typer

from tests.docs.pages import PAGES, ROOT, blocks, commands, named_paths
from tonearm.audio import Clip
from tonearm.cli import app, main
from tonearm.measures import base as measures_base
from tonearm.methods import base as methods_base

# Pages whose tonearm commands are executed; those of the other pages are parsed.
EXECUTED = ("README.md", "docs/quickstart.md")
NEEDS_DOWNLOAD = "facebook/"
# until they are ended; tests/cli, tests/harp and tests/mcp_server run them
SERVES = ("tonearm harp", "tonearm live", "tonearm mcp", "tonearm studio")


def write_inputs(folder: Path) -> None:
    """Write the files that the pages name as a user's own."""
    scenes = [
        f"{genre} piece with {lead}"
        for genre in ("jazz", "rock", "folk")
        for lead in ("piano", "guitar")
    ]
    (folder / "energetic.txt").write_text("".join(f"an energetic {scene}\n" for scene in scenes))
    (folder / "calm.txt").write_text("".join(f"a calm {scene}\n" for scene in scenes))
    times = np.arange(4 * 16_000) / 16_000
    pitches = 440 * 2 ** (np.floor(times * 2) / 12)
    tone = Clip((0.3 * np.sin(2 * np.pi * np.cumsum(pitches) / 16_000)).astype(np.float32), 16_000)
    for name in ("hummed.wav", "idea.wav", "a.wav", "b.wav"):
        tone.write(folder / name)
    noise = Clip(0.1 * np.random.default_rng(0).standard_normal(4 * 16_000), 16_000)
    for name in ("my-clips/a.wav", "corpus/strings/a.wav"):
        tone.write(folder / name)
    for name in ("neutral/a.wav", "corpus/drums/a.wav"):
        noise.write(folder / name)


def arguments_of(command: str) -> list[str]:
    return shlex.split(command)[1:]


def commands_of(program: str) -> list[tuple[str, str]]:
    return [(page, line) for page in PAGES for line in commands(page) if line.split()[0] == program]


@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")])
def test_python_blocks_of_a_page_run_in_order(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measures_base, "_registry", dict(measures_base._registry))
    monkeypatch.setattr(methods_base, "_METHODS", dict(methods_base._METHODS))
    write_inputs(tmp_path)
    namespace = {"__name__": f"code of {page}"}
    for block in blocks(page, "python"):
        padded = (
            "\n" * (block.line - 1) + block.text
        )  # so that a traceback names the page's own line
        exec(compile(padded, page, "exec"), namespace)


@pytest.mark.parametrize(("page", "command"), commands_of("tonearm"))
def test_tonearm_commands_parse(page, command):
    group = typer.main.get_command(app)
    name, *arguments = arguments_of(command)
    context = group.make_context("tonearm", ["--version"], resilient_parsing=True)
    while True:
        subcommand = group.get_command(context, name)
        assert subcommand is not None, f"{page}: no command {name}"
        context = subcommand.make_context(name, arguments, parent=context)
        if not hasattr(subcommand, "commands"):
            return
        named = getattr(
            subcommand, "named_arguments", None
        )  # of `vectors`, whose default is a list
        group, (name, *arguments) = subcommand, named(arguments) if named else arguments


@pytest.mark.slow
@pytest.mark.parametrize("page", EXECUTED)
def test_tonearm_commands_of_a_page_run_in_order(page, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    lines = [
        line
        for line in commands(page)
        if line.startswith("tonearm") and NEEDS_DOWNLOAD not in line and not line.startswith(SERVES)
    ]
    assert lines
    for line in lines:
        assert main(arguments_of(line)) == 0, f"{line}: {capsys.readouterr().err}"


@pytest.mark.parametrize(("page", "command"), commands_of("make"))
def test_make_targets_exist(page, command):
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(arguments_of(command)) <= set(targets), page


@pytest.mark.parametrize(("page", "command"), commands_of("python"))
def test_python_scripts_and_modules_exist(page, command):
    first, *rest = arguments_of(command)
    module = rest[0].replace(".", "/") if first == "-m" else None
    if module is None:
        assert (ROOT / first).is_file(), page
    elif module != "pytest":
        assert any(
            (ROOT / base / f"{module}{end}").is_file()
            for base in ("", "src")
            for end in (".py", "/__main__.py")
        ), page


def test_json_blocks_of_the_steering_page_are_accepted_as_steering(tmp_path):
    from tonearm import Steering

    for number, block in enumerate(blocks("docs/steering.md", "json")):
        path = tmp_path / f"{number}.json"
        path.write_text(block.text)
        assert Steering.from_file(path)


@pytest.mark.parametrize("page", PAGES)
def test_files_named_in_a_page_exist(page):
    absent = [
        path
        for path in named_paths(page)
        if not any((ROOT / base / path).exists() for base in ("", "src/tonearm"))
    ]
    assert not absent


AMOUNT = re.compile(r"--steer (\S+)\.safetensors=[-+]?[\d.]+(?=\s|$)")


def amounts_without_calibration(text: str) -> list[str]:
    """Steers of a page by an amount, of vectors that the page has not calibrated before."""
    found = AMOUNT.finditer(text)
    return [one[0] for one in found if f"calibrate {one[1]}" not in text[: one.start()]]


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_a_vector_file_has_amounts_where_the_page_calibrates_it(page):
    """Lines that need a download are not executed."""
    assert amounts_without_calibration((ROOT / page).read_text()) == []
    mistake = "tonearm learn x\ntonearm generate y --steer x.safetensors=1.25\n"
    assert len(amounts_without_calibration(mistake)) == 1
    assert amounts_without_calibration(f"tonearm calibrate x.safetensors\n{mistake}") == []
