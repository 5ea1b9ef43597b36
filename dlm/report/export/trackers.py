"""Logs runs to the experiment trackers trackio, MLflow and Weights & Biases."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from dlm.report.export.runs import Run
from dlm.study.names import Status
from dlm.utils.optional_imports import import_optional

TRACKIO_FOLDER = "trackio"


def write_trackio(study: str, runs: Sequence[Run], folder: Path) -> Path:
    """Log runs to the project `study` in `folder`/trackio, or in the user's TRACKIO_DIR; returns the folder.

    Replaces runs of an earlier export. Writes to trackio's storage directly, because its `init` and `log` are for live
    runs and start senders. A process uses the folder with which trackio was imported. UsageError if trackio is not
    installed.
    """
    os.environ.setdefault("TRACKIO_DIR", str((folder / TRACKIO_FOLDER).resolve()))
    trackio = import_optional("trackio", "--to=trackio")
    storage, target = trackio.SQLiteStorage, Path(trackio.TRACKIO_DIR)
    target.mkdir(parents=True, exist_ok=True)
    existing = {run["id"]: run["name"] for run in storage.get_run_records(study)}
    for run in runs:
        if run.run_id in existing:
            storage.delete_run(study, existing[run.run_id], run_id=run.run_id)
        storage.bulk_log(
            study,
            run.name,
            [dict(step.numbers) for step in run.steps] or [{}],
            steps=[step.step for step in run.steps] or [0],
            config={**run.config, "_Group": run.group, "kind": run.kind, "status": run.status},
            run_id=run.run_id,
        )
    return target


FILE = "mlflow.db"
_STATUS = {Status.DONE: "FINISHED", Status.RUNNING: "RUNNING"}
_METRICS_PER_CALL, _MAX_RUNS = 1000, 50_000  # limits of MLflow
_RUN_ID, _CONTENT = "dlm.run_id", "dlm.content"


def write_mlflow(study: str, runs: Sequence[Run], folder: Path) -> Path | str:
    """Log runs to the experiment `study` in a SQLite file or the user's MLFLOW_TRACKING_URI; returns file or address.

    Replaces a run of an earlier export, found by its tag `dlm.run_id`, if its numbers differ. UsageError if MLflow is
    not installed.
    """
    # Disables usage reports; MLflow reads it when it is imported.
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
    else:  # the default location of artifacts is a new folder in the current one
        number = client.create_experiment(study, None if own else (folder / "mlflow-artifacts").resolve().as_uri())
    existing = {run.data.tags.get(_RUN_ID): run for run in client.search_runs([number], max_results=_MAX_RUNS)}
    for run in runs:
        content = hashlib.sha256(repr(run).encode()).hexdigest()
        known = existing.get(run.run_id)
        if known and known.data.tags.get(_CONTENT) == content:
            continue
        _log(client, number, run, content)
        if known:
            client.delete_run(known.info.run_id)
    return own or path


def _log(client: Any, experiment: str, run: Run, content: str) -> None:
    from mlflow.entities import Metric, Param

    start = int(1000 * time.time())
    tags = {_RUN_ID: run.run_id, "dlm.kind": run.kind, "dlm.group": run.group}
    run_id = client.create_run(experiment, start_time=start, tags=tags, run_name=run.name).info.run_id
    metrics = (
        Metric(_name(name), number, start + round(1000 * step.seconds), step.step)
        for step in run.steps
        for name, number in step.numbers.items()
    )
    params = [Param(name, str(value)) for name, value in run.config.items() if str(value)]
    client.log_batch(run_id, params=params)
    while batch := list(islice(metrics, _METRICS_PER_CALL)):
        client.log_batch(run_id, metrics=batch)
    seconds = run.steps[-1].seconds if run.steps else 0.0
    client.set_terminated(run_id, _STATUS.get(run.status, "FAILED"), end_time=start + round(1000 * seconds))
    client.set_tag(run_id, _CONTENT, content)  # last, because it marks the run as complete


def _name(name: str) -> str:
    """A metric's name, with characters that MLflow does not allow replaced."""
    return "".join(char if char.isalnum() or char in "_-. :/" else "_" for char in name)


WANDB_FOLDER = "wandb"


def write_wandb(study: str, runs: Sequence[Run], folder: Path) -> Path:
    """Write runs of the project `study` to `folder`/wandb, offline unless WANDB_MODE is set; `wandb sync` uploads them.

    Replaces offline runs of an earlier export; a server resumes its runs and ignores known steps. UsageError if wandb
    is not installed.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # reports are sent even offline
    wandb = import_optional("wandb", "--to=wandb")
    mode = os.environ.get("WANDB_MODE", "offline")
    disabled = {"x_disable_meta": True, "x_disable_stats": True, "x_save_requirements": False, "disable_git": True}
    settings = wandb.Settings(console="off", silent=True, **disabled)
    for run in runs:
        earlier = list((folder / WANDB_FOLDER).glob(f"offline-run-*-{run.run_id}"))
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
            for step in run.steps:
                log.log({run.axis: step.step, "seconds": step.seconds, **step.numbers}, step=step.step)
            log.summary["status"] = run.status
        for old in earlier:
            shutil.rmtree(old)
    return folder / WANDB_FOLDER
