"""Enlarged pictures without any learning, by Pillow."""

from __future__ import annotations

import dataclasses

import numpy as np

from dlm.baselines.base import Fitted, needs_numbers
from dlm.data.dataset import Dataset
from dlm.utils.errors import UsageError, at_least


@dataclasses.dataclass(frozen=True)
class Bicubic:
    """Pictures enlarged `factor` times by cubic convolution (Keys 1981, a = −0.5), as Pillow does.

    Nothing is learnt of a subset, so its curve is flat: what super-resolution has to beat. Inputs and targets must be
    in one unit, such as 0 … 1; values are not cut to the range of inputs.
    """

    factor: int = 2

    def __post_init__(self) -> None:
        at_least(2, factor=self.factor)

    def check(self, dataset: Dataset) -> None:
        """UsageError unless inputs are pictures and targets those pictures, `factor` times as high and as wide."""
        needs_numbers(self, dataset)
        shape, wanted = dataset.train.x.shape[1:], int(np.prod(dataset.train.y.shape[1:]))
        if len(shape) != 3 or dataset.standardize:
            raise UsageError(
                f"Bicubic() enlarges pictures [height, width, channels], and inputs of {dataset.name!r} have the shape "
                f"{shape}{' and are standardized' if dataset.standardize else ''}; leave it out"
            )
        made = self.factor**2 * int(np.prod(shape))
        if made != wanted:
            raise UsageError(
                f"factor={self.factor} makes {made} numbers of a picture {shape}, and the targets of {dataset.name!r} "
                f"have {wanted}; choose the factor by which targets are larger"
            )

    def fit(self, x: np.ndarray, y: np.ndarray, num_outputs: int, seed: int) -> Fitted:
        """Nothing is fitted. Outputs are float32 [N, h · factor · w · factor · C] of x float32 [N, h, w, C]."""
        return Fitted(0, lambda inputs: self.enlarged(inputs).reshape(len(inputs), num_outputs), own_unit=True)

    def enlarged(self, x: np.ndarray) -> np.ndarray:
        """Pictures float32 [N, h, w, C] as [N, h · factor, w · factor, C]."""
        from PIL import Image

        height, width = (self.factor * side for side in x.shape[1:3])
        channels = np.moveaxis(x.astype(np.float32), 3, 1).reshape(-1, *x.shape[1:3])
        size, how = (width, height), Image.Resampling.BICUBIC
        large = [np.asarray(Image.fromarray(each).resize(size, how)) for each in channels]
        return np.moveaxis(np.stack(large).reshape(len(x), -1, height, width), 1, 3)
