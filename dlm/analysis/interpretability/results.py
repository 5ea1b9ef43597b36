"""What was found inside a network, as plain dataclasses kept in `<workdir>/inside/`: needs NumPy only."""

from __future__ import annotations

import dataclasses
import json
import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dlm.utils.files import replacing, write_atomically

FOLDER = "inside"


@dataclasses.dataclass(frozen=True)
class Attribution:
    """What is to know about the maps of one method.

    `control`: the rank correlation of their absolute values with those of networks of the same kind whose weights were
    never trained, the mean over examples; `signed_control` of their values with their signs; None where there is none.
    `completeness`, of integrated gradients: the largest difference between an example's sum and the difference of
    outputs, as a share of the typical difference.
    """

    method: str
    control: float | None
    signed_control: float | None
    completeness: float | None = None


@dataclasses.dataclass(frozen=True)
class Probe:
    """The test error of a linear reader of one layer of the network trained on `train_size` examples."""

    layer: str
    train_size: int
    error: float
    num_features: int
    reader: str


@dataclasses.dataclass(frozen=True)
class OwnError:
    """The test error of the network itself; `seen`: the share of the readers' examples that it has learnt from too."""

    train_size: int
    error: float
    seen: float


@dataclasses.dataclass(frozen=True)
class Similarity:
    """Linear CKA of every layer between networks that differ in `of`, "train_size" or "subset_seed", by its `values`.

    `cka` [L, K, K]; `control` [L]: the same with the examples of one network in another order, 0 but for chance.
    """

    of: str
    values: tuple[int, ...]
    layers: tuple[str, ...]
    cka: np.ndarray
    control: tuple[float, ...]


@dataclasses.dataclass(frozen=True)
class Inside:
    """What was found inside one trial's network.

    `kind` is what its inputs are: image, table or text. `probes`: by layer, for every size of the same seed whose
    parameters were there; `missing`: the sizes whose were not. `num_probe`, `num_test`: examples that readers learnt
    from, and that errors are of. Arrays: `examples` [B, ...] as stored, `rows` of the test split they are, `targets`,
    `predicted` [B, ...]; `maps` by method [B, *places]; `filters` [F, ...], None where there are none.
    """

    trial_id: str
    learner: str
    train_size: int
    seed: int
    kind: str
    unit: str
    layers: tuple[str, ...]
    probes: tuple[Probe, ...]
    own: tuple[OwnError, ...]
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
        """Of a table, the root mean square weight that each column has in the first layer. [D]."""
        if self.kind != "table" or self.filters is None:
            return None
        return np.sqrt(np.mean(np.square(self.filters), axis=0))


ARRAYS = ("examples", "rows", "targets", "predicted", "filters")


def write(workdir: Path, inside: Inside) -> list[Path]:
    """Keep it as `<trial_id>.json` and `.npz`, in place of what was there."""
    folder = workdir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: value for name in ARRAYS if (value := getattr(inside, name)) is not None}
    arrays |= {f"maps/{method}": value for method, value in inside.maps.items()}
    arrays |= {f"cka/{each.of}": each.cka for each in inside.similarities}
    told = {name: value for name, value in dataclasses.asdict(inside).items() if name not in (*ARRAYS, "maps")}
    for each in told["similarities"]:
        del each["cka"]
    text, numbers = (folder / f"{inside.trial_id}.{ending}" for ending in ("json", "npz"))
    with replacing(numbers) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)
    write_atomically(text, json.dumps(_finite(told), indent=1, allow_nan=False) + "\n")
    return [text, numbers]


def read(workdir: Path) -> list[Inside]:
    """All that was found in a workdir, by learner, size and seed; what cannot be read is as good as absent."""
    found = [_read(path) for path in sorted((workdir / FOLDER).glob("*.json"))]
    return sorted(
        (inside for inside in found if inside),
        key=lambda each: (each.learner, each.train_size, each.seed, each.trial_id),
    )


def _read(path: Path) -> Inside | None:
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        similar = [
            Similarity(**_tuples(each | {"cka": arrays[f"cka/{each['of']}"]})) for each in told.pop("similarities")
        ]
        told["probes"] = tuple(Probe(**each) for each in told["probes"])
        told["own"] = tuple(OwnError(**each) for each in told["own"])
        told["attributions"] = tuple(Attribution(**each) for each in told["attributions"])
        maps = {name.removeprefix("maps/"): value for name, value in arrays.items() if name.startswith("maps/")}
        named = {name: arrays.get(name) for name in ARRAYS}
        return Inside(**_tuples(told), similarities=tuple(similar), maps=maps, **named)  # type: ignore[arg-type]
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def _tuples(told: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in told.items()}


def _finite(value: Any) -> Any:
    """With None for every number that is none."""
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
