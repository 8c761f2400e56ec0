"""The committed gallery was made with the bundled checkpoint and vectors, and is complete."""

import json
from pathlib import Path

import pytest

from tonearm import assets
from tonearm.musicgen.checkpoint import DECIDING_FILES, fingerprint
from tonearm.report.gallery_page import MAX_BYTES
from tonearm.steering.library import bundled_vectors
from tonearm.steering.vector_file import load_vector
from tonearm.studies.gallery import MANIFEST, vector_identity
from tonearm.studies.gallery_plan import SIGNS, anchor_of, failure

GALLERY = Path(__file__).parents[2] / "docs" / "gallery"

pytestmark = pytest.mark.skipif(
    not GALLERY.is_dir(), reason="docs/gallery is not built; run python -m tonearm.studies.gallery"
)


@pytest.fixture(scope="module")
def manifest():
    return json.loads((GALLERY / MANIFEST).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def vectors(manifest):
    files = bundled_vectors()
    return {name: load_vector(files[name]) for name in manifest["vectors"]}


def test_the_gallery_is_of_the_bundled_checkpoint_and_vectors(manifest, vectors):
    assert manifest["fingerprint"] == fingerprint(str(assets.POCKET), DECIDING_FILES)
    assert manifest["vectors"] == {name: vector_identity(one) for name, one in vectors.items()}


def test_every_sign_that_passes_has_three_amounts_on_the_page(manifest, vectors):
    files = {take["file"] for take in manifest["takes"]}
    for name, vector in vectors.items():
        for sign in SIGNS:
            amounts = {f"{anchor_of(name, sign)}-{number}.ogg" for number in (1, 2, 3)}
            assert amounts <= files if not failure(vector, sign) else not amounts & files
    page = (GALLERY / "index.html").read_text(encoding="utf-8")
    assert all(f'src="{file}"' in page for file in files)
    assert all((GALLERY / file).is_file() for file in files)
    assert manifest["fingerprint"] in page


def test_the_gallery_is_small(manifest):
    assert sum(path.stat().st_size for path in GALLERY.iterdir()) <= MAX_BYTES
