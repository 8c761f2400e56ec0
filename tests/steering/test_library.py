"""Where a vector's name leads."""

import pytest

from tests.steering.vectors import vector_of
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.steering import library as shelf_module
from tonearm.steering import save_vector
from tonearm.steering.library import VectorLibrary


@pytest.fixture
def pocketed(melody, tmp_path, monkeypatch) -> Model:
    """The tiny melody model under the name pocket, with one vector that ships for it."""
    from dataclasses import replace

    checkpoint = replace(melody.checkpoint, name="pocket")
    file = save_vector(vector_of(melody, "tempo"), tmp_path / "shipped" / "tempo")
    monkeypatch.setattr(shelf_module, "bundled", lambda: {"tempo": file})
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Model(checkpoint)


def test_a_name_is_found_here_then_among_those_that_ship_then_in_a_file(pocketed):
    shelf = pocketed.vectors
    assert shelf["tempo"].content_hash() == vector_of(pocketed, "tempo").content_hash() and shelf.is_bundled("tempo")
    in_folder = vector_of(pocketed, "tempo", seed=1)
    save_vector(in_folder, "tempo")
    fresh = VectorLibrary(pocketed.checkpoint)
    assert fresh["tempo"].content_hash() == shelf["tempo"].content_hash() and fresh.is_bundled("tempo")
    by_path = fresh["tempo.safetensors"]
    assert by_path.content_hash() == in_folder.content_hash() and not fresh.is_bundled("tempo.safetensors")
    save_vector(in_folder.renamed("mood"), "mood")
    assert fresh["mood"].name == "mood" and not fresh.is_bundled("mood")
    fresh["tempo"] = own = vector_of(pocketed, "tempo", seed=2)
    assert fresh["tempo"] is own and not fresh.is_bundled("tempo")
    assert list(fresh) == ["tempo"] and len(fresh) == 1
    del fresh["tempo"]
    assert fresh["tempo"].content_hash() == shelf["tempo"].content_hash()


def test_paths_lead_to_files(melody, tmp_path):
    file = save_vector(vector_of(melody, "mood"), tmp_path / "mood")
    for name in (str(file), str(file.with_suffix(""))):
        assert melody.vectors[name].name == "mood" and not melody.vectors.is_bundled(name)


def test_what_is_not_there_is_told_with_what_is(melody, pocketed, tmp_path):
    empty = VectorLibrary(melody.checkpoint)
    with pytest.raises(TonearmError, match=r"no vector 'nope'; none ship for .*tonearm learn"):
        empty["nope"]
    with pytest.raises(TonearmError, match="there are tempo"):
        pocketed.vectors["nope"]
    assert "nope" not in pocketed.vectors and "tempo" in pocketed.vectors and 3 not in pocketed.vectors
    with pytest.raises(TonearmError, match="no steering vector at"):
        empty[str(tmp_path / "nope.safetensors")]


def test_a_vector_of_another_checkpoint_is_refused_with_both_names(melody, small, tmp_path):
    foreign = vector_of(small, "tempo")
    file = save_vector(foreign, tmp_path / "foreign")
    shelf = VectorLibrary(melody.checkpoint)
    for put in (lambda: shelf.__setitem__("tempo", foreign), lambda: shelf[str(file)]):
        with pytest.raises(TonearmError) as error:
            put()
        assert small.checkpoint.shape.name in str(error.value) and melody.checkpoint.shape.name in str(error.value)
    with pytest.raises(TonearmError, match="cross_attention"):
        shelf["tempo"] = vector_of(melody, site="cross_attention")
    assert "tempo" not in shelf


def test_a_vector_given_under_a_shipped_name_is_not_recorded_as_shipped(pocketed, tmp_path):
    other = vector_of(pocketed, "tempo", seed=3)
    take = pocketed.generate("a calm tune", steer={other: 1.0}, seconds=0.2, seed=1)
    assert not take.provenance.vectors["tempo"].bundled
    assert (
        pocketed.generate("a calm tune", steer={"tempo": 1.0}, seconds=0.2, seed=1).provenance.vectors["tempo"].bundled
    )
