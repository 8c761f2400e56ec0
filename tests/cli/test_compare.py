"""tonearm compare."""

import json

import pytest

from tonearm import comparison
from tonearm.generation.provenance import read_sidecar
from tonearm.generation.take import Take

FORMS = [
    "--steer",
    "energy=raw:+8",
    "--also",
    "energy=raw:-8,energy=raw:1",
    "--seconds",
    0.5,
    "--seed",
    7,
]


def test_plain_and_steered_takes_of_one_seed_in_one_batch_with_a_page(run, tiny, folder):
    outcome = run("compare", "a folk tune", *FORMS, "--out", "cmp", *tiny())
    assert outcome.code == 0, outcome.err
    takes = [
        read_sidecar(folder / "cmp" / f"{name}.json")
        for name in ("plain", "steered-1", "steered-2")
    ]
    assert [[steer.strength for steer in take.steering.steers] for take in takes] == [
        [],
        [8],
        [-8, 1],
    ]
    assert {take.seed for take in takes} == {7} and {take.batch.size for take in takes} == {3}
    assert len({take.codes_sha256 for take in takes}) == 3
    page = (folder / "cmp/index.html").read_text()
    assert "a folk tune" in page and "energy raw +8" in page
    assert sorted(path.name for path in (folder / "cmp/listen").iterdir()) == [
        "plain.wav", "steered-1.wav", "steered-2.wav",
    ]  # fmt: skip
    assert "cmp/index.html" in outcome.out and "Brightness" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_json_and_force(run, tiny, folder):
    first = run("compare", "a folk tune", *FORMS, "--out", "cmp", "--json", *tiny())
    content = json.loads(first.out)
    assert content["page"] == "cmp/index.html"
    for take in content["takes"]:
        assert take["take"] == json.loads((folder / take["sidecar"]).read_text())
    assert run("compare", "a folk tune", *FORMS, "--out", "cmp", *tiny()).code == 2
    assert run("compare", "a folk tune", *FORMS, "--out", "cmp", "--force", *tiny()).code == 0


def test_the_plain_take_is_the_one_generate_makes(run, tiny, play, folder):
    run("compare", "a folk tune", *FORMS, "--out", "cmp", *tiny())
    play("-o", "alone.wav")
    assert (
        read_sidecar(folder / "cmp/plain.json").codes_sha256
        == read_sidecar(folder / "alone.json").codes_sha256
    )


@pytest.mark.parametrize("moment", ["second take", "page"])
@pytest.mark.parametrize("existing", [False, True])
def test_ctrl_c_writes_nothing_and_keeps_an_earlier_comparison(
    run, tiny, folder, monkeypatch, moment, existing
):
    if existing:
        run("compare", "a folk tune", *FORMS, "--out", "cmp", *tiny())
    before = contents(folder)
    real = Take.save

    def save(take, path, measured=None):
        if path.stem == "steered-1":
            raise KeyboardInterrupt
        return real(take, path, measured=measured)

    def interrupt(*_):
        raise KeyboardInterrupt

    if moment == "page":
        monkeypatch.setattr(comparison, "write_compare_page", interrupt)
    else:
        monkeypatch.setattr(Take, "save", save)
    outcome = run("compare", "a fast tune", *FORMS, "--out", "cmp", "--force", *tiny())
    assert outcome.code == 130 and outcome.err.count("\n") == 1
    assert outcome.err.startswith("tonearm: stopped with 3 of 3 takes done")
    assert contents(folder) == before


def test_a_comparison_with_fewer_takes_leaves_no_old_ones(run, tiny, folder):
    run("compare", "a folk tune", *FORMS, "--out", "cmp", *tiny())
    (folder / "cmp/listen/notes.txt").write_text("mine")
    (folder / "cmp/steered-mix.wav").write_text("mine")
    outcome = run("compare", "a folk tune", *FORMS[:2], "--seconds", 0.5, "--out", "cmp",
                  "--force", *tiny())  # fmt: skip
    assert outcome.code == 0, outcome.err
    names = {name for name in contents(folder / "cmp") if "safetensors" not in name}
    assert names == {
        *("index.html", "plain.wav", "plain.json", "steered-1.wav", "steered-1.json"),
        *("listen/plain.wav", "listen/steered-1.wav", "listen/notes.txt", "steered-mix.wav"),
    }


def test_measuring_a_comparison_counts_each_take_once(run, tiny, folder):
    run("compare", "a folk tune", *FORMS, "--out", "cmp", *tiny())
    found = json.loads(run("measure", "cmp", "--json").out)
    assert [file["file"] for file in found["files"]] == [
        f"cmp/{name}.wav" for name in ("plain", "steered-1", "steered-2")
    ]
    assert len(json.loads(run("measure", "cmp/listen", "--json").out)["files"]) == 3


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
