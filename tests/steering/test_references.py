"""References to a vector of a bundle, and their difference from paths."""

import pytest

from tonearm.errors import TonearmError
from tonearm.steering import as_steering, parse_short
from tonearm.steering.references import check_member, names_file, split_reference


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("pack.safetensors#tempo", ("pack.safetensors", "tempo")),
        ("a/b,c=d/my pack.safetensors#one-2_3", ("a/b,c=d/my pack.safetensors", "one-2_3")),
        ("x#y.safetensors#tempo", ("x#y.safetensors", "tempo")),
        ("x.safetensors#y.safetensors#tempo", ("x.safetensors#y.safetensors", "tempo")),
        ("pack.safetensors#größe", ("pack.safetensors", "größe")),
        (".safetensors#tempo", (".safetensors", "tempo")),
    ],
)
def test_a_reference_is_split_at_its_last_mark(name, parts):
    assert split_reference(name) == parts and names_file(name)


@pytest.mark.parametrize(
    "name",
    [
        "tempo",
        "a#b",
        "pack.safetensors",
        "x#y.safetensors",  # the path of a file, whatever it holds
        "x.safetensors#y.safetensors",
        "x.safetensors#folder/y.safetensors",
        "x.safetensors#folder/y",
        "x.safetensors#",
        "x.safetensors# ",
        "x.safetensors#a=b",
        "x.safetensors#a@b",
        "x.safetensors#a\x1b",
        "x.safetensors#" + "y" * 300,
        "",
    ],
)
def test_other_texts_are_no_references(name):
    assert split_reference(name) is None
    assert names_file(name) == name.endswith(".safetensors")


@pytest.mark.parametrize(
    "name", ["", " ", "a/b", "a\\b", "a#b", "a,b", " a", "x.safetensors", "é" * 200]
)
def test_a_name_that_no_reference_could_have_is_refused(name):
    with pytest.raises(TonearmError, match="of a bundle's vector") as error:
        check_member(name)
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("path", ["pack.safetensors", "a,b=c@d/pack.safetensors"])
def test_the_short_form_takes_a_reference(path):
    one = parse_short(f"{path}#tempo=raw:0.5@blend@2-6")
    assert (one.vector, one.strength, one.operator) == (f"{path}#tempo", 0.5, "blend")
    steering, _ = as_steering(f"{path}#tempo=+1,other=-1,{path}#mood = raw:2")
    assert [one.vector for one in steering.steers] == [f"{path}#tempo", "other", f"{path}#mood"]
