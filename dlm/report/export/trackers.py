"""Runs for Weights & Biases: offline, unless the user's own WANDB_MODE says otherwise; `wandb sync` sends them."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from dlm.report.export.runs import Run
from dlm.utils.optional_imports import import_optional

TRACKIO_FOLDER = "trackio"


def write_trackio(study: str, runs: Sequence[Run], folder: Path) -> Path:
    """Log runs into the project `study` in `folder`/trackio, or in the user's own TRACKIO_DIR; the folder.

    Each run takes the place of what it was. They go into trackio's own storage at once: its `init` and `log` are made
    for a live run, and start senders. A process keeps to the folder that trackio was imported with. UsageError where
    trackio is not installed.
    """
    os.environ.setdefault("TRACKIO_DIR", str((folder / TRACKIO_FOLDER).resolve()))
    trackio = import_optional("trackio", "--to=trackio")
    storage, place = trackio.SQLiteStorage, Path(trackio.TRACKIO_DIR)
    place.mkdir(parents=True, exist_ok=True)
    there = {run["id"]: run["name"] for run in storage.get_run_records(study)}
    for run in runs:
        if run.run_id in there:
            storage.delete_run(study, there[run.run_id], run_id=run.run_id)
        storage.bulk_log(
            study,
            run.name,
            [dict(one.numbers) for one in run.steps] or [{}],
            steps=[one.step for one in run.steps] or [0],
            config={**run.config, "_Group": run.group, "kind": run.kind, "status": run.status},
            run_id=run.run_id,
        )
    return place


FILE = "mlflow.db"
_STATUS = {"done": "FINISHED", "running": "RUNNING"}
_AT_ONCE = 1000  # metrics that MLflow takes in one call
_RUN_ID, _CONTENT = "dlm.run_id", "dlm.content"


def write_mlflow(study: str, runs: Sequence[Run], folder: Path) -> Path | str:
    """Log runs into the experiment `study`; the SQLite file, or the address of the user's own server.

    A run that is there already, by its tag `dlm.run_id`, is left as it is when its numbers are the same, and else
    replaced. UsageError where MLflow is not installed.
    """
    # Without this MLflow reports that it was used; read when it is imported.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    MlflowClient = import_optional("mlflow", "--to=mlflow").MlflowClient
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    path = folder / FILE
    own = os.environ.get("MLFLOW_TRACKING_URI")
    client = MlflowClient(own or f"sqlite:///{path.resolve()}")
    experiment = client.get_experiment_by_name(study)
    if experiment:
        number = experiment.experiment_id
    else:  # without a place for artifacts of its own, MLflow would make a folder where the user happens to be
        number = client.create_experiment(study, None if own else (folder / "mlflow-artifacts").resolve().as_uri())
    there = {run.data.tags.get(_RUN_ID): run for run in _all(client, number)}
    for run in runs:
        content = hashlib.sha256(repr(run).encode()).hexdigest()
        known = there.get(run.run_id)
        if known and known.data.tags.get(_CONTENT) == content:
            continue
        _log(client, number, run, content)
        if known:
            client.delete_run(known.info.run_id)
    return own or path


def _all(client: Any, experiment: str) -> Iterator[Any]:
    token = None
    while True:
        page = client.search_runs([experiment], page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _log(client: Any, experiment: str, run: Run, content: str) -> None:
    from mlflow.entities import Metric, Param

    start = int(1000 * time.time())
    tags = {_RUN_ID: run.run_id, "dlm.kind": run.kind, "dlm.group": run.group}
    made = client.create_run(experiment, start_time=start, tags=tags, run_name=run.name).info.run_id
    metrics = (
        Metric(_name(name), number, start + round(1000 * one.seconds), one.step)
        for one in run.steps
        for name, number in one.numbers.items()
    )
    params = [Param(name, str(value)) for name, value in run.config.items() if str(value)]
    client.log_batch(made, params=params)
    while batch := list(islice(metrics, _AT_ONCE)):
        client.log_batch(made, metrics=batch)
    seconds = run.steps[-1].seconds if run.steps else 0.0
    client.set_terminated(made, _STATUS.get(run.status, "FAILED"), end_time=start + round(1000 * seconds))
    client.set_tag(made, _CONTENT, content)  # last, so that a run that was cut short is not taken for a whole one


def _name(name: str) -> str:
    """A metric's name with what MLflow allows in it."""
    return "".join(one if one.isalnum() or one in "_-. :/" else "_" for one in name)


WANDB_FOLDER = "wandb"


def write_wandb(study: str, runs: Sequence[Run], folder: Path) -> Path:
    """Write `folder`/wandb with a run of project `study` for each of `runs`.

    Run ids are those of the trials: exported again, offline runs take the place of what they were, and a server goes on
    with those it has, where it ignores steps that it has seen. UsageError where wandb is not installed.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which would be sent, even offline
    wandb = import_optional("wandb", "--to=wandb")
    mode = os.environ.get("WANDB_MODE", "offline")
    settings = wandb.Settings(
        console="off",
        silent=True,
        x_disable_meta=True,
        x_disable_stats=True,
        x_save_requirements=False,
        disable_git=True,
    )
    for run in runs:
        before = list((folder / WANDB_FOLDER).glob(f"offline-run-*-{run.run_id}"))
        with wandb.init(
            project=study,
            id=run.run_id,
            name=run.name,
            group=run.group,
            job_type=run.kind,
            config=dict(run.config),
            dir=folder,
            mode=mode,
            resume="allow" if mode == "online" else None,
            settings=settings,
        ) as log:
            log.define_metric("*", step_metric=run.axis)
            for one in run.steps:
                log.log({run.axis: one.step, "seconds": one.seconds, **one.numbers}, step=one.step)
            log.summary["status"] = run.status
        for old in before:
            shutil.rmtree(old)
    return folder / WANDB_FOLDER
