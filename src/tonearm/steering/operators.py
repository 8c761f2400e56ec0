"""The eight ways to move an activation along a direction.

Conventions: `h` [..., D] activations, `v` [D] (or broadcastable) the direction at that layer, raw;
`s` broadcastable to h[..., :1], the strength. r = v / |v|. Norms are computed in float32; the
result has h's dtype. Strength 0 gives back h bit for bit.

| operator | h becomes                                                        | from                              |
|----------|------------------------------------------------------------------|-----------------------------------|
| add      | h + s v                                                          | Facchiano et al. 2025, eq. 2      |
| blend    | (h + s r) / (1 + |s|); scale "activation": r times the norm of h | Panda et al. 2025, IV-D, at s > 0  |
| rotate   | h + s r |h|, rescaled to the norm of h: exactly norm-preserving  | ours                              |
| remove   | h - s (h . r) r; s = 1 takes the direction out whole             | directional ablation              |
| set      | h + s (target - h . r) r; s = 1 ends on the target               | thermostat                        |
| clamp    | h moved along r so that h . r lies in [low, high], s of the way  | projection clamp                  |
| feature  | h + s (z' - z) r, z the value of the feature that reads h        | edit of sparse autoencoders       |

remove takes an attribute out if v is the difference of the class means (DiffMean): their means are
then equal. The weights of a probe do not span the attribute, and removing them leaves the means
apart.

blend at s < 0 is blend of -v at |s|: the paper has positive strengths alone.

rotate turns h by less than half a circle; only where h and s r |h| cancel (h against r, s = -1 or
1) there is no way to turn, and h becomes 0.

slerp keeps the norm, too, and |s| <= 1 is a share of the angle theta between h and sign(s) r, so
that equal steps of s are equal angles, and s = 1 ends on r:

    h' = |h| (cos((1 - |s|) theta) r + sin((1 - |s|) theta) u),   u = unit(h - (h . r) r)

Where h is parallel to r, within PARALLEL of the sine of theta, there is no plane, and h is kept.

feature scales the value of a feature, z' = 2 z, so that it becomes (1 + s) z: s = -1 silences it. With
a target it is set, z' = target, and s is the share of the way. Only the part of h that the feature
writes is moved; the error of the autoencoder's reconstruction stays.

set moves the projection h . r the share 0 <= s <= 1 of its way to a target; remove is set to 0.
"""

from typing import Literal

import torch

Operator = Literal["add", "blend", "rotate", "slerp", "remove", "set", "clamp", "feature"]
Scale = Literal["unit", "activation"]
# of a projection; a tensor, broadcastable to h[..., :1], can change in place
Bound = float | torch.Tensor

PARALLEL = 1e-4  # below this sine, float32 has 3 digits or fewer of the direction in which to turn


def unit(v: torch.Tensor) -> torch.Tensor:
    """v / |v| in float32; a zero vector stays zero."""
    v = v.float()
    return v / v.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)


def add(h: torch.Tensor, v: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    return h + s * v


def blend(h: torch.Tensor, v: torch.Tensor, s: torch.Tensor, scale: Scale = "unit") -> torch.Tensor:
    r = unit(v)
    if scale == "activation":
        r = r * h.norm(dim=-1, keepdim=True)
    return (h + s * r) / (1 + s.abs())


def rotate(h: torch.Tensor, v: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    norm = h.norm(dim=-1, keepdim=True)
    turned = h + s * unit(v) * norm
    return turned * (
        norm / turned.norm(dim=-1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
    )


def slerp(h: torch.Tensor, v: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    r, norm = s.sign() * unit(v), h.norm(dim=-1, keepdim=True)
    along = (h * r).sum(-1, keepdim=True)
    across = h - along * r
    sine = across.norm(dim=-1, keepdim=True)  # times the norm
    angle = (1 - s.abs()) * torch.atan2(sine, along)
    turned = unit(angle.cos() * r + angle.sin() * unit(across)) * norm
    has_plane = (sine > PARALLEL * norm) & (r != 0).any(-1, keepdim=True)
    return torch.where(has_plane, turned, h)


def remove(h: torch.Tensor, v: torch.Tensor, s: torch.Tensor) -> torch.Tensor:
    r = unit(v)
    return h - s * (h * r).sum(-1, keepdim=True) * r


def set_projection(
    h: torch.Tensor, v: torch.Tensor, s: torch.Tensor, target: Bound
) -> torch.Tensor:
    r = unit(v)
    projection = (h * r).sum(-1, keepdim=True)
    return h + s * (torch.as_tensor(target).to(projection) - projection) * r


def clamp(
    h: torch.Tensor, v: torch.Tensor, s: torch.Tensor, low: Bound, high: Bound
) -> torch.Tensor:
    r = unit(v)
    projection = (h * r).sum(-1, keepdim=True)
    lowest, highest = (torch.as_tensor(bound).to(projection) for bound in (low, high))
    return h + s * (projection.clamp(lowest, highest) - projection) * r


def edit_feature(
    h: torch.Tensor, v: torch.Tensor, s: torch.Tensor, z: torch.Tensor, target: Bound | None
) -> torch.Tensor:
    goal = 2 * z if target is None else torch.as_tensor(target).to(z)
    return h + s * (goal - z) * unit(v)


def apply(
    operator: Operator,
    h: torch.Tensor,
    v: torch.Tensor,
    s: torch.Tensor,
    *,
    scale: Scale = "unit",
    low: Bound = float("-inf"),
    high: Bound = float("inf"),
    target: Bound | None = None,
    reading: torch.Tensor | None = None,
) -> torch.Tensor:
    """h moved by `operator`; where s is 0, h itself, bit for bit.

    `reading` is the value of the feature, broadcastable to h[..., :1], for operator feature.
    """
    if operator == "add":
        moved = add(h, v.to(h.dtype), s.to(h.dtype))
    else:
        wide, strength = h.float(), s.float()
        if operator == "blend":
            moved = blend(wide, v, strength, scale)
        elif operator == "rotate":
            moved = rotate(wide, v, strength)
        elif operator == "slerp":
            moved = slerp(wide, v, strength)
        elif operator == "remove":
            moved = remove(wide, v, strength)
        elif operator == "set":
            moved = set_projection(wide, v, strength, 0.0 if target is None else target)
        elif operator == "feature":
            assert reading is not None
            moved = edit_feature(wide, v, strength, reading, target)
        else:
            moved = clamp(wide, v, strength, low, high)
    return torch.where(s == 0, h, moved.to(h.dtype))
