"""Runs for trackio: in a local folder; `trackio sync` sends them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from dlm.export.runs import Run
from dlm.optional import needed

FOLDER = "trackio"


def write(study: str, runs: Sequence[Run], folder: Path) -> Path:
    """Log runs into the project `study` in `folder`/trackio, or in the user's own TRACKIO_DIR; the folder.

    Each run takes the place of what it was. They go into trackio's own storage at once: its `init` and `log` are made
    for a live run, and start senders. A process keeps to the folder that trackio was imported with. UsageError where
    trackio is not installed.
    """
    os.environ.setdefault("TRACKIO_DIR", str((folder / FOLDER).resolve()))
    trackio = needed("trackio", "trackio", "--to=trackio")
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
