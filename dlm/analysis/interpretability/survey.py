"""A survey of one trial's network: its maps, filters, probes of every layer against n, and similarities."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from dlm.analysis.interpretability import results
from dlm.analysis.interpretability.activations import INPUT, Activations, read
from dlm.analysis.interpretability.attribution import maps, places_of
from dlm.analysis.interpretability.network import Network, filters, float32_spec, network
from dlm.analysis.interpretability.probes import Examples, centred_gram, pairwise, probe
from dlm.analysis.interpretability.results import Attribution, Inside, OwnError, Probe, Similarity
from dlm.data.dataset import Dataset, Split
from dlm.data.subset_orders import SubsetOrders
from dlm.storage import artifacts, record_log
from dlm.storage.record_log import Record
from dlm.storage.workdir import STUDY
from dlm.study.learner import Learner
from dlm.study.study import Study
from dlm.study.trial import Trial
from dlm.tasks import NextItem
from dlm.utils.errors import UsageError, nearest

MOST_PROBED = MOST_CHOSEN_BY = 2000  # that readers learn from, and are chosen by
MOST_TESTED = 5000
NUM_MAPPED, NUM_MISTAKES = 12, 4


def splits(dataset: Dataset, order: np.ndarray) -> tuple[Split, Split, Split]:
    """The examples that readers learn from, are chosen by, and are measured on.

    They learn from the end of the pool's order, which only the largest training subsets reach.
    """
    return (
        dataset.train.take(order[-MOST_PROBED:]),
        dataset.validation.take(spread(len(dataset.validation), MOST_CHOSEN_BY)),
        dataset.test.take(spread(len(dataset.test), MOST_TESTED)),
    )


def spread(number: int, most: int) -> np.ndarray:
    """Up to `most` of so many rows, evenly. int [min(number, most)]."""
    return np.linspace(0, number - 1, min(number, most)).astype(np.int64)


def share_seen(train_size: int, pool: int) -> float:
    """Which share of the examples that readers learn from a network has learnt from itself."""
    probed = min(MOST_PROBED, pool)
    return max(0, train_size - (pool - probed)) / probed


def mapped(predicted: np.ndarray, y: np.ndarray, num_classes: int) -> np.ndarray:
    """Rows of examples to make maps of. int [at most NUM_MAPPED].

    Of classes: a few that the network gets wrong, then the first of each class in turn; otherwise the first ones.
    """
    if not num_classes or y.ndim > 1:
        return np.arange(min(NUM_MAPPED, len(y)))
    wrong, right = np.flatnonzero(predicted != y)[:NUM_MISTAKES], np.flatnonzero(predicted == y)
    turns = np.zeros(len(right), np.int64)
    for label in np.unique(y[right]):
        of_label = y[right] == label
        turns[of_label] = np.arange(of_label.sum())
    return np.concatenate([wrong, right[np.lexsort((y[right], turns))]])[:NUM_MAPPED]


def chosen(study: Study, asked: str, rows: Sequence[Record] = ()) -> Trial:
    """The trial that `asked` names; rows: what the workdir's records say.

    A prefix of a trial id, or learner, learner:size or learner:size:seed: what is left out is the largest size and the
    first seed. Where a learner was swept, the variant with the least validation error. UsageError says what is wrong.
    """
    deep = [trial for trial in study.trials if isinstance(trial.learner, Learner)]
    if not deep:
        raise UsageError("--mode=interpret looks into networks, and the study has none; give it a dlm.Learner")
    by_id = [trial for trial in study.trials if asked and trial.trial_id.startswith(asked)]
    if len(by_id) == 1:
        return _network(by_id[0])
    if by_id and ":" not in asked and asked not in study.learners:
        raise UsageError(f"--trial={asked} begins {len(by_id)} trial ids; give more of it")
    name, size, seed = _parts(asked or deep[0].name, study)
    of_name = [trial for trial in study.trials if trial.name == name]
    _network(of_name[0])
    size = max(trial.train_size for trial in of_name) if size is None else size
    seed = of_name[0].subset_seed if seed is None else seed
    found = [trial for trial in of_name if (trial.train_size, trial.subset_seed) == (size, seed)]
    if not found:
        train_sizes = ", ".join(str(each) for each in study.train_sizes)
        seeds = ", ".join(str(each) for each in study.seeds)  # type: ignore[union-attr]
        raise UsageError(f"--trial={asked}: there is no such cell; the sizes are {train_sizes}, the seeds {seeds}")
    return _best(found, rows)


def siblings(study: Study, trial: Trial, differ: str) -> list[Trial]:
    """The trials that are as this one but for "train_size", small first, or "seed", itself first."""
    alike = [other for other in study.trials if _variant(other) == _variant(trial)]
    if differ == "train_size":
        return sorted((each for each in alike if each.subset_seed == trial.subset_seed), key=lambda of: of.train_size)
    return [trial, *(each for each in alike if each.train_size == trial.train_size and each != trial)]


def _variant(trial: Trial) -> tuple[object, ...]:
    return trial.name, trial.learner, trial.precision, trial.noise, trial.test_noise


def _network(trial: Trial) -> Trial:
    if not isinstance(trial.learner, Learner):
        raise UsageError(
            f"--trial: {trial.name} is a {type(trial.learner).__name__}, a classical learner, which has no layers to "
            "look into; choose a network"
        )
    return trial


def _parts(asked: str, study: Study) -> tuple[str, int | None, int | None]:
    name, *numbers = asked.split(":")
    if name not in study.learners:
        raise UsageError(
            f"--trial={asked} is no learner's and begins no trial id; {nearest(name, study.learners)} "
            "Give learner:size:seed"
        )
    if len(numbers) > 2 or not all(number.isdecimal() for number in numbers):
        raise UsageError(
            f"--trial={asked} is not understood; give learner:size:seed, such as {name}:{study.train_sizes[-1]}:0"
        )
    size, seed = (*map(int, numbers), None, None)[:2]
    return name, size, seed


def _best(found: Sequence[Trial], rows: Iterable[Record]) -> Trial:
    """The one whose last validation error on record is the least; the first, where nothing is on record."""
    last = {
        row.trial_id: row.value
        for row in rows
        if (row.split, row.metric) == ("validation", "error") and row.value is not None
    }
    return min(found, key=lambda trial: last.get(trial.trial_id, float("inf")))


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


def look(study: Study, workdir: Path, asked: Sequence[str], dataset: Dataset) -> Iterator[Inside]:
    """Survey the trials asked for, see `chosen`, one after another, and keep what was found in the workdir.

    UsageError for what is not there, before the first is surveyed.
    """
    _check(study, workdir, dataset)
    rows = record_log.rows(workdir)
    cells = dict.fromkeys(chosen(study, one, rows) for one in asked or [""])
    for trial in cells:
        if artifacts.read_parameters(workdir, trial.trial_id) is None:
            raise UsageError(_absent(workdir, trial, rows))
    for trial in cells:
        found = survey(study, workdir, trial, dataset)
        results.write(workdir, found)
        yield found


def survey(study: Study, workdir: Path, trial: Trial, dataset: Dataset) -> Inside:
    """Look into a trial's network and those that differ from it in size or seed alone, as far as they are kept."""
    start = time.perf_counter()
    train_sizes, seeds = siblings(study, trial, "train_size"), siblings(study, trial, "seed")[:MOST_SEEDS]
    orders, spec = SubsetOrders(dataset, {one.subset_seed for one in seeds}), float32_spec(trial, dataset)
    found = {one: network(workdir, one, orders, spec) for one in (trial, *train_sizes, *seeds)}
    networks = {one: of for one, of in found.items() if of is not None}
    parts = splits(dataset, orders[trial.subset_seed])
    reads = {one: Read(of, *(read(of, split) for split in parts)) for one, of in networks.items()}
    by_size, by_seed = ([reads[one] for one in cells if one in reads] for cells in (train_sizes, seeds))
    rows, predicted, by_method, about = _mapped(reads[trial], parts[2], orders)
    return Inside(
        trial_id=trial.trial_id,
        learner=trial.name,
        train_size=trial.train_size,
        seed=trial.subset_seed,
        kind=_kind(networks[trial]),
        unit=trial.task.unit,
        layers=tuple(reads[trial].tested.features),
        probes=tuple(_probes(by_size, trial.task.num_outputs(dataset))),
        own=tuple(_own(each, len(dataset.train)) for each in by_size),
        missing=tuple(one.train_size for one in train_sizes if one not in networks),
        num_probe=len(reads[trial].probed.targets),
        num_test=len(reads[trial].tested.targets),
        similarities=(_similarity("train_size", by_size), _similarity("subset_seed", by_seed)),
        attributions=tuple(about),
        examples=np.asarray(dataset.test.x[rows]),
        rows=rows,
        targets=dataset.test.y[rows],
        predicted=predicted,
        maps=by_method,
        filters=filters(networks[trial]),
        class_names=dataset.class_names,
        feature_names=dataset.feature_names,
        seconds=round(time.perf_counter() - start, 3),
    )


def _check(study: Study, workdir: Path, dataset: Dataset) -> None:
    """UsageError for a workdir of no study, or of other data, and for a task whose targets no layer is read for."""
    if isinstance(study.task, NextItem):
        raise UsageError("--mode=interpret does not look into recommenders of the next item; look into another study")
    try:
        data = json.loads((workdir / STUDY).read_bytes())["data"]["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f"--workdir={workdir} holds no study to look into; run {study.name!r} first, by the same flags without "
            "--mode=interpret and --trial"
        ) from None
    if data != dataset.fingerprint:
        raise UsageError(f"--workdir={workdir} was made of other data than {dataset.name!r} is now; choose another")


def _absent(workdir: Path, trial: Trial, rows: Sequence[Record]) -> str:
    cell = f"--trial={trial.name}:{trial.train_size}:{trial.subset_seed}"
    if record_log.finished(rows).get(trial.trial_id) == "done":
        return (
            f"{cell} is trained, but its parameters are not kept in {workdir}; choose another size or seed, or train "
            "it in another --workdir with a larger --keep_mib"
        )
    return f"{cell} is not trained yet in {workdir}; run it first, with the same flags but --mode=run and no --trial"


def _mapped(
    each: Read, tested: Split, orders: SubsetOrders
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray], list[Attribution]]:
    """Rows of the test split that maps are made of, what is predicted of them, their maps, and what these are worth."""
    dataset, trial = orders.dataset, each.network.trial
    is_number = dataset.has_numeric_targets
    predicted = each.tested.outputs if is_number else each.tested.outputs.argmax(axis=1)
    taken = mapped(predicted, tested.y, dataset.num_classes)
    # Explained is what the network itself takes for the likeliest; of numbers the first that it predicts.
    target = np.zeros(len(taken), np.int32) if is_number else predicted[taken].astype(np.int32)
    subset = orders.subset(trial.subset_seed, min(trial.train_size, MOST_AROUND))
    found, about = maps(each.network, np.asarray(tested.x[taken]), target, np.asarray(subset.x))
    return spread(len(dataset.test), MOST_TESTED)[taken], predicted[taken], found, about


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
    error = float(trial.task.aggregate(means)["error"])
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
