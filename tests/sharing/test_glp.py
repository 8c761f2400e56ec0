"""GGUF control vectors and GLP: what is written, what is read, and what is refused."""

import errno
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.sharing.files import GLP, PLAIN, rows, unit_rows, write_directions, write_gguf
from tests.steering.vectors import random_vector
from tonearm.errors import TonearmError
from tonearm.sharing.control_vector import read_control_vector
from tonearm.sharing.exporting import export_gguf
from tonearm.sharing.gguf_file import read_gguf
from tonearm.sharing.importing import import_vector
from tonearm.steering import Calibration, Configuration, SignCalibration, SteeringVector

PROJECT = {**GLP, "glp.mode": "project"}


def upper(vector: SteeringVector) -> SteeringVector:
    """The vector without layer 0."""
    kept = {layer: one for layer, one in vector.directions.items() if layer > 0}
    return SteeringVector(kept, vector.info)


@pytest.fixture
def vector() -> SteeringVector:
    return upper(
        random_vector(
            layers=4,
            name="tempo",
            checkpoint="facebook/musicgen-melody",
            positive_label="fast",
            negative_label="slow",
            best_layer=2,
        )
    )


def test_an_export_has_the_documented_metadata_and_tensors(vector, tmp_path):
    done = export_gguf(vector, tmp_path / "tempo.gguf")
    assert (done.mode, done.alpha, done.layers, done.without_zero) == ("add", 1.0, (1, 2, 3), False)
    content = read_gguf(done.path)
    digest = hashlib.sha256(b"".join(vector[layer].numpy().tobytes() for layer in (1, 2, 3)))
    assert content.metadata == {
        "general.architecture": "controlvector",
        "general.name": "tempo",
        "controlvector.model_hint": "musicgen",
        "controlvector.layer_count": 3,
        "glp.mode": "add",
        "glp.spec_version": 1,
        "glp.alpha_default": 1.0,
        "glp.rank": 1,
        "glp.hook_point": "residual_stream_post_layer",
        "glp.method": "diffmean",
        "glp.contrast": "fast vs slow",
        "glp.layer_ids_zero_based": "1,2,3",
        "glp.content_sha256": digest.hexdigest(),
        "general.base_model.count": 1,
        "general.base_model.0.name": "facebook/musicgen-melody",
        "general.base_model.0.organization": "facebook",
        "general.base_model.0.repo_url": "https://huggingface.co/facebook/musicgen-melody",
        "tonearm.fingerprint": "f" * 16,
        "tonearm.positive_label": "fast",
        "tonearm.negative_label": "slow",
        "tonearm.best_layer": 2,
    }
    assert vector.tensor_sha256() == digest.hexdigest()
    assert list(content.tensors) == ["direction.1", "direction.2", "direction.3"]
    for layer in (1, 2, 3):
        assert np.array_equal(content.tensors[f"direction.{layer}"], vector[layer].numpy())


def test_a_checkpoint_that_is_on_no_hub_has_no_address(vector, tmp_path):
    local = SteeringVector(
        vector.directions,
        vector.info.model_copy(update={"checkpoint": "pocket", "best_layer": None}),
    )
    metadata = read_gguf(export_gguf(local, tmp_path / "x.gguf").path).metadata
    assert metadata["general.base_model.0.name"] == "pocket"
    assert not {"general.base_model.0.repo_url", "tonearm.best_layer"} & metadata.keys()


def test_layer_0_has_no_slot_and_is_left_out_knowingly_alone(tmp_path):
    whole, path = random_vector(), tmp_path / "x.gguf"
    with pytest.raises(TonearmError, match=r"layer 0, .* no slot; leave it out with --without-la"):
        export_gguf(whole, path)
    assert not path.exists()
    done = export_gguf(whole, path, without_layer_0=True)
    assert done.layers == (1, 2) and done.without_zero
    assert "direction.0" not in read_gguf(path).tensors
    alone = SteeringVector({0: whole[0]}, whole.info)
    with pytest.raises(TonearmError, match="no direction to write above layer 0"):
        export_gguf(alone, path, without_layer_0=True)


@pytest.mark.parametrize("site", ["heads", "cross_attention"])
def test_a_site_without_a_name_in_glp_is_refused(site, tmp_path):
    with pytest.raises(TonearmError, match=f"for site {site}, .* only residual and attention"):
        export_gguf(random_vector(site=site), tmp_path / "x.gguf", without_layer_0=True)
    assert not list(tmp_path.iterdir())


def test_the_attention_site_has_its_own_hook_point(tmp_path):
    done = export_gguf(random_vector(site="attention"), tmp_path / "x.gguf", without_layer_0=True)
    assert read_gguf(done.path).metadata["glp.hook_point"] == "attn_out_pre_residual"
    assert read_control_vector(done.path).site == "attention"


def test_a_projecting_file_has_unit_directions_and_its_strength_apart(vector, tmp_path):
    done = export_gguf(vector, tmp_path / "x.gguf", mode="project", alpha=4.0)
    content = read_gguf(done.path)
    metadata = content.metadata
    assert (metadata["glp.mode"], metadata["glp.alpha_default"]) == ("project", 4.0)
    assert metadata["glp.orthonormal"] is True
    for layer in (1, 2, 3):
        written = content.tensors[f"direction.{layer}"]
        assert np.linalg.norm(written.astype(np.float64)) == pytest.approx(1, abs=1e-6)
        unit = (vector[layer] / vector[layer].norm()).numpy()
        assert np.allclose(written, unit, atol=1e-7)
    found = read_control_vector(done.path)
    assert found.projecting and found.alpha == 4.0


def test_directions_of_norm_1_are_written_bit_for_bit_and_those_of_norm_0_not_at_all(tmp_path):
    unit = torch.from_numpy(unit_rows(3, 8))
    vector = SteeringVector({1: unit[1], 2: 0 * unit[2]}, random_vector().info)
    content = read_gguf(export_gguf(vector, tmp_path / "x.gguf", mode="project").path)
    assert list(content.tensors) == ["direction.1"]
    assert np.array_equal(content.tensors["direction.1"], unit[1].numpy())
    added = read_gguf(export_gguf(vector, tmp_path / "y.gguf").path)
    assert not added.tensors["direction.2"].any()


def test_the_mode_follows_the_operator_of_the_vector(tmp_path):
    removing = upper(random_vector(operator="remove"))
    assert export_gguf(removing, tmp_path / "x.gguf").mode == "project"
    with pytest.raises(TonearmError, match="exported with mode project, not add"):
        export_gguf(removing, tmp_path / "y.gguf", mode="add")
    with pytest.raises(TonearmError, match="no mode 'rotate'; use add or project"):
        export_gguf(upper(random_vector()), tmp_path / "y.gguf", mode="rotate")


@pytest.mark.parametrize(
    ("configuration", "alpha"),
    [
        (Configuration(strategy="all-to-all"), 0.25),
        (Configuration(), 1.0),  # one layer's direction in every layer: no file can state that
        (Configuration(strategy="all-to-all", layers=(1,)), 1.0),
        (Configuration(strategy="all-to-all", operator="rotate"), 1.0),
    ],
)
def test_the_calibrated_strength_is_recommended_where_it_is_that_of_the_file(
    configuration, alpha, tmp_path
):
    sign = SignCalibration(strength=0.25, configuration=configuration)
    calibration = Calibration(positive=sign, negative=SignCalibration(failure="no effect"))
    vector = upper(random_vector(calibration=calibration))
    assert export_gguf(vector, tmp_path / "x.gguf").alpha == alpha
    assert export_gguf(vector, tmp_path / "x.gguf", alpha=3).alpha == 3


@pytest.mark.parametrize("alpha", [float("nan"), float("inf"), 1e300, "strong", True])
def test_a_strength_that_is_no_finite_number_is_refused(alpha, tmp_path):
    with pytest.raises(TonearmError, match="alpha"):
        export_gguf(upper(random_vector()), tmp_path / "x.gguf", alpha=alpha)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(TonearmError, match=r"the ending is not \.gguf"):
        export_gguf(upper(random_vector()), tmp_path / "x.bin")


def test_a_failed_export_keeps_the_old_file(vector, tmp_path, monkeypatch):
    path = export_gguf(vector, tmp_path / "x.gguf").path
    before, real = path.read_bytes(), Path.write_bytes

    def fail(self, content):
        real(self, content[:50])
        raise OSError(errno.ENOSPC, "No space left")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(TonearmError, match="disk is full"):
        export_gguf(vector, path, mode="project")
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_a_file_without_glp_states_neither_its_convention_nor_a_mode(tmp_path):
    path = write_directions(tmp_path / "x.gguf", PLAIN, {1: rows(1)[0], 2: rows(1)[0]})
    found = read_control_vector(path)
    assert (found.kind, found.numbering, found.site) == (
        "GGUF control vector",
        "unstated",
        "residual",
    )
    assert not found.projecting and found.alpha is None
    states = read_control_vector(write_directions(tmp_path / "y.gguf", GLP, {1: rows(1)[0]}))
    assert (states.kind, states.numbering) == ("GLP file", "stated")


def test_a_file_that_names_no_mode_adds(tmp_path):
    metadata = {key: value for key, value in GLP.items() if key != "glp.mode"}
    path = write_directions(tmp_path / "x.gguf", metadata, {1: rows(1)[0]})
    assert not read_control_vector(path).projecting


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"general.architecture": "llama"}, "architecture 'llama', not controlvector"),
        ({"general.architecture": 3}, "architecture 3"),
        ({"glp.mode": "ablate"}, "glp.mode 'ablate', which Tonearm does not know; known are add"),
        ({"glp.mode": ""}, "glp.mode ''"),
        ({"glp.mode": 1}, r"glp.mode of .* is of type int"),
        ({"glp.spec_version": 3}, "version 3 of GLP, this Tonearm reads 1 and 2"),
        ({"glp.rank": 2}, "has glp.rank 2, which Tonearm cannot apply"),
        ({"glp.layer_scales": "1:0.5"}, "has glp.layer_scales"),
        ({"glp.dir_scales": "0.5"}, "has glp.dir_scales"),
        ({"glp.structure": "per-execution-step"}, "has glp.structure"),
        ({"glp.hook_point": "ffn_out_pre_residual"}, "'ffn_out_pre_residual', a site that Tonearm"),
        (
            {"glp.layer_ids_zero_based": "0,1"},
            "states the layers '0,1', and its tensors are of oth",
        ),
        ({"glp.content_sha256": "0" * 64}, "is damaged: its directions do not match glp.content"),
        ({"glp.alpha_default": float("nan")}, "glp.alpha_default of .* is nan"),
        ({"controlvector.model_hint": 3}, "controlvector.model_hint"),
    ],
)
def test_metadata_that_tonearm_cannot_follow_are_refused(changes, message, tmp_path):
    path = write_directions(tmp_path / "x.gguf", {**GLP, **changes}, {1: rows(1)[0], 2: rows(1)[0]})
    with pytest.raises(TonearmError, match=message) as error:
        read_control_vector(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({}, "holds 0 directions"),
        ({"direction.0": rows(1)[0]}, "holds direction.0, which control vectors do not have"),
        ({"direction.01": rows(1)[0]}, "'direction.01'; tensors of a control vector are named"),
        ({"weight": rows(1)[0]}, "the tensor 'weight'"),
        ({"direction.1": rows(1)[0], "direction.1.1": rows(1)[0]}, "several directions per layer"),
        (
            {"direction.1": rows(1)[0], "direction.2": rows(1, 16)[0]},
            r"different widths \(16 and 32",
        ),
        ({"direction.1": np.full(32, np.nan)}, "direction 1 of .* holds NaN"),
        (
            {"direction.1": np.full(32, np.inf)},
            "direction 1 of .* holds NaN, or values that are inf",
        ),
    ],
)
def test_tensors_that_are_no_directions_are_refused(tensors, message, tmp_path):
    path = write_gguf(tmp_path / "x.gguf", GLP, tensors)
    with pytest.raises(TonearmError, match=message):
        read_control_vector(path)


def test_a_strength_that_is_folded_into_a_projecting_file_is_refused(tmp_path):
    unit = unit_rows(2)
    path = write_directions(tmp_path / "x.gguf", PROJECT, {1: unit[0], 2: 0.5 * unit[1]})
    with pytest.raises(
        TonearmError, match=r"direction 2 .* has norm 0\.5, .* may be folded into it"
    ):
        read_control_vector(path)
    path = write_directions(tmp_path / "x.gguf", PROJECT, {1: unit[0], 2: unit[1]})
    assert read_control_vector(path).projecting


def test_directions_that_were_derived_elsewhere_are_only_warned_about(melody, tmp_path, caplog):
    metadata = {**GLP, "glp.derived_at": "attn_out_pre_residual"}
    path = write_directions(tmp_path / "x.gguf", metadata, {1: rows(1)[0]})
    found = read_control_vector(path)
    assert found.site == "residual" and found.facts["derived at"] == "attn_out_pre_residual"
    assert import_vector(path, melody.shape).info.site == "residual"
    (message,) = caplog.messages
    assert "derived at attn_out_pre_residual, and are applied at residual_stream_post" in message
    same = {**GLP, "glp.derived_at": GLP["glp.hook_point"]}
    import_vector(write_directions(tmp_path / "y.gguf", same, {1: rows(1)[0]}), melody.shape)
    assert len(caplog.messages) == 1


def test_the_strength_of_an_imported_file_is_that_of_its_mode_and_length(tmp_path):
    """A calibration comes first; a vector that was scaled or negated has no recommended strength."""
    own = upper(random_vector())
    vector = replace(own, info=own.info.model_copy(update={"statistics": {"alpha_default": 4.0}}))

    def alpha(of, **options):
        return export_gguf(of, tmp_path / "x.gguf", **options).alpha

    assert alpha(vector) == 4.0
    assert alpha(vector, mode="project") == 1.0
    assert alpha(0.5 * vector) == alpha(-vector) == 1.0
    sign = SignCalibration(strength=3.0, configuration=Configuration(strategy="all-to-all"))
    info = vector.info.model_copy(update={"calibration": Calibration(positive=sign, negative=sign)})
    assert alpha(replace(vector, info=info)) == 3.0
