"""Texts of audio files: tables, and the prompts of takes."""

import csv
import json
from pathlib import Path

import pytest

from tonearm.datasets.captions import (
    SectionText,
    captions_from_table,
    prompts_of_takes,
    read_captions,
)
from tonearm.errors import TonearmError


def test_tables_of_both_formats_give_the_same_texts(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("file_name,text\na.wav,fast\nsub/b.wav,slow\n")
    rows = [{"file_name": "a.wav", "text": "fast"}, {"file_name": "sub/b.wav", "text": "slow"}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    captions = read_captions(tmp_path / "a.csv")
    assert captions == read_captions(tmp_path / "a.jsonl")
    assert captions == {
        (tmp_path / "a.wav").resolve(): "fast",
        (tmp_path / "sub" / "b.wav").resolve(): "slow",
    }


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\u2028", "\x0b", "\x85"])
def test_a_text_may_contain_line_breaks(tmp_path: Path, separator: str) -> None:
    text = f"fast{separator}and loud"
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file_name", "text"), ("a.wav", text), ("b.wav", "slow")])
    rows = [{"file_name": "a.wav", "text": text}, {"file_name": "b.wav", "text": "slow"}]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "a.jsonl").write_text(lines, encoding="utf-8")
    for table in ("a.csv", "a.jsonl"):
        captions = read_captions(tmp_path / table)
        assert captions[(tmp_path / "a.wav").resolve()] == text and len(captions) == 2


@pytest.mark.parametrize("text", ["a\\ud800b", "a\\u0000b"])
def test_a_text_that_is_not_utf8_is_refused_with_its_row(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(f'{{"file_name": "a.wav", "text": "{text}"}}')
    with pytest.raises(TonearmError, match="text in row 1"):
        read_captions(tmp_path / "a.jsonl")


def test_texts_are_looked_up_by_the_paths_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("file_name,text\na.wav,fast\nb.wav,slow\n")
    assert captions_from_table([Path("b.wav")], Path("a.csv")) == {Path("b.wav"): "slow"}
    with pytest.raises(TonearmError, match=r"no text for c.wav and 1 more"):
        captions_from_table([Path("c.wav"), Path("d.wav")], Path("a.csv"))


def test_a_prompt_is_read_from_the_sidecar_of_its_take(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"prompt": "a folk tune"}')
    assert prompts_of_takes([tmp_path / "a.wav"]) == {tmp_path / "a.wav": "a folk tune"}


def test_the_prompts_of_sections_are_read_with_their_share_of_the_clip(tmp_path: Path) -> None:
    later = [{"frame": 50, "prompt": "slow jazz"}, {"frame": 150, "prompt": "rock"}]
    content = {"prompt": "a folk tune", "frames": 200, "sections": later}
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "b.json").write_text(json.dumps(content | {"sections": []}))
    assert prompts_of_takes([tmp_path / "a.wav", tmp_path / "b.wav"]) == {
        tmp_path / "a.wav": (
            SectionText(0.0, "a folk tune"),
            SectionText(0.25, "slow jazz"),
            SectionText(0.75, "rock"),
        ),
        tmp_path / "b.wav": "a folk tune",
    }


@pytest.mark.parametrize(
    "sections",
    [
        1,
        [3],
        [{"frame": 50}],
        [{"prompt": "rock"}],
        [{"frame": "50", "prompt": "rock"}],
        [{"frame": 50, "prompt": 3}],
        [{"frame": 0, "prompt": "rock"}],
        [{"frame": 200, "prompt": "rock"}],
        [{"frame": 90, "prompt": "rock"}, {"frame": 80, "prompt": "jazz"}],
    ],
)
def test_sections_that_cannot_be_read_are_refused(tmp_path: Path, sections: object) -> None:
    content = {"prompt": "a folk tune", "frames": 200, "sections": sections}
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(TonearmError, match="sections that cannot be read; give its text"):
        prompts_of_takes([tmp_path / "a.wav"])


@pytest.mark.parametrize("content", [None, "not JSON", "[]", '{"text": "a folk tune"}'])
def test_a_file_without_a_prompt_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "a.json").write_text(content)
    with pytest.raises(TonearmError, match="give its text with --texts"):
        prompts_of_takes([tmp_path / "a.wav"])
