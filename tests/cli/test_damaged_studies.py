"""Commands on folders whose store is damaged or of another program: one line, exit code 2."""

import random
import shutil
import sqlite3

import numpy as np
import pytest

from tonearm.audio import Clip
from tonearm.studies.store import Store, StoredTrial, Values
from tonearm.studies.stored_audio import StoredAudio

TRIALS = 40
MUTATIONS = 60
COMMANDS = {
    "list": ["study", "list", "runs"],
    "show": ["study", "show", "runs/bad"],
    "export": ["study", "export", "runs/bad", "--out", "r.csv", "--force"],
    "report": ["report", "runs/bad"],
    "dry run": ["study", "facchiano2025", "--dry-run", "--out", "runs/bad"],
    "run": ["study", "facchiano2025", "--resume", "--out", "runs/bad"],
}


@pytest.fixture(scope="module")
def complete(tmp_path_factory):
    """The file of a store with one study."""
    folder = tmp_path_factory.mktemp("complete")
    audio = StoredAudio.of(Clip(np.zeros(100), 16_000))
    with Store(folder) as store:
        store.set_study("facchiano2025", {"model": "pocket", "design": "smoke"}, {"g": "1"})
        for i in range(TRIALS):
            store.add_take(str(i), {"i": i}, audio, np.full((4, 10), i))
        trials = [StoredTrial(str(i), ("g",), {}, {"prompt": i}) for i in range(TRIALS)]
        store.set_stage("facchiano2025", "plain", trials)
        record = {"tempo": {"value": 90.0}, "embedding": [0.5] * 20}
        store.add_values([Values(str(i), "g", "1", {}, record) for i in range(TRIALS)])
    return folder / "store.sqlite"


@pytest.fixture
def place(folder, complete):
    """Makes runs/good, and runs/bad with a store of some content; returns the latter's file."""
    for name in ("good", "bad"):
        (folder / "runs" / name).mkdir(parents=True)
        shutil.copy(complete, folder / "runs" / name)
    return folder / "runs" / "bad" / "store.sqlite"


def changed(statement, is_new=False):
    """A database after a statement; a new one is that of another program."""

    def change(file):
        if is_new:
            file.unlink()
        database = sqlite3.connect(file)
        database.executescript(statement)
        database.close()

    return change


DAMAGES = {
    "no database": lambda file: file.write_text("notes\n" * 500),
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:5000]),
    "another program's": changed("CREATE TABLE notes (text)", is_new=True),
    "another program's of version 1": changed(
        "CREATE TABLE notes (text); PRAGMA user_version = 1", is_new=True
    ),
    "of a later version": changed("PRAGMA user_version = 2"),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_store_that_is_none_is_one_line(run, place, command, damage):
    DAMAGES[damage](place)
    before = place.read_bytes()
    outcome = run(*COMMANDS[command])
    assert outcome.code == 2 and outcome.err.count("\n") == 1, outcome.err
    assert "runs/bad" in outcome.err and ("good" in outcome.out) == (command == "list")
    assert place.read_bytes() == before and [one.name for one in place.parent.iterdir()] == [
        "store.sqlite"
    ]


@pytest.mark.parametrize("command", ["show", "export", "report"])
def test_an_empty_store_is_one_line(run, place, command):
    place.write_bytes(b"")
    outcome = run(*COMMANDS[command])
    assert outcome.code == 2 and "runs/bad" in outcome.err and outcome.err.count("\n") == 1


@pytest.mark.parametrize("command", ["dry run", "run"])
def test_a_file_in_place_of_the_folder_is_one_line(run, folder, command):
    (folder / "runs").mkdir()
    (folder / "runs" / "bad").write_text("")
    outcome = run(*COMMANDS[command])
    assert outcome.code == 2 and "runs/bad is a file" in outcome.err
    assert outcome.err.count("\n") == 1


def test_random_damage_is_used_or_one_line(run, place):
    whole, chance, refused = place.read_bytes(), random.Random(0), 0
    for _ in range(MUTATIONS):
        content = bytearray(whole)
        for _ in range(chance.choice([1, 3, 300])):
            content[chance.randrange(len(content))] = chance.randrange(256)
        place.write_bytes(content)
        for command in ("list", "show", "export", "report"):
            outcome = run(*COMMANDS[command])
            assert outcome.code in (0, 2), (command, outcome)
            assert outcome.err.count("\n") == (outcome.code == 2), (command, outcome)
            refused += outcome.code == 2 and command == "show"
    assert 5 < refused < MUTATIONS
