"""Folder of files that can be computed again: embeddings, and digests of large weights."""

import os
from pathlib import Path

CACHE_VARIABLE = "TONEARM_CACHE"


def cache_folder() -> Path:
    """Locate the cache: $TONEARM_CACHE, or the platform's cache folder."""
    if os.environ.get(CACHE_VARIABLE):
        return Path(os.environ[CACHE_VARIABLE])
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("tonearm", appauthor=False))
