"""docs/notebook.ipynb: what is committed is whole and clean, and a run of it agrees."""

import re

import pytest

nbformat = pytest.importorskip("nbformat", reason="pip install dlm[notebook]")
pytest.importorskip("nbclient", reason="pip install dlm[notebook]")

from scripts.notebook import NOTEBOOK, executed, stripped  # noqa: E402


@pytest.fixture(scope="module")
def committed():
    return nbformat.read(NOTEBOOK, as_version=4)


def outputs(notebook, cell_id):
    """The text outputs of a cell, and the Markdown of its result."""
    (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
    texts = [output.get("text", output.get("data", {}).get("text/markdown", "")) for output in cell.outputs]
    return "\n".join(text for text in texts if text)


def shown(notebook, cell_id):
    """What a cell announces beside its result."""
    (cell,) = (cell for cell in notebook.cells if cell.id == cell_id)
    return "\n".join(o.data.get("text/plain", "") for o in cell.outputs if o.output_type == "display_data")


def medians(notebook, cell_id):
    """Measured median errors in percent by learner, at the largest size of a result's table."""
    lines = outputs(notebook, cell_id).splitlines()
    rows = [re.split(r" *\| *", line.strip("| ")) for line in lines if line.startswith("|")]
    head = next(k for k, row in enumerate(rows) if row[0] == "examples")
    end = next(k for k in range(head + 2, len(rows)) if not rows[k][0].replace(",", "").isdigit())
    return {name: float(cell.strip("*").split()[0]) for name, cell in zip(rows[head][1:], rows[end - 1][1:])}


def test_what_is_committed_is_whole_small_and_names_no_machine(committed):
    nbformat.validate(committed)
    text = NOTEBOOK.read_text(encoding="utf-8")
    assert len(text) < 400_000
    assert not re.search(r"/home/|/root/|/tmp/|/Users/|site-packages|\.venv|C:\\\\", text)
    assert committed.metadata.keys() == {"kernelspec", "language_info"}
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert not any(output.get("name") == "stderr" for cell in code for output in cell.outputs)
    assert stripped(nbformat.from_dict(committed)) == committed


def test_the_text_says_what_the_outputs_say(committed):
    text = "\n".join(cell.source for cell in committed.cells if cell.cell_type == "markdown")
    assert "trained 60 trials (0 were complete)" in shown(committed, "result")
    assert "trained 0 trials (60 were complete)" in shown(committed, "needs")
    assert "trained 12 trials (60 were complete)" in shown(committed, "larger")
    assert "It trains 72 small models" in text
    assert min(medians(committed, "larger"), key=medians(committed, "larger").get) == "cnn"


@pytest.mark.slow
def test_a_run_of_it_agrees_with_what_is_committed(committed, tmp_path):
    fresh = executed(NOTEBOOK, tmp_path)  # raises where a cell fails
    assert (tmp_path / "runs" / "digits" / "report.html").is_file()
    for cell_id in ("result", "larger"):
        before, now = medians(committed, cell_id), medians(fresh, cell_id)
        # Another kind of CPU has other last bits, which training magnifies: four seeds, 360 test examples.
        assert now == pytest.approx(before, abs=1.5)
        assert min(now, key=now.get) == min(before, key=before.get) == "cnn"
    # No training, the same draws: the forecast of a table is the same everywhere.
    assert outputs(fresh, "elsewhere-score") == outputs(committed, "elsewhere-score")
    assert all(shown(fresh, one).endswith(shown(committed, one)) for one in ("needs", "larger"))
