"""Checkpoint files whose code writes a marker file when it runs, and a terminal that answers every question with yes."""

import builtins
import json
import os
from pathlib import Path

import pytest

MODULE = """
from pathlib import Path
Path({marker!r}).write_text("executed")
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
class Config(PreTrainedConfig):
    model_type = "foreign"
class Model(PreTrainedModel):
    config_class = Config
class Tokenizer(PreTrainedTokenizerFast):
    pass
"""


class Payload:
    """Pickled object that creates the marker folder when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.marker),)


def answer_yes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace `input` by the answer "y"; returns the list of the questions."""
    questions: list[str] = []

    def answer(question: str = "") -> str:
        questions.append(question)
        return "y"

    monkeypatch.setattr(builtins, "input", answer)
    return questions


def add_code(folder: Path, marker: Path) -> None:
    (folder / "foreign.py").write_text(MODULE.format(marker=str(marker)))


def name_code_in_config(folder: Path, marker: Path, model_type: str | None = "foreign") -> None:
    """Add `auto_map` to config.json, and an unknown model type."""
    add_code(folder, marker)
    file = folder / "config.json"
    config = json.loads(file.read_text()) if file.is_file() else {}
    config["auto_map"] = {"AutoConfig": "foreign.Config", "AutoModel": "foreign.Model"}
    if model_type:
        config["model_type"] = model_type
    file.write_text(json.dumps(config))


def name_code_in_tokenizer(folder: Path, marker: Path) -> None:
    """Add `auto_map` to tokenizer_config.json, with an unknown class."""
    add_code(folder, marker)
    file = folder / "tokenizer_config.json"
    config = json.loads(file.read_text()) | {
        "auto_map": {"AutoTokenizer": ["foreign.Tokenizer", "foreign.Tokenizer"]}
    }
    file.write_text(json.dumps(config | {"tokenizer_class": "Tokenizer"}))
