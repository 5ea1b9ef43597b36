"""Run docs/notebook.ipynb anew, in an empty folder, and write its outputs back: python -m scripts.notebook

The notebook is its own source: change its cells in any editor, then run this. What differs from one machine or run to
the next is left out: paths, times, versions, progress.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}


def executed(path: Path, folder: Path) -> Any:
    """The notebook with the outputs of all its cells, run in `folder`; CellExecutionError where one fails."""
    notebook = nbformat.read(path, as_version=4)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"}
    NotebookClient(notebook, timeout=600, kernel_name="python3").execute(cwd=str(folder), env=environment)
    return notebook


def stripped(notebook: Any) -> Any:
    """The notebook without what differs from run to run."""
    notebook.metadata = nbformat.from_dict({"kernelspec": _KERNEL, "language_info": {"name": "python"}})
    for cell in notebook.cells:
        cell.metadata = nbformat.from_dict({})
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_progress(output)]
    return notebook


def _is_progress(output: Any) -> bool:
    return output.output_type == "display_data" and not output.data.get("text/plain", "dlm: ").startswith("dlm: ")


def main() -> None:
    """Run the notebook and write it back."""
    with tempfile.TemporaryDirectory() as folder:
        notebook = stripped(executed(NOTEBOOK, Path(folder)))
    nbformat.validate(notebook)
    nbformat.write(notebook, NOTEBOOK)
    print(f"{NOTEBOOK.name}: {len(notebook.cells)} cells, {NOTEBOOK.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
