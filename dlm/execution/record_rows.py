"""Measurements as rows of the records: each number with everything that tells where it came from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dlm.data.subset_orders import SubsetOrders
from dlm.storage import description
from dlm.storage.record_log import Record
from dlm.study.config import canonical
from dlm.study.learner import Learner
from dlm.study.names import ERROR_WITHOUT_LEAKS
from dlm.study.noise import noise_text
from dlm.study.study import Study
from dlm.study.trial import Cohort, Trial
from dlm.train import devices
from dlm.train.devices import Packing
from dlm.train.trainer import Measurement


class Origin:
    """What all numbers of a run have in common. `flops`: operations of an update, by cohort id."""

    def __init__(self, study: Study, orders: SubsetOrders, packing: Packing, flops: Mapping[str, float]) -> None:
        self.study, self.orders, self.dataset, self.packing, self.flops = study, orders, orders.dataset, packing, flops
        self.num_leaked = 0 if self.dataset.leaked_rows is None else len(self.dataset.leaked_rows)
        self.versions = " ".join(f"{name}={version}" for name, version in description.versions().items())

    def rows(self, measured: Measurement, note: str = "", inference_seconds: float | None = None) -> list[Record]:
        """The numbers as records. The final block ends with the test error, absent where there is none."""
        values: dict[tuple[str, str], float | None] = dict(measured.values)
        last = ("test", "error")
        if measured.status != "running":
            values[last] = values.pop(last, None)
        trial = measured.trial
        deep = isinstance(trial.learner, Learner)
        seen = {"train": trial.budget.batch_size if deep else trial.train_size}
        seen |= {split: len(getattr(self.dataset, split)) for split in ("validation", "test")}
        units = trial.task.units | {ERROR_WITHOUT_LEAKS: trial.task.unit}
        origin = self._of(measured, note) | {"inference_seconds": inference_seconds}
        return [
            Record(
                **origin,
                split=split,
                metric=metric,
                value=value,
                unit=units.get(metric, ""),
                num_examples=seen[split] - (self.num_leaked if metric == ERROR_WITHOUT_LEAKS else 0),
                together=len(values),
            )
            for (split, metric), value in values.items()
        ]

    def _of(self, measured: Measurement, note: str) -> dict[str, Any]:
        """What all rows of one measurement share."""
        trial = measured.trial
        deep = isinstance(trial.learner, Learner)
        flops = measured.step * self.flops.get(Cohort((trial,)).cohort_id, 0.0) if deep else 0.0
        return {
            "study": self.study.name,
            "trial_id": trial.trial_id,
            "learner": trial.name,
            "train_size": trial.train_size,
            "subset_seed": trial.subset_seed,
            "init_seed": trial.init_seed,
            "hyper": json.dumps(canonical(trial.learner), sort_keys=True),
            "step": measured.step,
            "status": measured.status,
            "subset_hash": self.orders.hash(trial.subset_seed, trial.train_size),
            "data": f"{self.dataset.name}@{self.dataset.fingerprint}",
            "packing": self.packing if deep else "none",
            "precision": trial.precision if deep else "none",
            "seconds": round(measured.usage.seconds, 6),
            "joules": measured.usage.joules,
            "flops": flops or None,
            "device": devices.describe() if deep else "host",
            "versions": self.versions,
            "note": note,
            "noise": noise_of(trial),
        }


def noise_of(trial: Trial) -> str:
    """What is wrong with a trial's examples, as its records say it."""
    return ", ".join([*noise_text(trial.noise), *(f"test {part}" for part in noise_text(trial.test_noise))])
