"""Declares random augmentation of training inputs; `dlm/train/augmentation.py` applies it."""

from __future__ import annotations

import dataclasses
import math

from dlm.study.config import check_fields
from dlm.utils.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Augment:
    """Random augmentation of training inputs, new at every step. All fields are off at 0.

    Applied in the order of the fields, except `mixup`, which is last. Inputs are set to zero after normalization.

    Attributes:
        flip: images: mirror left-right with probability 1/2.
        crop: images: shift by up to this many pixels each way, padding with zeros (He et al. 2016, "Deep residual
            learning").
        cutout: images: set a square of this side to zero; its centre is uniform, so it may cross the edge (DeVries &
            Taylor 2017).
        mixup: alpha of the Beta(alpha, alpha) weight that averages two examples (Zhang et al. 2018).
        time_mask: spectrograms: set up to this many consecutive frames to zero (Park et al. 2019, "SpecAugment").
        frequency_mask: spectrograms: the same for frequency bands.
        token_drop: tokens: probability of replacing a token by 0.
    """

    flip: bool = False
    crop: int = 0
    cutout: int = 0
    mixup: float = 0.0
    time_mask: int = 0
    frequency_mask: int = 0
    token_drop: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self, "augment")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if not math.isfinite(value) or value < 0:
                raise UsageError(f"augment.{field.name}={value!r} must be a finite number of at least 0")
        for name in ("token_drop", "mixup"):
            object.__setattr__(self, name, float(getattr(self, name)))
        if self.token_drop >= 1:
            raise UsageError(f"augment.token_drop={self.token_drop:g} is a probability; choose a value below 1")
        if self.mixup and not 1e-3 <= self.mixup <= 1e3:
            raise UsageError(f"augment.mixup={self.mixup:g} must lie between 0.001 and 1000, or be 0 for none")


def check(augment: Augment, input_shape: tuple[int, ...], tokens: bool) -> None:
    """UsageError for augmentation that does not fit the examples.

    Args:
        input_shape: shape of one example.
        tokens: whether inputs are token ids.
    """
    rank = len(input_shape)
    needs = {
        ("flip", "crop", "cutout"): ("images [H, W] or [H, W, C]", not tokens and rank in (2, 3)),
        ("time_mask", "frequency_mask"): ("spectrograms [T, F] or [T, F, …]", not tokens and rank >= 2),
        ("token_drop",): ("tokens [L]", tokens),
        ("mixup",): ("inputs that can be averaged", not tokens),
    }
    for names, (needed, fits) in needs.items():
        for name in names:
            if getattr(augment, name) and not fits:
                kind = "tokens" if tokens else "numbers"
                raise UsageError(
                    f"augment.{name}={getattr(augment, name)} needs {needed}; examples are {kind} of shape "
                    f"{input_shape}; omit it"
                )
    limits = {
        "crop": (input_shape[:2], "pixels of the smaller side"),
        "cutout": (input_shape[:2], "pixels of the smaller side"),
        "time_mask": (input_shape[:1], "frames of an example"),
        "frequency_mask": (input_shape[1:2], "bands of an example"),
    }
    for name, (sides, what) in limits.items():
        value = getattr(augment, name)
        if value and value >= min(sides):
            raise UsageError(
                f"augment.{name}={value} must be below the {min(sides)} {what}; examples have shape {input_shape}"
            )
