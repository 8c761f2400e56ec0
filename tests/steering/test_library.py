"""Look-up of steering vectors by name."""

import pytest

from tests.musicgen.decode_requests import reshaped
from tests.steering.vectors import vector_of
from tonearm.errors import TonearmError
from tonearm.model import Model
from tonearm.musicgen.variants import POCKET
from tonearm.steering import save_vector
from tonearm.steering.library import VectorLibrary


@pytest.fixture
def bundled(melody, tmp_path, monkeypatch) -> Model:
    """The tiny melody model under the name pocket, with one bundled vector."""
    vector = vector_of(melody, "tempo")
    file = save_vector(vector, tmp_path / "bundled" / "tempo")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return reshaped(melody, name=POCKET, vectors={"tempo": file})


def test_added_vectors_precede_bundled_ones_which_precede_files(bundled, caplog):
    library = bundled.vectors
    shipped = library["tempo"]
    assert shipped.content_hash() == vector_of(bundled, "tempo").content_hash()
    assert library.is_bundled("tempo")
    in_folder = vector_of(bundled, "tempo", seed=1)
    save_vector(in_folder, "tempo")
    fresh = VectorLibrary(bundled.shape)
    assert fresh["tempo"].content_hash() == shipped.content_hash() and fresh.is_bundled("tempo")
    (warning,) = caplog.messages
    assert "'tempo' is the bundled vector; for 'tempo.safetensors'" in warning
    by_path = fresh["tempo.safetensors"]
    assert by_path.content_hash() == in_folder.content_hash()
    assert not fresh.is_bundled("tempo.safetensors")
    save_vector(in_folder.renamed("mood"), "mood")
    assert fresh["mood"].name == "mood" and not fresh.is_bundled("mood")
    fresh["tempo"] = own = vector_of(bundled, "tempo", seed=2)
    assert fresh["tempo"] is own and not fresh.is_bundled("tempo")
    assert list(fresh) == ["tempo"] and len(fresh) == 1
    del fresh["tempo"]
    assert fresh["tempo"].content_hash() == shipped.content_hash()


def test_a_file_that_has_changed_is_read_again(melody, tmp_path):
    library = VectorLibrary(melody.shape)
    first, second = (vector_of(melody, "mood", seed=seed) for seed in (0, 1))
    name = str(save_vector(first, tmp_path / "mood"))
    assert library[name] is library[name]
    save_vector(second, tmp_path / "mood")
    assert library[name].content_hash() == second.content_hash()
    (tmp_path / "mood.safetensors").unlink()
    with pytest.raises(TonearmError, match="mood"):
        library[name]


def test_a_path_names_a_file_with_or_without_its_suffix(melody, tmp_path):
    file = save_vector(vector_of(melody, "mood"), tmp_path / "mood")
    for name in (str(file), str(file.with_suffix(""))):
        assert melody.vectors[name].name == "mood" and not melody.vectors.is_bundled(name)


def test_an_unknown_name_is_refused_with_the_known_ones(melody, bundled, tmp_path):
    empty = VectorLibrary(melody.shape)
    with pytest.raises(TonearmError, match=r"no vector 'nope'; none ship for .*tonearm learn"):
        empty["nope"]
    with pytest.raises(TonearmError, match="there are tempo"):
        bundled.vectors["nope"]
    assert "nope" not in bundled.vectors
    assert "tempo" in bundled.vectors and 3 not in bundled.vectors
    with pytest.raises(TonearmError, match="no steering vector at"):
        empty[str(tmp_path / "nope.safetensors")]


def test_a_vector_of_another_checkpoint_is_refused_with_both_names(melody, small, tmp_path):
    foreign = vector_of(small, "tempo")
    file = save_vector(foreign, tmp_path / "foreign")
    library = VectorLibrary(melody.shape)
    for add in (lambda: library.__setitem__("tempo", foreign), lambda: library[str(file)]):
        with pytest.raises(TonearmError) as error:
            add()
        assert small.shape.public_name in str(error.value) and melody.shape.name in str(error.value)
    with pytest.raises(TonearmError, match="cross_attention"):
        library["tempo"] = vector_of(melody, site="cross_attention")
    assert "tempo" not in library


def test_a_given_vector_with_the_name_of_a_bundled_one_is_not_recorded_as_bundled(bundled):
    def record_of(steer):
        take = bundled.generate("a calm tune", steer=steer, seconds=0.2, seed=1)
        return take.provenance.vectors["tempo"]

    assert not record_of({vector_of(bundled, "tempo", seed=3): "raw:1"}).bundled
    assert record_of({"tempo": "raw:1"}).bundled
