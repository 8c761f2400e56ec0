"""A trained autoencoder with its provenance, and its file.

Files are safetensors: tensors `encoder` [F, D], `encoder_bias` [F], `decoder` [F, D],
`decoder_bias` [D], `shares` [F] and `peaks` [F], in float32 or float16, and the rest as JSON in the
metadata key `tonearm_autoencoder`. The weights are those of raw activations: the scale that
training divides them by is folded back into the biases and the threshold.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch

from tonearm import boundary
from tonearm.backend import ModelShape
from tonearm.errors import TonearmError
from tonearm.features.autoencoder import SparseAutoencoder
from tonearm.features.info import AutoencoderInfo
from tonearm.files.atomic import atomic_write
from tonearm.files.text_file import MIB, parse_json
from tonearm.loading import loading_errors
from tonearm.schema import validated

METADATA_KEY = "tonearm_autoencoder"
SUFFIX = ".safetensors"
MAX_BYTES = 8192 * MIB  # 32 x 2,048 features of width 2,048 have 1 GiB
TYPES = {"float32": torch.float32, "float16": torch.float16}
REMEDY = "give a file made by `tonearm sae train`"
UNIT_TOLERANCE = 0.01  # of the length of a column


@dataclass(frozen=True, eq=False)
class TrainedAutoencoder:
    """An autoencoder of one layer.

    weights  of raw activations
    shares   share of the frames in which each feature is active, float32 [F]
    peaks    99th percentile of each feature's values where it is active, float32 [F]
    info     provenance
    """

    weights: SparseAutoencoder
    shares: torch.Tensor
    peaks: torch.Tensor
    info: AutoencoderInfo

    def content_hash(self) -> str:
        """sha256 (hexadecimal) of the weights and of the place that they belong to."""
        info = self.info
        identity = (info.fingerprint, info.site, info.layer, self.weights.threshold)
        digest = hashlib.sha256(repr(identity).encode())
        for tensor in self._tensors().values():
            digest.update(tensor.numpy().astype("<f4").tobytes())
        return digest.hexdigest()

    def check_model(self, shape: ModelShape) -> None:
        """Raise TonearmError unless the autoencoder was trained on this checkpoint."""
        if self.info.fingerprint != shape.fingerprint:
            raise TonearmError(
                f"the autoencoder was trained on {self.info.checkpoint} "
                f"({self.info.fingerprint}), not on {shape.name} ({shape.fingerprint}); load that "
                "checkpoint, or train another autoencoder with `tonearm sae train`"
            )

    def check_feature(self, feature: int) -> int:
        """Return the number of a feature. Raises TonearmError for one that does not exist, or that
        is never active.
        """
        if not 0 <= feature < self.info.features:
            raise TonearmError(
                f"feature {feature} does not exist; the autoencoder has features 0 to "
                f"{self.info.features - 1}"
            )
        if not self.peaks[feature] > 0:
            raise TonearmError(
                f"feature {feature} is never active; `tonearm sae features` lists those that are"
            )
        return feature

    def _tensors(self) -> dict[str, torch.Tensor]:
        weights = self.weights
        return {
            "encoder": weights.encoder,
            "encoder_bias": weights.encoder_bias,
            "decoder": weights.decoder,
            "decoder_bias": weights.decoder_bias,
            "shares": self.shares,
            "peaks": self.peaks,
        }


def save_autoencoder(
    trained: TrainedAutoencoder,
    path: str | os.PathLike[str],
    dtype: Literal["float32", "float16"] = "float32",
) -> Path:
    """Write an autoencoder whole or not at all.

    Args:
        trained: to write.
        path: of the file, which ends in .safetensors.
        dtype: of the weights in the file; float16 halves it.

    Raises:
        TonearmError: another ending or type, or a path that cannot be written.
    """
    target = Path(boundary.path(path, "path"))
    if target.suffix != SUFFIX:
        raise TonearmError(f"cannot write {target}: an autoencoder's file ends in {SUFFIX}")
    if dtype not in TYPES:
        raise TonearmError(f"dtype {dtype!r} is not possible; use one of {', '.join(TYPES)}")
    tensors = {
        name: tensor.to(TYPES[dtype]).contiguous() for name, tensor in trained._tensors().items()
    }
    metadata = {METADATA_KEY: trained.info.model_dump_json(), "sha256": _digest(tensors)}
    content = safetensors.torch.save(tensors, metadata)
    with atomic_write(target) as temporary:
        temporary.write_bytes(content)
    return target


def is_autoencoder(path: Path) -> bool:
    """Whether a file is an autoencoder, by its metadata."""
    try:
        with safetensors.safe_open(path, framework="np") as file:
            return METADATA_KEY in (file.metadata() or {})
    except (OSError, safetensors.SafetensorError):
        return False


def load_autoencoder(path: str | os.PathLike[str]) -> TrainedAutoencoder:
    """Read an autoencoder.

    Raises:
        TonearmError: a file that is absent, too large, damaged or no autoencoder.
    """
    path = Path(boundary.path(path, "path"))
    if not path.is_file():
        raise TonearmError(f"no autoencoder at {path}; {REMEDY}")
    if path.stat().st_size > MAX_BYTES:
        raise TonearmError(f"{path} is larger than {MAX_BYTES // MIB} MiB; {REMEDY}")
    with loading_errors(str(path), REMEDY), safetensors.safe_open(path, framework="pt") as file:
        metadata = dict(file.metadata() or {})
        if METADATA_KEY not in metadata:
            raise TonearmError(f"{path} is a safetensors file but no autoencoder; {REMEDY}")
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    content = parse_json(metadata[METADATA_KEY], str(path), REMEDY)
    info: AutoencoderInfo = validated(AutoencoderInfo, content, where=str(path))
    _check_tensors(path, tensors, info, metadata.get("sha256", ""))
    wide = {name: tensor.float() for name, tensor in tensors.items()}
    weights = SparseAutoencoder(
        wide["encoder"],
        wide["encoder_bias"],
        wide["decoder"],
        wide["decoder_bias"],
        info.threshold,
    )
    return TrainedAutoencoder(weights, wide["shares"], wide["peaks"], info)


def _check_tensors(
    path: Path, tensors: dict[str, torch.Tensor], info: AutoencoderInfo, stated: str
) -> None:
    many, width = info.features, info.width
    sizes: dict[str, tuple[int, ...]] = {
        "encoder": (many, width),
        "encoder_bias": (many,),
        "decoder": (many, width),
        "decoder_bias": (width,),
        "shares": (many,),
        "peaks": (many,),
    }
    if info.layer >= info.layer_count:
        raise TonearmError(f"{path}: layer {info.layer} is outside 0..{info.layer_count - 1}")
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if shapes != sizes or any(one.dtype not in TYPES.values() for one in tensors.values()):
        raise TonearmError(
            f"{path} is damaged: its tensors do not match its header; copy or train it again"
        )
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise TonearmError(f"{path}: {name} holds NaN or infinite values; train it again")
    lengths = tensors["decoder"].float().norm(dim=-1)
    if not torch.allclose(lengths, torch.ones(many), atol=UNIT_TOLERANCE):
        raise TonearmError(f"{path}: its features are not of unit length; train it again")
    if _digest(tensors) != stated:
        raise TonearmError(
            f"{path} is damaged: its weights do not match the stored digest; copy it again"
        )


def _digest(tensors: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        content: Any = tensor.contiguous().view(torch.uint8).numpy()
        digest.update(name.encode() + content.tobytes())
    return digest.hexdigest()
