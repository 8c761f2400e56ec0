"""The examples run on pocket, and the notebook is stored without outputs."""

import os
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient

from tests.docs.pages import ROOT

EXAMPLES = ROOT / "examples"
NOTEBOOK = EXAMPLES / "steer_in_five_minutes.ipynb"
# One thread each: tests run in parallel, and threads that wait for each other would fill the cores.
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def run(script, out, *arguments):
    """Standard output of an example script."""
    command = [sys.executable, str(EXAMPLES / script), "--out", str(out), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=180, cwd=out, env=ENVIRONMENT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_vector_from_prompts_is_saved_and_used(tmp_path):
    printed = run("vector_from_prompts.py", tmp_path, "--seconds", "3")
    assert (tmp_path / "my-energy.safetensors").is_file()
    assert sorted(path.name for path in tmp_path.glob("*.wav")) == [
        "my-energy+0.05.wav",
        "my-energy+0.wav",
        "my-energy-0.05.wav",
    ]
    assert printed.count("onsets per second") == 3


@pytest.mark.slow
def test_a_sweep_moves_the_centroid_and_writes_a_figure(tmp_path):
    printed = run("sweep_strength.py", tmp_path, "--seconds", "3")
    hertz = {
        line.split(":")[0]: float(line.split()[-2])
        for line in printed.splitlines()
        if line.endswith("Hz")
    }
    assert hertz["brightness -0.1"] < hertz["brightness +0"] < hertz["brightness +0.1"]
    assert (tmp_path / "sweep_strength.png").stat().st_size > 10_000


@pytest.mark.slow
def test_a_stream_reports_every_change_and_can_be_replayed(tmp_path):
    import tonearm

    printed = run("stream_live_control.py", tmp_path, "--speed", "2")
    assert printed.count("took effect at frame") == 4
    assert tonearm.replay(tmp_path / "stream.json").identical


@pytest.mark.slow
def test_the_notebook_runs(tmp_path):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    environment = ENVIRONMENT | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    client = NotebookClient(
        notebook,
        timeout=180,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    )
    client.execute(env=environment)
    assert (tmp_path / "swept.wav").is_file()


def test_the_notebook_is_stored_without_outputs():
    cells = [
        cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells if cell.cell_type == "code"
    ]
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_a_script_explains_itself(path):
    done = subprocess.run(
        [sys.executable, str(path), "--help"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0 and f"python examples/{path.name}" in done.stdout
