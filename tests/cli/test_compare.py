"""tonearm compare."""

import json

from tonearm.generation.provenance import read_sidecar
from tonearm.generation.take import Take

FORMS = ["--steer", "energy=+8", "--also", "energy=-8,energy=1", "--seconds", 0.5, "--seed", 7]


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
    assert "a folk tune" in page and "energy +8" in page
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


def test_ctrl_c_keeps_what_is_done_and_writes_no_page(run, tiny, folder, monkeypatch):
    real = Take.save

    def save(take, path, measured=None):
        if path.stem == "steered-1":
            raise KeyboardInterrupt
        return real(take, path, measured=measured)

    monkeypatch.setattr(Take, "save", save)
    outcome = run("compare", "a folk tune", *FORMS, "--out", "cmp", *tiny())
    assert (outcome.code, outcome.err) == (
        130,
        "tonearm: stopped; kept 1 of 3 takes: cmp/plain.wav\n",
    )
    assert sorted(path.name for path in (folder / "cmp").iterdir()) == ["plain.json", "plain.wav"]
