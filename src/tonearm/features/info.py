"""Provenance of an autoencoder, stored in its file."""

from typing import Literal

from pydantic import ConfigDict, Field

from tonearm import __version__
from tonearm.backend import Site
from tonearm.features.settings import MAX_FEATURES, TrainingSettings
from tonearm.schema import Declared
from tonearm.steering.vector import MAX_LAYERS, MAX_WIDTH


class Fidelity(Declared):
    """Fidelity on held-out clips.

    fvu, l0, dead_share  of `rows` rows
    cross_entropy        in nats per frame of the model itself, over `clips` clips
    reconstructed        of the model that works with reconstructions
    ablated              of the model that works with the mean activation
    pass_through         KL of the predictions with reconstructions from those without, in nats per
                         frame
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    fvu: float = Field(ge=0)
    l0: float = Field(ge=0)
    dead_share: float = Field(ge=0, le=1)
    rows: int = Field(ge=1)
    clips: int = Field(ge=1)
    cross_entropy: float
    reconstructed: float
    ablated: float
    pass_through: float

    @property
    def recovered(self) -> float | None:
        """Share of the cross-entropy that is recovered; None where ablation does no harm."""
        harm = self.ablated - self.cross_entropy
        return (self.ablated - self.reconstructed) / harm if harm > 0 else None


class AutoencoderInfo(Declared):
    """Provenance of an autoencoder.

    checkpoint, fingerprint, precision  of the model
    layer_count, width  of the model
    site, layer  of the activations
    features     F
    threshold    value above which a feature is active, in units of the activations
    scale        square root of the mean squared length of the activations
    mean_norm    their mean length
    settings     of the training
    source       of the training clips: takes of prompts, or audio
    clips, tracks, validation_tracks  their numbers
    data_hash    identifies the clips
    fidelity     on the clips of the validation tracks
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    checkpoint: str
    fingerprint: str
    precision: str
    layer_count: int = Field(ge=1, le=MAX_LAYERS)
    width: int = Field(ge=1, le=MAX_WIDTH)
    site: Site
    layer: int = Field(ge=0, lt=MAX_LAYERS)
    features: int = Field(ge=1, le=MAX_FEATURES)
    threshold: float = Field(ge=0)
    scale: float = Field(gt=0)
    mean_norm: float = Field(gt=0)
    settings: TrainingSettings
    source: Literal["prompts", "audio"]
    clips: int = Field(ge=1)
    tracks: int = Field(ge=1)
    validation_tracks: int = Field(ge=1)
    data_hash: str
    fidelity: Fidelity
    library_version: str = __version__
