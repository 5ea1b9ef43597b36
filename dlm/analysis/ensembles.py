"""Evaluates ensembles: the mean of the saved predictions of all seeds of a learner at one size."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from dlm.curves.from_records import selected_rows
from dlm.data.corruption import noisy_labels
from dlm.data.subset_orders import SubsetOrders
from dlm.storage import artifacts
from dlm.storage.artifacts import Ensemble
from dlm.storage.record_log import Record
from dlm.study.names import CALIBRATION_ERROR
from dlm.study.noise import Noise
from dlm.study.study import Study
from dlm.tasks.metrics import calibration_error
from dlm.train.types import TEST_SEED

FEWEST = 2  # members
LEAST_PROBABILITY = 1e-7  # float16 does not represent smaller ones
PROBABILITIES, OUTPUTS = "probabilities", "outputs"  # a task saves one of them


def ensembles_of(study: Study, orders: Sequence[SubsetOrders], rows: Sequence[Record], workdir: Path) -> list[Ensemble]:
    """An ensemble for each learner and size with saved predictions of at least two seeds.

    Probabilities, or numbers, are averaged: deep ensembles (Lakshminarayanan, Pritzel & Blundell 2017), where members
    differ by initial weights, order and subset; of classical learners it is bagging (Breiman 1996). `orders` are those
    of each hold-out. Members of an ensemble have one test set; of several hold-outs the results are averaged.
    """
    by_id = {trial.trial_id: trial for trial in study.trials}
    ensembles = []
    for learner, by_size in selected_rows(rows, by_id, list(study.learners)).items():
        for own in by_size.values():
            noise = by_id[own[0].trial_id].test_noise
            members = []
            for number, each in enumerate(orders):
                on_test = [row for row in own if row.hold_out == number]
                members.append((each, list(_saved(on_test, len(each.dataset.test), workdir))))
            members = [(each, saved) for each, saved in members if len(saved) >= FEWEST]
            count = min((len(saved) for _, saved in members), default=0)  # all hold-outs get ensembles of one size
            if members:
                of_hold_outs = [_ensemble(study.task, each, learner, noise, saved[:count]) for each, saved in members]
                ensembles.append(_mean(of_hold_outs))
    return ensembles


def _mean(ensembles: Sequence[Ensemble]) -> Ensemble:
    """The mean of ensembles that differ in their hold-out only; measures that one of them lacks are omitted."""

    def means(of: Sequence[dict[str, float]]) -> dict[str, float]:
        return {name: float(np.mean([each[name] for each in of])) for name in of[0] if all(name in each for each in of)}

    return dataclasses.replace(
        ensembles[0],
        examples=round(np.mean([each.examples for each in ensembles])),
        values=means([each.values for each in ensembles]),
        single=means([each.single for each in ensembles]),
    )


def _saved(own: Collection[Record], num_test: int, workdir: Path) -> Iterator[tuple[Record, str, np.ndarray]]:
    """(final row, kind, predictions) of each trial with predictions of the whole test set."""
    for row in own:
        content = artifacts.read_predictions(workdir, row.trial_id) if row.value is not None else None
        for name in (PROBABILITIES, OUTPUTS):
            if content and name in content and len(content[name]) == num_test:
                yield row, name, content[name].astype(np.float64)


def _ensemble(
    task: Any, orders: SubsetOrders, learner: str, noise: Noise, saved: list[tuple[Record, str, np.ndarray]]
) -> Ensemble:
    members, kind, dataset = [each for *_, each in saved], saved[0][1], orders.dataset
    ranks = np.arange(len(dataset.test), dtype=np.uint32)
    y = noisy_labels(dataset.test.y, ranks, np.uint32(TEST_SEED), noise, dataset.num_classes)
    values, *single = [_measures(task, kind, each, y) for each in (sum(members) / len(members), *members)]
    seen = np.unique(np.concatenate([orders[row.subset_seed][: row.train_size] for row, *_ in saved]))
    return Ensemble(
        learner=learner,
        train_size=saved[0][0].train_size,
        members=len(saved),
        examples=len(seen),
        unit=task.unit,
        values=values,
        single={name: float(np.mean([each[name] for each in single])) for name in values if name in single[0]},
    )


def _measures(task: Any, kind: str, predictions: Any, y: np.ndarray) -> dict[str, float]:
    """The task's measures of predictions [N, ...]; of probabilities also the calibration error."""
    outputs = np.log(np.maximum(predictions, LEAST_PROBABILITY)) if kind == PROBABILITIES else predictions
    outputs, targets, weights = jnp.asarray(outputs, jnp.float32), jnp.asarray(y), jnp.ones(len(y))
    each = task.example_metrics(outputs, targets)
    measures = task.aggregate({name: float(np.asarray(values, np.float64).mean()) for name, values in each.items()})
    if task.needs_whole_split and not task.fits_threshold:  # no validation predictions are saved to choose by
        measures |= task.whole_split_metrics(outputs, targets, weights, {})
    if kind == PROBABILITIES and y.ndim == 1:
        measures[CALIBRATION_ERROR] = calibration_error(outputs, targets, weights)
    return {name: float(value) for name, value in measures.items() if np.isfinite(value)}
