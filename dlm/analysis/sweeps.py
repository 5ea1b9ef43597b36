"""What hyperparameters that a study swept did to the validation error, and alarms where the best lies at an edge."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from statistics import fmean
from typing import Any

from dlm.curves.from_records import curve_name
from dlm.curves.summary import SeedSpread, seed_spread
from dlm.storage.record_log import Record, ends

MANY = 3  # sizes that are named in an alarm; of more the first and the last


@dataclasses.dataclass(frozen=True)
class Sweep:
    """One hyperparameter of a learner: at each size, for each value, validation errors of the seeds.

    The other hyperparameters are, at each value, those with the least mean error. `values` ascend where they are
    numbers; `errors[size][value]` holds their places in `values`; `means` their mean errors, which choose.
    """

    learner: str
    path: str
    values: tuple[Any, ...]
    errors: Mapping[int, Mapping[int, SeedSpread]]
    means: Mapping[int, Mapping[int, float]]

    @property
    def numeric(self) -> bool:
        """Whether values are numbers, so that an edge has a beyond."""
        return all(is_number(value) for value in self.values)

    def best(self, size: int) -> int:
        """The place of the value with the least mean error, which the learning curve shows the setting of."""
        found = self.means[size]
        return min(found, key=lambda place: (found[place], place))


def sweeps(records: Iterable[Record], trial_ids: Collection[str] | None = None) -> list[Sweep]:
    """A sweep for each learner and each part of its config that has several values."""
    rows = [row for row in records if trial_ids is None or row.trial_id in trial_ids]
    validation = {
        (row.trial_id, row.step): row.value for row in rows if (row.split, row.metric) == ("validation", "error")
    }
    learners: dict[str, list[tuple[int, dict[str, Any], float]]] = defaultdict(list)
    for row in ends(rows).values():
        error = validation.get((row.trial_id, row.step))
        if error is not None:
            learners[curve_name(row.learner, row.noise)].append((row.train_size, flat(row.hyper), error))
    return [sweep for name, cells in learners.items() for sweep in _of_learner(name, cells)]


def alarms(found: Iterable[Sweep]) -> list[str]:
    """A sentence for each sweep whose best value is the smallest or largest tried, and at which sizes."""
    told = []
    for sweep in found:
        if not sweep.numeric:
            continue
        for place, word, more in ((0, "smallest", "smaller"), (len(sweep.values) - 1, "largest", "larger")):
            train_sizes = [
                size for size in sorted(sweep.errors) if len(sweep.errors[size]) > 1 and sweep.best(size) == place
            ]
            if train_sizes:
                told.append(
                    f"{sweep.learner}: the best {sweep.path}, {sweep.values[place]:g}, is the {word} tried at "
                    f"{listed(train_sizes)} examples; try {more} ones."
                )
    return told


def _of_learner(name: str, cells: list[tuple[int, dict[str, Any], float]]) -> Iterator[Sweep]:
    paths = dict.fromkeys(path for _, config, _ in cells for path in config)
    for path in paths:
        known = {key_of(config.get(path)): config.get(path) for _, config, _ in cells}
        if len(known) < 2:
            continue
        numbers = all(is_number(value) for value in known.values())
        order = sorted(known, key=lambda key: (known[key] if numbers else 0, key))
        places = {key: place for place, key in enumerate(order)}
        variants: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))  # size, value, whole config
        for size, config, error in cells:
            variants[size][places[key_of(config.get(path))]][key_of(config)].append(error)
        seeds = {
            size: {place: min(each.values(), key=fmean) for place, each in sorted(by_value.items())}
            for size, by_value in sorted(variants.items())
        }
        errors = {size: {place: seed_spread(each) for place, each in row.items()} for size, row in seeds.items()}
        means = {size: {place: fmean(each) for place, each in row.items()} for size, row in seeds.items()}
        yield Sweep(name, path.removeprefix("hyper."), tuple(known[key] for key in order), errors, means)


def flat(text: str) -> dict[str, Any]:
    """The leaves of a learner's config by dotted path."""

    def leaves(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Mapping):
            for name, inner in value.items():
                if name != "type":
                    yield from leaves(inner, f"{prefix}{name}.")
        else:
            yield prefix.rstrip("."), value

    try:
        return dict(leaves(json.loads(text), ""))
    except (ValueError, RecursionError):
        return {}


def key_of(value: Any) -> str:
    """A value of a config as it can be looked up."""
    return json.dumps(value, sort_keys=True)


def is_number(value: Any) -> bool:
    """Whether a value has a smaller and a larger."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def listed(train_sizes: list[int]) -> str:
    """Sizes in words; of many the first and the last."""
    shown = [f"{size:,}" for size in train_sizes]
    if len(shown) > MANY:
        return f"{shown[0]} to {shown[-1]}" if len(shown) > 1 else shown[0]
    return " and ".join([", ".join(shown[:-1]), shown[-1]]) if len(shown) > 1 else shown[0]
