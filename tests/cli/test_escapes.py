"""Control sequences in users' words: shown as escapes in every form of output."""

import json
import logging

import pytest

from tests.steering.vectors import vector_of
from tonearm.cli import main
from tonearm.cli._screen import err, new_table, out, print_facts, print_json, say_error
from tonearm.steering import save_vector

EVIL = "a\x1b[2J\x1b]0;title\x07\x9b1m\x7f\u202etune"


def assert_clean(text):
    assert not any(character in text for character in "\x1b\x07\x9b\x7f\u202e"), ascii(text)


def test_every_print_function_escapes(capsys):
    table = new_table(EVIL)
    table.add_row(EVIL)
    out.print(table)
    out.print(EVIL, soft_wrap=True)
    print_facts({EVIL: EVIL})
    say_error(EVIL)
    err.print(EVIL)
    logging.getLogger("tonearm.some").warning("%s", EVIL)
    shown = capsys.readouterr()
    assert_clean(shown.out + shown.err)
    assert "\\x1b[2J" in shown.out and "\\x1b[2J" in shown.err


def test_json_stays_json_with_the_same_content(capsys):
    content = {"prompt": EVIL + "\\x41", EVIL: ["\\\\x1b", "\n"]}
    print_json(content)
    shown = capsys.readouterr().out
    assert_clean(shown)
    assert json.loads(shown) == content


def test_a_prompt_and_a_file_name_are_escaped(play, run, folder):
    prompted = run("generate", EVIL, "--steer", f"{EVIL}=raw:1", "--model", EVIL)
    assert prompted.code == 2
    assert_clean(prompted.out + prompted.err)
    (folder / "tone.wav").rename(folder / f"{EVIL}.wav")
    for form in ((), ("--csv",), ("--json",)):
        measured = run("measure", f"{EVIL}.wav", *form)
        assert measured.code == 0
        assert_clean(measured.out + measured.err)
    assert_clean(run("inspect", f"{EVIL}.wav").out)


def test_metadata_of_a_vector_and_a_sidecar_are_escaped(run, play, folder, melody):
    vector = vector_of(melody, "mood")
    info = vector.info.model_copy(update={"positive_label": EVIL, "method": EVIL})
    save_vector(type(vector)(vector.directions, info), folder / "mood.safetensors")
    for command in (("vectors", "."), ("inspect", "mood.safetensors")):
        for form in ((), ("--json",)):
            outcome = run(*command, *form)
            assert outcome.code == 0, outcome.err
            assert_clean(outcome.out + outcome.err)
    assert play("-o", "a.wav").code == 0
    sidecar = json.loads((folder / "a.json").read_text())
    sidecar["prompt"] = EVIL
    (folder / "a.json").write_text(json.dumps(sidecar))
    assert_clean(run("inspect", "a.json").out)
    assert_clean(run("inspect", "a.json", "--json").out)


@pytest.mark.parametrize(
    "arguments",
    [
        ["generate", "a", "--seed", EVIL],
        ["generate", "a", f"--{EVIL}"],
        [EVIL],
        ["generate", "x" * 10**5, "--seconds", "x" * 10**5],
        ["generate", "a", "--model", "x" * 10**5],
        ["generate", "a", "--steer", "y" * 3000],
        ["measure", "x" * 200 + ".wav"],
    ],
)
def test_errors_are_one_clean_line_of_limited_length(folder, capsys, arguments):
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert_clean(shown.err)
    assert shown.err.count("\n") == 1 and len(shown.err) < 1300
