"""Proposes a complete study for a user's own data: learners, train sizes, seeds and budget."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from dlm.baselines import HistGradientBoosting, KneserNey, LogisticRegression, Ridge, TfidfLogisticRegression
from dlm.data.dataset import Dataset
from dlm.data.groups import hold_outs
from dlm.data.sources.column_sources import File
from dlm.models import CNN, MLP, Transformer
from dlm.report.terminal import print_list
from dlm.study import overrides
from dlm.study.learner import Budget, Hyper, Learner, Optimizer
from dlm.study.study import Study
from dlm.study.sweep import grid
from dlm.tasks import Classification, LanguageModelling, Regression
from dlm.utils.errors import UsageError

NUM_SIZES, LEAST_SIZE, MOST_SIZE, NUM_SEEDS = 7, 16, 32_768, 4
FEWEST_SIZES = 3  # for a fit of a power law
BUDGET = Budget(epochs=40, min_steps=300, max_steps=3000, eval_every=50, patience=8)
TEXT_BUDGET = Budget(epochs=20, min_steps=200, max_steps=1000, batch_size=32, eval_every=100, patience=3)
LEARNING_RATES = (1e-3, 3e-3, 1e-2)  # of gradient-trained learners, selected by validation; see docs/method/tuning.md


def propose(source: Any, dataset: Dataset, train_sizes: tuple[int, ...] = ()) -> Study:
    """The study for a source, given the dataset that it loads; `train_sizes` instead of those proposed."""
    other = Regression() if dataset.has_numeric_targets else LanguageModelling()
    task: Any = Classification() if dataset.num_classes else other
    learners = _learners(dataset)
    return Study(
        data=source,
        task=task,
        learners=learners,
        train_sizes=train_sizes or train_sizes_for(len(dataset.train), dataset.num_classes),
        seeds=NUM_SEEDS,
        budget=TEXT_BUDGET if dataset.vocabulary else BUDGET,
        name=dataset.name,
        tuning={name: grid(lr=LEARNING_RATES) for name, learner in learners.items() if isinstance(learner, Learner)},
    )


def for_path(
    path: str, target: str, assignments: Sequence[str] = (), train_sizes: str = ""
) -> tuple[Study, str, Dataset]:
    """The study proposed for a file or folder, with the assignments of `--set`; its question; and its dataset.

    A learner whose learning rate is assigned is not tuned. Train sizes are proposed, which may be refused, unless
    `train_sizes` or an assignment gives others.
    """
    of_data = [text for text in assignments if text.strip().startswith(("data.", "groups"))]
    source = overrides.apply(_Source(File(path, target=target)), of_data)
    dataset = source.data.load(groups=source.groups)
    assigned = {text.partition("=")[0].strip() for text in assignments}
    has_sizes = bool(train_sizes) or "train_sizes" in assigned
    sizes = (max(dataset.num_classes, 1),) if has_sizes else ()  # replaced below
    study = dataclasses.replace(propose(source.data, dataset, sizes), groups=source.groups)
    tuning = {name: axes for name, axes in study.tuning.items() if f"learners.{name}.hyper.lr" not in assigned}
    study = dataclasses.replace(study, tuning=tuning)
    study = overrides.apply(study, [text for text in assignments if text not in of_data])
    if train_sizes:
        study = overrides.restrict(study, train_sizes)
    elif study.splits > 1 and not has_sizes:
        pool = min(len(each.train) for each in hold_outs(dataset, study.splits))
        study = dataclasses.replace(study, train_sizes=train_sizes_for(pool, dataset.num_classes))
    predicted = study.data.target or "what comes next"
    question = f"How well can {predicted} be predicted in {study.name}, and how much would more data help?"
    return study, question, dataset


def print_remarks(study: Study, dataset: Dataset, console: Console) -> None:
    """Print how the data were read and what was proposed for them."""
    dataset = hold_outs(dataset, study.splits)[0]
    counts = [len(split) for split in (dataset.train, dataset.validation, dataset.test)]
    splits = "{:,} training, {:,} validation and {:,} test examples".format(*counts)
    splits += f" in the first of {study.splits} hold-outs" if study.splits > 1 else ""
    tuned = {name: f" (best of {len(axes)} learning rates by validation)" for name, axes in study.tuning.items()}
    learners = f"learners: {', '.join(name + tuned.get(name, '') for name in study.learners)}"
    remarks = [*dataset.remarks, f"{splits}; {learners}; --save_experiment=FILE.py writes the study to edit it."]
    print_list(console, f"How {study.name} was read", remarks)


@dataclasses.dataclass(frozen=True)
class _Source:
    """The part of a study that decides how the data are read; `--set` is applied to it first."""

    data: Any
    groups: tuple[str, ...] = ()


def train_sizes_for(pool: int, num_classes: int) -> tuple[int, ...]:
    """Geometrically spaced train sizes, up to the pool or MOST_SIZE."""
    most = min(pool, MOST_SIZE)
    least = max(LEAST_SIZE, 2 * num_classes)
    if most < 2 ** (FEWEST_SIZES - 1) * least:
        raise UsageError(
            f"{pool} training examples of {num_classes or 'no'} classes are too few for a curve; provide at least "
            f"{2 ** (FEWEST_SIZES - 1) * least}"
        )
    count = min(NUM_SIZES, 1 + int(np.log2(most / least)))
    return tuple(round(float(size)) for size in np.geomspace(least, most, count))


def _learners(dataset: Dataset) -> dict[str, Any]:
    if dataset.vocabulary:
        hyper, optimizer = Hyper(lr=2e-3, weight_decay=0.1), Optimizer(clip=1.0)
        if dataset.num_classes:
            model = Transformer(dim=64, depth=2, causal=False, head="mean")
            return {"transformer": Learner(model, hyper, optimizer), "words": TfidfLogisticRegression()}
        return {"transformer": Learner(Transformer(dim=64, depth=2), hyper, optimizer), "ngram": KneserNey()}
    mlp = Learner(MLP((128, 128)), Hyper(lr=1e-3, weight_decay=0.1, dropout=0.1))
    linear: dict[str, Any] = {"logreg": LogisticRegression()} if dataset.num_classes else {"ridge": Ridge()}
    if dataset.standardize:
        return {"mlp": mlp, **linear, "boosting": HistGradientBoosting()}
    if dataset.train.x.ndim in (3, 4) and min(dataset.train.x.shape[1:3]) >= 8:
        cnn = CNN((32, 64), (0, 1), stem_stride=2 if dataset.train.x.shape[1] > 16 else 1)
        return {"cnn": Learner(cnn, Hyper(lr=2e-3, weight_decay=0.1)), "mlp": mlp, **linear}
    return {"mlp": mlp, **linear}
