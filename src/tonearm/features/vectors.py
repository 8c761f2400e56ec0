"""A feature as a steering vector: v = a_f W_dec[:, f], a_f the feature's peak.

Adding v once writes the feature as strongly as the 99th percentile of its values on music where it
is active. Unlike the replacement of an activation by its reconstruction, addition leaves the rest
of the activation as it is.
"""

from tonearm import __version__, boundary
from tonearm.features.trained import TrainedAutoencoder
from tonearm.steering import SteeringVector, VectorInfo

DECIMALS = 6


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
    info, peak = trained.info, float(trained.peaks[feature])
    found = VectorInfo(
        name=f"feature-{feature}" if name is None else boundary.text(name, "name"),
        checkpoint=info.checkpoint,
        fingerprint=info.fingerprint,
        width=info.width,
        layer_count=info.layer_count,
        site=info.site,
        method="sae",
        pooling="frames",
        positive_label=positive_label or f"feature {feature}",
        negative_label=f"less {positive_label or f'feature {feature}'}",
        source=info.source,
        data_hash=trained.content_hash()[:16],
        best_layer=info.layer,
        activation_norms={info.layer: round(info.mean_norm, DECIMALS)},
        statistics={
            "feature": feature,
            "peak": round(peak, DECIMALS),
            "share_of_frames": round(float(trained.shares[feature]), DECIMALS),
        },
        library_version=__version__,
    )
    return SteeringVector({info.layer: peak * trained.weights.decoder[feature]}, found)
