"""Analyses a trial's network: attribution maps, filters, probes of every layer against n, and similarities."""

from __future__ import annotations

import dataclasses
import operator
import time
from collections.abc import Iterator, Sequence

import numpy as np

from dlm.analysis.interpretability import results
from dlm.analysis.interpretability.attribution import attribution_maps, map_shape
from dlm.analysis.interpretability.network import (
    INPUT,
    Activations,
    Network,
    compute_activations,
    first_layer_filters,
    load_networks,
)
from dlm.analysis.interpretability.representations import Examples, centered_gram, fit_probe, pairwise
from dlm.analysis.interpretability.results import Attribution, NetworkAnalysis, NetworkError, Probe, Similarity
from dlm.data.dataset import Dataset, Split
from dlm.data.subset_orders import SubsetOrders
from dlm.storage import artifacts
from dlm.storage.workdir import Workdir
from dlm.study.learner import Learner
from dlm.study.names import ERROR, VALIDATION, Status
from dlm.study.study import Study
from dlm.study.trial import Trial
from dlm.tasks import NextItem
from dlm.utils.errors import UsageError, nearest

MOST_PROBE_TRAIN = MOST_PROBE_VALIDATION = 2000
MOST_PROBE_TEST = 5000
NUM_MAPPED, NUM_MISTAKES = 12, 4
MOST_COMPARED = 512  # test examples for similarities
MOST_SEEDS = 5
MOST_REFERENCE = 512  # training examples whose mean is the maps' reference


def probe_splits(dataset: Dataset, order: np.ndarray) -> tuple[Split, Split, Split]:
    """Training, validation and test examples of the probes.

    Training examples are the end of the pool's order, which only the largest training subsets include.
    """
    return (
        dataset.train.take(order[-MOST_PROBE_TRAIN:]),
        dataset.validation.take(spread(len(dataset.validation), MOST_PROBE_VALIDATION)),
        dataset.test.take(spread(len(dataset.test), MOST_PROBE_TEST)),
    )


def spread(count: int, most: int) -> np.ndarray:
    """Up to `most` of `count` rows, evenly spaced. int [min(count, most)]."""
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def share_trained_on(train_size: int, pool: int) -> float:
    """The share of the probes' training examples that a network was trained on."""
    probed = min(MOST_PROBE_TRAIN, pool)
    return max(0, train_size - (pool - probed)) / probed


def rows_to_map(predicted: np.ndarray, y: np.ndarray, num_classes: int) -> np.ndarray:
    """Rows of the examples to explain. int [at most NUM_MAPPED].

    For classes: a few misclassified examples, then the first of each class in turn; otherwise the first ones.
    """
    if not num_classes or y.ndim > 1:
        return np.arange(min(NUM_MAPPED, len(y)))
    wrong, right = np.flatnonzero(predicted != y)[:NUM_MISTAKES], np.flatnonzero(predicted == y)
    turns = np.zeros(len(right), np.int64)
    for label in np.unique(y[right]):
        of_label = y[right] == label
        turns[of_label] = np.arange(of_label.sum())
    return np.concatenate([wrong, right[np.lexsort((y[right], turns))]])[:NUM_MAPPED]


def select_trial(study: Study, asked: str, workdir: Workdir) -> Trial:
    """The trial named by a prefix of its id, or by learner, learner:size or learner:size:seed.

    Default: the largest size and the first seed. Of a learner with several settings the one with the least validation
    error in the workdir. Raises UsageError for a name that does not fit.
    """
    deep = [trial for trial in study.trials if isinstance(trial.learner, Learner)]
    if not deep:
        raise UsageError("--mode=interpret analyses networks, and the study has none; add a dlm.Learner")
    by_id = [trial for trial in study.trials if asked and trial.trial_id.startswith(asked)]
    if len(by_id) == 1:
        return _network(by_id[0])
    if by_id and ":" not in asked and asked not in study.learners:
        raise UsageError(f"--trial={asked} is a prefix of {len(by_id)} trial ids; give more characters")
    name, size, seed = _parts(asked or deep[0].name, study)
    of_name = [trial for trial in study.trials if trial.name == name]
    _network(of_name[0])
    size = max(trial.train_size for trial in of_name) if size is None else size
    seed = of_name[0].subset_seed if seed is None else seed
    trials = [trial for trial in of_name if (trial.train_size, trial.subset_seed) == (size, seed)]
    if not trials:
        train_sizes, seeds = (", ".join(map(str, each)) for each in (study.train_sizes, study.seeds))  # type: ignore[arg-type]
        raise UsageError(f"--trial={asked} is not a trial of the study; sizes are {train_sizes}, seeds {seeds}")
    errors = [(row.trial_id, row.value) for row in workdir.records if (row.split, row.metric) == (VALIDATION, ERROR)]
    last = {trial_id: value for trial_id, value in errors if value is not None}
    return min(trials, key=lambda trial: last.get(trial.trial_id, float("inf")))


def siblings(study: Study, trial: Trial) -> tuple[list[Trial], list[Trial]]:
    """(trials that differ only in size, ascending; trials that differ only in seed, this one first)."""
    variant = operator.attrgetter("name", "learner", "precision", "noise", "test_noise", "hold_out")
    alike = [other for other in study.trials if variant(other) == variant(trial)]
    sizes = sorted((each for each in alike if each.subset_seed == trial.subset_seed), key=lambda each: each.train_size)
    return sizes, [trial, *(each for each in alike if each.train_size == trial.train_size and each != trial)]


def _network(trial: Trial) -> Trial:
    if not isinstance(trial.learner, Learner):
        raise UsageError(
            f"--trial: {trial.name} is a {type(trial.learner).__name__}, a classical learner without layers; choose a "
            "network"
        )
    return trial


def _parts(asked: str, study: Study) -> tuple[str, int | None, int | None]:
    name, *numbers = asked.split(":")
    if name not in study.learners:
        raise UsageError(
            f"--trial={asked} is neither a learner nor a prefix of a trial id; {nearest(name, study.learners)} "
            "Give learner:size:seed"
        )
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise UsageError(
            f"--trial={asked} does not name a trial; give learner:size:seed, such as {name}:{study.train_sizes[-1]}:0"
        )
    size, seed = (*map(int, numbers), None, None)[:2]
    return name, size, seed


@dataclasses.dataclass(frozen=True)
class ProbeActivations:
    """A network's activations on the training, validation and test examples of the probes."""

    network: Network
    train: Activations
    validation: Activations
    test: Activations


def analyze_trials(
    study: Study, workdir: Workdir, requested: Sequence[str], datasets: Sequence[Dataset]
) -> Iterator[NetworkAnalysis]:
    """Analyses the requested trials, see `select_trial`, one after another, and saves each analysis in the workdir.

    `datasets` are the study's hold-outs; a trial is analysed on its own, with the networks trained there. Raises
    UsageError for a trial without saved parameters, before the first is analysed.
    """
    _check(study, workdir, datasets)
    trials = dict.fromkeys(select_trial(study, request, workdir) for request in requested or [""])
    for trial in trials:
        if artifacts.read_parameters(workdir.path, trial.trial_id) is None:
            raise UsageError(_absent(workdir, trial))
    for trial in trials:
        analysis = analyze_network(study, workdir, trial, datasets[trial.hold_out])
        results.write_analysis(workdir.path, analysis)
        yield analysis


def analyze_network(study: Study, workdir: Workdir, trial: Trial, dataset: Dataset) -> NetworkAnalysis:
    """Analyses a trial's network, and those with saved parameters that differ only in size or only in seed."""
    start = time.perf_counter()
    sizes, seeds = siblings(study, trial)
    seeds = seeds[:MOST_SEEDS]
    orders = SubsetOrders(dataset, {each.subset_seed for each in seeds})
    networks = load_networks(workdir.path, (trial, *sizes, *seeds), orders)
    parts = probe_splits(dataset, orders[trial.subset_seed])
    activations = {
        each: ProbeActivations(network, *(compute_activations(network, split) for split in parts))
        for each, network in networks.items()
    }
    by_size, by_seed = ([activations[each] for each in trials if each in activations] for trials in (sizes, seeds))
    rows, predicted, by_method, about = _maps(activations[trial], parts[2], orders)
    return NetworkAnalysis(
        trial_id=trial.trial_id,
        learner=trial.name,
        train_size=trial.train_size,
        seed=trial.subset_seed,
        kind=_kind(networks[trial]),
        unit=trial.task.unit,
        layers=tuple(activations[trial].test.features),
        probes=tuple(_probes(by_size, trial.task.num_outputs(dataset))),
        networks=tuple(_network_error(each, len(dataset.train)) for each in by_size),
        missing=tuple(each.train_size for each in sizes if each not in networks),
        num_probe=len(activations[trial].train.targets),
        num_test=len(activations[trial].test.targets),
        similarities=(_similarity("train_size", by_size), _similarity("subset_seed", by_seed)),
        attributions=tuple(about),
        examples=np.asarray(dataset.test.x[rows]),
        rows=rows,
        targets=dataset.test.y[rows],
        predicted=predicted,
        maps=by_method,
        filters=first_layer_filters(networks[trial]),
        class_names=dataset.class_names,
        feature_names=dataset.feature_names,
        seconds=round(time.perf_counter() - start, 3),
    )


def _kind(of: Network) -> str:
    return "text" if of.spec.tokens else "image" if len(map_shape(of.spec)) == 2 else "table"


def _check(study: Study, workdir: Workdir, datasets: Sequence[Dataset]) -> None:
    """UsageError for a workdir of other data, and for a task that probes do not support."""
    if isinstance(study.task, NextItem):
        raise UsageError("--mode=interpret does not support recommenders of the next item; choose another study")
    if workdir.description.data["fingerprint"] != ",".join(dataset.fingerprint for dataset in datasets):
        raise UsageError(
            f"--workdir={workdir.path} was made with other data than the current {datasets[0].name!r}; choose another"
        )


def _absent(workdir: Workdir, trial: Trial) -> str:
    name = f"--trial={trial.name}:{trial.train_size}:{trial.subset_seed}"
    if workdir.finished().get(trial.trial_id) == Status.DONE:
        return (
            f"{name} is trained, but its parameters are not saved in {workdir.path}; choose another size or seed, or "
            "train it in another --workdir with a larger --keep_mib"
        )
    return (
        f"{name} is not trained yet in {workdir.path}; run it first, with the same flags but --mode=run and no --trial"
    )


def _maps(
    each: ProbeActivations, tested: Split, orders: SubsetOrders
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], list[Attribution]]:
    """Rows of the explained test examples, their predictions, their maps, and the sanity checks of each method."""
    dataset, trial = orders.dataset, each.network.trial
    is_number = dataset.has_numeric_targets
    predicted = each.test.outputs if is_number else each.test.outputs.argmax(axis=1)
    taken = rows_to_map(predicted, tested.y, dataset.num_classes)
    # The explained output is the predicted class; for numeric targets the first output.
    target = np.zeros(len(taken), np.int32) if is_number else predicted[taken].astype(np.int32)
    subset = orders.subset(trial.subset_seed, min(trial.train_size, MOST_REFERENCE))
    maps, about = attribution_maps(each.network, np.asarray(tested.x[taken]), target, np.asarray(subset.x))
    return spread(len(dataset.test), MOST_PROBE_TEST)[taken], predicted[taken], maps, about


def _probes(activations: Sequence[ProbeActivations], num_outputs: int) -> Iterator[Probe]:
    """Probes of every layer at every size; that of the input, which all sizes share, is fitted once."""
    of_input = None
    for layer in activations[0].test.features:
        for each in activations:
            trial = each.network.trial
            if layer == INPUT and of_input:
                yield dataclasses.replace(of_input, train_size=trial.train_size)
                continue
            train, validation, test = (
                Examples(of.features[layer], of.targets) for of in (each.train, each.validation, each.test)
            )
            error, estimator = fit_probe(trial.task, train, validation, test, num_outputs)
            probe = Probe(layer, trial.train_size, error, train.x.shape[1], repr(estimator))
            of_input = of_input or probe
            yield probe


def _network_error(each: ProbeActivations, pool: int) -> NetworkError:
    trial = each.network.trial
    means = {name: float(np.mean(values, dtype=np.float64)) for name, values in each.test.measures.items()}
    error = float(trial.task.aggregate(means)["error"])
    return NetworkError(trial.train_size, error, share_trained_on(trial.train_size, pool))


def _similarity(of: str, activations: Sequence[ProbeActivations]) -> Similarity:
    layers = tuple(layer for layer in activations[0].test.features if layer != INPUT)
    results = [
        pairwise([centered_gram(each.test.features[layer][:MOST_COMPARED]) for each in activations]) for layer in layers
    ]
    cka, control = zip(*results)
    return Similarity(
        of, tuple(getattr(each.network.trial, of) for each in activations), layers, np.array(cka), control
    )
