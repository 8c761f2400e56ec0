"""A feature as a steering vector: v = a_f W_dec[:, f], a_f the feature's peak.

Adding v once writes the feature as strongly as the 99th percentile of its values on music where it
is active. The vector also reads the feature, for the operator feature, which scales or sets its
value. Unlike the replacement of an activation by its reconstruction, both leave the rest of the
activation as it is.
"""

from typing import Any

from tonearm import __version__, boundary
from tonearm.features.trained import TrainedAutoencoder
from tonearm.steering import SteeringVector, VectorInfo
from tonearm.steering.reader import packed_reader

DECIMALS = 6  # of the numbers in a vector's metadata


def feature_vector(
    trained: TrainedAutoencoder,
    feature: int,
    name: str | None = None,
    *,
    positive_label: str | None = None,
) -> SteeringVector:
    """Make the steering vector of a feature, at the layer of its autoencoder alone.

    Args:
        trained: the autoencoder.
        feature: number of the feature.
        name: of the vector; default: feature-N.
        positive_label: meaning of a positive strength; default: feature N.

    Raises:
        TonearmError: a feature that does not exist or is never active.
    """
    feature = trained.check_feature(boundary.integer(feature, "feature"))
    peak, label = float(trained.peaks[feature]), positive_label or f"feature {feature}"
    info = vector_info(
        trained,
        f"feature-{feature}" if name is None else boundary.text(name, "name"),
        method="sae",
        positive_label=label,
        negative_label=f"less {label}",
        source=trained.info.source,
        data_hash=trained.content_hash()[:16],
        statistics={
            "feature": feature,
            "peak": round(peak, DECIMALS),
            "share_of_frames": round(float(trained.shares[feature]), DECIMALS),
        },
    )
    layer, weights = trained.info.layer, trained.weights
    encoder = weights.encoder[feature]
    # relu(e . (h - b_dec) + b) = relu(e . h + (b - e . b_dec))
    bias = float(weights.encoder_bias[feature] - encoder @ weights.decoder_bias)
    return SteeringVector(
        {layer: peak * weights.decoder[feature]},
        info,
        readers={layer: packed_reader(encoder, bias, weights.threshold)},
    )


def vector_info(trained: TrainedAutoencoder, name: str, **fields: Any) -> VectorInfo:
    """Provenance of a vector at the layer of an autoencoder.

    Args:
        trained: the autoencoder.
        name: of the vector.
        fields: further ones of VectorInfo.
    """
    info = trained.info
    return VectorInfo(
        name=name,
        checkpoint=info.checkpoint,
        fingerprint=info.fingerprint,
        width=info.width,
        layer_count=info.layer_count,
        site=info.site,
        pooling="frames",
        best_layer=info.layer,
        activation_norms={info.layer: round(info.mean_norm, DECIMALS)},
        library_version=__version__,
        **fields,
    )
