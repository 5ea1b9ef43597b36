"""A survey of one trial's network: its maps, filters, probes of every layer against n, and similarities."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from dlm import artifacts, records
from dlm.data.arrays import Arrays, Split
from dlm.data.orders import Orders
from dlm.errors import UsageError
from dlm.inside import results
from dlm.inside.activations import INPUT, Activations, read
from dlm.inside.chosen import chosen, siblings
from dlm.inside.examples import MOST_TESTED, mapped, share_seen, splits, spread
from dlm.inside.filters import filters
from dlm.inside.maps import maps, places_of
from dlm.inside.network import Network, float32_spec, network
from dlm.inside.probes import Examples, probe
from dlm.inside.results import Attribution, Inside, OwnError, Probe, Similarity
from dlm.inside.similarity import centred_gram, pairwise
from dlm.records import Record
from dlm.study import Study, Trial
from dlm.tasks import NextItem
from dlm.workdir import STUDY

MOST_COMPARED = 512  # test examples of a similarity
MOST_SEEDS = 5
MOST_AROUND = 512  # training examples that the maps' reference is the mean of


@dataclasses.dataclass(frozen=True)
class Read:
    """What a network makes of the examples that readers learn from, are chosen by, and are measured on."""

    network: Network
    probed: Activations
    chosen_by: Activations
    tested: Activations


def look(study: Study, workdir: Path, asked: Sequence[str], arrays: Arrays) -> Iterator[Inside]:
    """Survey the trials asked for, see `chosen`, one after another, and keep what was found in the workdir.

    UsageError for what is not there, before the first is surveyed.
    """
    _check(study, workdir, arrays)
    rows = records.rows(workdir)
    cells = dict.fromkeys(chosen(study, one, rows) for one in asked or [""])
    for trial in cells:
        if artifacts.read(workdir, trial.trial_id, artifacts.PARAMS) is None:
            raise UsageError(_absent(workdir, trial, rows))
    for trial in cells:
        found = survey(study, workdir, trial, arrays)
        results.write(workdir, found)
        yield found


def survey(study: Study, workdir: Path, trial: Trial, arrays: Arrays) -> Inside:
    """Look into a trial's network and those that differ from it in size or seed alone, as far as they are kept."""
    start = time.perf_counter()
    sizes, seeds = siblings(study, trial, "train_size"), siblings(study, trial, "seed")[:MOST_SEEDS]
    orders, spec = Orders(arrays, {one.subset_seed for one in seeds}), float32_spec(trial, arrays)
    found = {one: network(workdir, one, orders, spec) for one in (trial, *sizes, *seeds)}
    networks = {one: of for one, of in found.items() if of is not None}
    parts = splits(arrays, orders[trial.subset_seed])
    reads = {one: Read(of, *(read(of, split) for split in parts)) for one, of in networks.items()}
    by_size, by_seed = ([reads[one] for one in cells if one in reads] for cells in (sizes, seeds))
    rows, predicted, by_method, about = _mapped(reads[trial], parts[2], orders)
    return Inside(
        trial_id=trial.trial_id,
        learner=trial.name,
        train_size=trial.train_size,
        seed=trial.subset_seed,
        kind=_kind(networks[trial]),
        unit=trial.task.unit,
        layers=tuple(reads[trial].tested.features),
        probes=tuple(_probes(by_size, trial.task.num_outputs(arrays))),
        own=tuple(_own(each, len(arrays.train)) for each in by_size),
        missing=tuple(one.train_size for one in sizes if one not in networks),
        num_probe=len(reads[trial].probed.targets),
        num_test=len(reads[trial].tested.targets),
        similarities=(_similarity("train_size", by_size), _similarity("subset_seed", by_seed)),
        attributions=tuple(about),
        examples=np.asarray(arrays.test.x[rows]),
        rows=rows,
        targets=arrays.test.y[rows],
        predicted=predicted,
        maps=by_method,
        filters=filters(networks[trial]),
        class_names=arrays.class_names,
        feature_names=arrays.feature_names,
        seconds=round(time.perf_counter() - start, 3),
    )


def _check(study: Study, workdir: Path, arrays: Arrays) -> None:
    """UsageError for a workdir of no study, or of other data, and for a task whose targets no layer is read for."""
    if isinstance(study.task, NextItem):
        raise UsageError("--mode=inside does not look into recommenders of the next item; look into another study")
    try:
        data = json.loads((workdir / STUDY).read_bytes())["read"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"--workdir={workdir} holds no study to look into; run {study.name!r} first, by the same flags without "
            "--mode=inside and --trial"
        ) from None
    if data != arrays.fingerprint:
        raise UsageError(f"--workdir={workdir} was made of other data than {arrays.name!r} is now; choose another")


def _absent(workdir: Path, trial: Trial, rows: Sequence[Record]) -> str:
    cell = f"--trial={trial.name}:{trial.train_size}:{trial.subset_seed}"
    if records.finished(rows).get(trial.trial_id) == "done":
        return (
            f"{cell} is trained, but its parameters are not kept in {workdir}; choose another size or seed, or train "
            "it in another --workdir with a larger --keep_mib"
        )
    return f"{cell} is not trained yet in {workdir}; run it first, by the same flags without --mode=inside and --trial"


def _mapped(
    each: Read, tested: Split, orders: Orders
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], list[Attribution]]:
    """Rows of the test split that maps are made of, what is predicted of them, their maps, and what these are worth."""
    arrays, trial = orders.arrays, each.network.trial
    is_number = arrays.has_numeric_targets
    predicted = each.tested.outputs if is_number else each.tested.outputs.argmax(axis=1)
    taken = mapped(predicted, tested.y, arrays.num_classes)
    # Explained is what the network itself takes for the likeliest; of numbers the first that it predicts.
    target = np.zeros(len(taken), np.int32) if is_number else predicted[taken].astype(np.int32)
    subset = orders.subset(trial.subset_seed, min(trial.train_size, MOST_AROUND))
    found, about = maps(each.network, np.asarray(tested.x[taken]), target, np.asarray(subset.x))
    return spread(len(arrays.test), MOST_TESTED)[taken], predicted[taken], found, about


def _probes(reads: Sequence[Read], num_outputs: int) -> Iterator[Probe]:
    """Every layer at every size; the input, which all sizes share, once."""
    of_input = None
    for layer in reads[0].tested.features:
        for each in reads:
            trial = each.network.trial
            if layer == INPUT and of_input:
                yield dataclasses.replace(of_input, train_size=trial.train_size)
                continue
            train, validation, test = (
                Examples(of.features[layer], of.targets) for of in (each.probed, each.chosen_by, each.tested)
            )
            error, reader = probe(trial.task, train, validation, test, num_outputs)
            found = Probe(layer, trial.train_size, error, train.x.shape[1], repr(reader))
            of_input = of_input or found
            yield found


def _own(each: Read, pool: int) -> OwnError:
    trial = each.network.trial
    means = {name: float(np.mean(values, dtype=np.float64)) for name, values in each.tested.measures.items()}
    error = float(trial.task.finish(means)["error"])
    return OwnError(trial.train_size, error, share_seen(trial.train_size, pool))


def _similarity(of: str, reads: Sequence[Read]) -> Similarity:
    layers = tuple(layer for layer in reads[0].tested.features if layer != INPUT)
    found = [
        pairwise([centred_gram(each.tested.features[layer][:MOST_COMPARED]) for each in reads]) for layer in layers
    ]
    values = tuple(getattr(each.network.trial, of) for each in reads)
    return Similarity(of, values, layers, np.array([cka for cka, _ in found]), tuple(control for _, control in found))


def _kind(of: Network) -> str:
    if of.spec.tokens:
        return "text"
    return "image" if len(places_of(of.spec)) == 2 else "table"
