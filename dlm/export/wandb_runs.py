"""Runs for Weights & Biases: offline, unless the user's own WANDB_MODE says otherwise; `wandb sync` sends them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from dlm.export.runs import Run
from dlm.optional import needed

FOLDER = "wandb"


def write(study: str, runs: Sequence[Run], folder: Path) -> Path:
    """Write `folder`/wandb with a run of project `study` for each of `runs`.

    Run ids are those of the trials: exported again, offline runs take the place of what they were, and a server goes on
    with those it has, where it ignores steps that it has seen. UsageError where wandb is not installed.
    """
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # which would be sent, even offline
    wandb = needed("wandb", "wandb", "--to=wandb")
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
        before = list((folder / FOLDER).glob(f"offline-run-*-{run.run_id}"))
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
    return folder / FOLDER
