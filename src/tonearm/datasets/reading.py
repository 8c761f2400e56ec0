"""Clips of a corpus one by one; unusable ones are counted by reason."""

from collections.abc import Iterator

from tonearm.audio import Clip
from tonearm.datasets.labelled_audio import Corpus, LabelledFile
from tonearm.datasets.skips import NO_FILE, SHORT, SILENT, UNREADABLE, SkipLog
from tonearm.errors import TonearmError
from tonearm.frame_levels import is_sounding
from tonearm.progress import Progress


def skip_log(corpus: Corpus) -> SkipLog:
    """Make an empty log that knows the documented defects of a corpus."""
    return SkipLog(corpus.layout.known_defects)


def sounding_clips(
    corpus: Corpus, log: SkipLog, progress: Progress | None = None
) -> Iterator[tuple[LabelledFile, Clip]]:
    """Read the clips of a corpus that can be used.

    Left out are files that are absent, unreadable, silent (no frame at -60 dBFS or above), or
    shorter than the layout's minimum.

    Args:
        corpus: the files.
        log: receives those that are left out.
        progress: called with (done, total) before each file and at the end.

    Yields:
        Each file with its clip.
    """
    for done, file in enumerate(corpus):
        if progress is not None:
            progress(done, len(corpus))
        if not file.path.is_file():
            log.add(NO_FILE, file.name, f"no file at {file.path}")
            continue
        try:
            clip = file.read()
        except TonearmError as error:
            log.add(UNREADABLE, file.name, str(error))
            continue
        if clip.seconds < corpus.layout.min_seconds:
            log.add(SHORT, file.name, f"{file.name} lasts {clip.seconds:.2f} s")
        elif not is_sounding(clip):
            log.add(SILENT, file.name, f"{file.name} is silent")
        else:
            yield file, clip
    if progress is not None:
        progress(len(corpus), len(corpus))
