"""Tags of real music: the probability of each of 50 tags by musicnn.

    p(tag) = mean over windows of 3 s of sigmoid(logit of the tag)

Aim: a second opinion on genre, instrument, tempo and loudness. The tagger was trained by others on
recordings with tags by listeners (MagnaTagATune), and shares no training data with the bundled CLAP
and the bundled beat tracker, which count as one family.

Conventions: probabilities are those of the tagger, not calibrated for synthesised music; tags do
not exclude each other, and several are nearly synonyms ("female", "woman", "female voice"). Compare
one tag between clips. None for silence and under 3 s.

Source: see `tonearm.evaluators.musicnn`; docs/measures.md has the tags that follow the labels of
pocket's corpus.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tonearm import boundary
from tonearm.audio import Clip
from tonearm.evaluators.base import Tagger, as_clip, as_tagger
from tonearm.evaluators.load import default_tagger
from tonearm.frame_levels import is_sounding
from tonearm.measures.base import Measurement


@dataclass(frozen=True)
class Tags:
    """Probabilities of one clip by tag, in the order of the tagger; None where not defined."""

    tags: tuple[str, ...]
    probabilities: Mapping[str, float] | None
    protocol: str

    @property
    def best(self) -> str | None:
        """The most probable tag."""
        if self.probabilities is None:
            return None
        return max(self.probabilities, key=self.probabilities.__getitem__)

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """A measurement named "tag <name>" for each tag."""
        probabilities = self.probabilities or {}
        return tuple(
            Measurement(f"tag {tag}", probabilities.get(tag), "probability", self.protocol)
            for tag in self.tags
        )

    def to_dict(self) -> dict[str, object]:
        return {
            "name": "tags",
            "value": self.best,
            "unit": "",
            "protocol": self.protocol,
            "probabilities": self.probabilities and dict(self.probabilities),
        }


def measure_tags(clip: Clip, tagger: Tagger | None = None) -> Tags:
    """Measure the probability of every tag.

    Args:
        clip: the clip.
        tagger: musicnn, loaded once, where none is given.

    Returns:
        The probabilities; None for silence, samples that are not finite, and clips that are shorter
        than a window of the tagger.

    Raises:
        TonearmError: an argument of a wrong type.
    """
    clip = as_clip(clip, "clip")
    tagger = boundary.optional(as_tagger, tagger, "tagger")
    tagger = default_tagger() if tagger is None else tagger
    protocol = f"tags by {tagger.name}, trained on {tagger.training_data}, {tagger.windows}"
    if clip.seconds < tagger.min_seconds or not is_sounding(clip):
        return Tags(tagger.tags, None, protocol)
    means = tagger.tag(clip).mean(0)
    probabilities = {tag: float(mean) for tag, mean in zip(tagger.tags, means, strict=True)}
    return Tags(tagger.tags, probabilities, protocol)
