"""Cache of embeddings in folders that cannot be written."""

import logging

import numpy as np
import pytest

from tests.evaluators.embedders import Statistics
from tests.measures.sounds import tone
from tonearm.evaluators.cache import CACHE_VARIABLE, CachedEmbedder


@pytest.mark.parametrize("place", ["file", "x" * 300])
def test_a_cache_that_cannot_be_written_is_one_warning_and_the_rows_are_right(
    tmp_path, place, caplog
):
    (tmp_path / "file").write_text("")
    clips = [tone(220, 0.2), tone(440, 0.2)]
    cached = CachedEmbedder(Statistics(), tmp_path / place)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            assert np.array_equal(cached.embed(clips), Statistics().embed(clips))
    (warning,) = caplog.messages
    assert "not cached" in warning and CACHE_VARIABLE in warning
