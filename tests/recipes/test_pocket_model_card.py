"""Pocket's model card: parts are measured once per weights."""

from types import SimpleNamespace

import pytest
from recipes.pocket import model_card

TEXT = f"# pocket\n{model_card.BEGIN}\nold\n{model_card.END}\nthe rest\n"


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """Run the command on weights of a fingerprint.

    Every part has one row with the number of parts measured so far.
    """
    monkeypatch.setattr(model_card, "CARD", tmp_path / "README.md")
    (tmp_path / "README.md").write_text(TEXT)
    measured: list[str] = []

    def rows(part: str):
        def fake(*_) -> model_card.Rows:
            measured.append(part)
            return [(part, str(len(measured)), "")]

        return fake

    for part, function in {
        "codec": "codec_rows",
        "takes": "take_rows",
        "labels": "label_rows",
        "continuation": "continuation_rows",
        "melody": "melody_rows",
        "extension": "extension_rows",
        "speed": "speed_rows",
    }.items():
        monkeypatch.setattr(model_card, function, rows(part))
    monkeypatch.setattr(model_card.torch, "set_num_threads", lambda threads: None)

    def run(fingerprint: str, *options: str) -> str:
        model = SimpleNamespace(shape=SimpleNamespace(fingerprint=fingerprint))
        monkeypatch.setattr(model_card.tonearm, "load", lambda device: model)
        monkeypatch.setattr("sys.argv", ["card", "--out", str(tmp_path), *options])
        model_card.main()
        return (tmp_path / "README.md").read_text()

    return run


def test_measuring_one_part_again_preserves_the_others(measure):
    whole = measure("a")
    assert whole.startswith("# pocket\n") and whole.endswith("the rest\n") and "old" not in whole
    assert "| codec | 1 |  |" in whole and f"| speed | {len(model_card.PARTS)} |  |" in whole
    again = measure("a", "--only", "codec")
    assert again == whole.replace("| codec | 1 |  |", f"| codec | {len(model_card.PARTS) + 1} |  |")


def test_parts_of_other_weights_are_not_mixed(measure, tmp_path):
    before = measure("a")
    with pytest.raises(SystemExit, match="not measured on these weights yet: codec, takes"):
        measure("b", "--only", "speed")
    assert (tmp_path / "README.md").read_text() == before
