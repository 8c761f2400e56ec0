"""Cache of embeddings on disk.

The key is the content: the samples, the sample rate and the embedder's fingerprint. A file's name
and date do not matter, and a retrained evaluator never reads another's rows. Entries are .npz
files, whose checksum reveals damage: a damaged entry is computed again. A folder that cannot be
written costs time and nothing else: the rows are computed, and one warning says so.
"""

import hashlib
import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tonearm.audio import Clip
from tonearm.errors import TonearmError
from tonearm.evaluators.array_file import read_array
from tonearm.evaluators.base import AudioTextEmbedder, Embedder
from tonearm.files.atomic import atomic_write
from tonearm.files.cache_folder import CACHE_VARIABLE, cache_folder

_log = logging.getLogger(__name__)


class CachedEmbedder:
    """Embedder that stores each row in a folder.

    Args:
        embedder: computes the rows that are not stored.
        folder: of the cache; the platform's where none is given.
    """

    def __init__(self, embedder: Embedder, folder: Path | None = None) -> None:
        self.embedder = embedder
        self.folder = (cache_folder() if folder is None else Path(folder)) / "embeddings"
        self._is_writable = True

    @property
    def name(self) -> str:
        return self.embedder.name

    @property
    def windows(self) -> str:
        return self.embedder.windows

    @property
    def fingerprint(self) -> str:
        return self.embedder.fingerprint

    def embed(self, clips: Sequence[Clip]) -> np.ndarray:
        """Read or compute the row of each clip: float32 [n, D]."""
        paths = [self._path(clip) for clip in clips]
        rows = [_read(path) for path in paths]
        missing = [index for index, row in enumerate(rows) if row is None]
        if missing:
            computed = self.embedder.embed([clips[index] for index in missing])
            for index, row in zip(missing, computed, strict=True):
                self._store(paths[index], row)
                rows[index] = row
        return np.stack([row for row in rows if row is not None]).astype(np.float32)

    def _store(self, path: Path, row: np.ndarray) -> None:
        """Write a row; after the first failure, warn and write none."""
        if not self._is_writable:
            return
        try:
            with atomic_write(path) as partial:
                np.savez(partial, row=row)
        except TonearmError as error:
            self._is_writable = False
            _log.warning(
                "embeddings are not cached (%s); set %s to a folder that can be written",
                error,
                CACHE_VARIABLE,
            )

    def _path(self, clip: Clip) -> Path:
        content = f"{self.fingerprint} {clip.sample_rate} {clip.samples.shape}"
        digest = hashlib.sha256(content.encode())
        digest.update(clip.samples.astype("<f4").tobytes())
        key = digest.hexdigest()
        return self.folder / key[:2] / f"{key}.npz"


class CachedClap(CachedEmbedder):
    """CLAP evaluator that stores rows of clips on disk, and rows of texts in memory."""

    def __init__(self, clap: AudioTextEmbedder, folder: Path | None = None) -> None:
        super().__init__(clap, folder)
        self.clap = clap
        self._texts: dict[str, np.ndarray] = {}

    @property
    def logit_scale(self) -> float:
        return self.clap.logit_scale

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Look up or compute the row of each text: float32 [n, D]."""
        new = list(dict.fromkeys(text for text in texts if text not in self._texts))
        if new:
            self._texts.update(zip(new, self.clap.embed_texts(new), strict=True))
        return np.stack([self._texts[text] for text in texts])

    def check_words(self, text: str) -> None:
        self.clap.check_words(text)


def _read(path: Path) -> np.ndarray | None:
    """The row at `path`; None where it is absent or damaged."""
    try:
        row = read_array(path)
    except (TonearmError, OSError):
        return None
    return row if row.ndim == 1 and np.isfinite(row).all() else None
