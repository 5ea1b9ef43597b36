"""Results of network analyses as dataclasses, saved in `<workdir>/interpretability/`."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from dlm.utils.files import write_atomically

FOLDER = "interpretability"


@dataclasses.dataclass(frozen=True)
class Attribution:
    """Sanity checks of one attribution method.

    `control`: the mean rank correlation of the maps' absolute values with those of untrained networks;
    `signed_control`: the same for signed values; None where undefined. `completeness` of integrated gradients: the
    largest difference between an example's sum and its difference of outputs, relative to the RMS difference.
    """

    method: str
    control: float | None
    signed_control: float | None
    completeness: float | None = None


@dataclasses.dataclass(frozen=True)
class Probe:
    """The test error of a linear probe of one layer of the network trained on `train_size` examples."""

    layer: str
    train_size: int
    error: float
    num_features: int
    estimator: str


@dataclasses.dataclass(frozen=True)
class NetworkError:
    """The test error of a network, and the share of the probes' training examples that it was trained on too."""

    train_size: int
    error: float
    share_trained_on: float


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Linear CKA of every layer between networks that differ in `of`, "train_size" or "subset_seed", by its `values`.

    `cka` [L, K, K]; `control` [L]: the same with the examples of one network permuted, 0 in expectation;
    None where a layer is constant.
    """

    of: str
    values: tuple[int, ...]
    layers: tuple[str, ...]
    cka: np.ndarray
    control: tuple[float | None, ...]


@dataclasses.dataclass(frozen=True)
class NetworkAnalysis:
    """Analysis of one trial's network.

    `kind` of inputs: image, table or text. `probes`: by layer, for every size of the same seed with saved parameters;
    `missing`: the other sizes. `num_probe`, `num_test`: training and test examples of the probes. Arrays: `examples`
    [B, ...] as stored, `rows` in the test split, `targets`, `predicted` [B, ...]; `maps` by method [B, *positions];
    `filters` [F, ...] of the first layer or None.
    """

    trial_id: str
    learner: str
    train_size: int
    seed: int
    kind: str
    unit: str
    layers: tuple[str, ...]
    probes: tuple[Probe, ...]
    networks: tuple[NetworkError, ...]
    missing: tuple[int, ...]
    num_probe: int
    num_test: int
    similarities: tuple[Similarity, ...]
    attributions: tuple[Attribution, ...]
    examples: np.ndarray
    rows: np.ndarray
    targets: np.ndarray
    predicted: np.ndarray
    maps: Mapping[str, np.ndarray]
    filters: np.ndarray | None
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    seconds: float

    def probe(self, layer: str, train_size: int) -> Probe | None:
        """The probe of a layer at a size."""
        return next((each for each in self.probes if (each.layer, each.train_size) == (layer, train_size)), None)

    @property
    def column_weights(self) -> np.ndarray | None:
        """RMS weight of each column of a table in the first layer [D]; None for other inputs."""
        if self.kind != "table" or self.filters is None:
            return None
        return np.sqrt(np.mean(np.square(self.filters), axis=0))


def write_analysis(folder: Path, analysis: NetworkAnalysis) -> None:
    """Writes `<trial_id>.json`, with arrays in base 64, replacing an earlier analysis."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    data = msgspec.json.encode(analysis, enc_hook=_encode_array)
    write_atomically(folder / FOLDER / f"{analysis.trial_id}.json", msgspec.json.format(data, indent=1).decode() + "\n")


def read_analyses(folder: Path) -> list[NetworkAnalysis]:
    """All analyses of a workdir, by learner, size and seed; unreadable files are ignored."""
    analyses = [analysis for path in (folder / FOLDER).glob("*.json") if (analysis := _read(path))]
    return sorted(analyses, key=lambda each: (each.learner, each.train_size, each.seed, each.trial_id))


def _read(path: Path) -> NetworkAnalysis | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=NetworkAnalysis, dec_hook=_decode_array)
    except (OSError, ValueError):
        return None


def _encode_array(array: Any) -> dict[str, Any]:
    return {"dtype": array.dtype.str, "shape": array.shape, "data": array.tobytes()}


def _decode_array(_: type, stored: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(stored["data"]), stored["dtype"]).reshape(stored["shape"])
