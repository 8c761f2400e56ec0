"""Sparse autoencoders of a model's activations, and the features in them.

clips ─► train ─► autoencoder ─► features by track ─► names
                             └─► steering vectors: of a feature, or of two sets of clips
"""

from tonearm.features.autoencoder import SparseAutoencoder, decode, encode, feature_values
from tonearm.features.contrast import Contrast, contrast_features
from tonearm.features.fidelity import Fidelity
from tonearm.features.labels import Labeller, Labels, label_clips
from tonearm.features.naming import Name, Naming, name_features, save_naming
from tonearm.features.settings import TrainingSettings
from tonearm.features.tracks import TrackActivity, track_activity
from tonearm.features.train import train_autoencoders
from tonearm.features.trained import (
    AutoencoderInfo,
    TrainedAutoencoder,
    load_autoencoder,
    save_autoencoder,
)
from tonearm.features.vectors import feature_vector

__all__ = [
    "AutoencoderInfo",
    "Contrast",
    "Fidelity",
    "Labeller",
    "Labels",
    "Name",
    "Naming",
    "SparseAutoencoder",
    "TrackActivity",
    "TrainedAutoencoder",
    "TrainingSettings",
    "contrast_features",
    "decode",
    "encode",
    "feature_values",
    "feature_vector",
    "label_clips",
    "load_autoencoder",
    "name_features",
    "save_autoencoder",
    "save_naming",
    "track_activity",
    "train_autoencoders",
]
