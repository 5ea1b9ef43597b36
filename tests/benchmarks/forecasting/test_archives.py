"""Reading folders of curves and building forecasting tasks."""

import gzip

import numpy as np
import pytest

from benchmarks.forecasting import archives, protocols

HEADER = "archive,curve,dataset,learner,x,size,error,stderr,repeats,part\n"


@pytest.fixture
def folder(tmp_path):
    """An archive of means, a published curve, a table of splits, a user's table, and a table without curves."""
    with gzip.open(tmp_path / "means.csv.gz", "wt") as file:
        file.write(HEADER)
        for n in (64, 16, 32, 23, 45, 91, 128):
            file.write(f"means,3|svm,3,svm,train_size,{n},{n**-0.5},0.01,25,\n")
    (tmp_path / "law.csv").write_text(
        HEADER + "".join(f"law,a,a,m,x,{n},{1 / n},,,{'fit' if n < 16 else 'extrapolate'}\n" for n in (2, 4, 8, 16, 32))
    )
    (tmp_path / "lcdb10_splits.csv").write_text(
        "openmlid,learner,n_train,outer_seed,inner_seed,err_test\n"
        + "".join(f"7,svm,{n},0,{s},{0.5 - 0.01 * s}\n" for n in (16, 23, 32, 64) for s in range(6))
    )
    (tmp_path / "mine.csv").write_text("curve,size,error\nrun,10,0.5\nrun,10,0.3\nrun,20,0.2\nrun,40,\nrun,5,0.6\n")
    (tmp_path / "other.csv").write_text("name,val_loss\na,2\n")
    return tmp_path


def by_name(folder):
    return {curve.key: curve for curve in archives.read_folder(folder)}


def test_reads_every_table_of_curves(folder):
    curves = by_name(folder)
    assert sorted(curves) == ["law|a", "means|3|svm", "mine|run"]
    means = curves["means|3|svm"]
    assert means.train_sizes.tolist() == [16, 23, 32, 45, 64, 91, 128]
    assert (means.dataset, means.learner, means.bound) == ("3", "svm", (0.0, 1.0))
    assert (means.repeats == 25).all()
    assert curves["law|a"].published
    assert not means.published


def test_pools_sizes_that_occur_twice_and_drops_failed_runs(folder):
    mine = by_name(folder)["mine|run"]
    assert mine.train_sizes.tolist() == [5, 10, 20]
    assert mine.errors == pytest.approx([0.6, 0.4, 0.2])
    assert mine.stderr[1] == pytest.approx(0.1)
    assert np.isnan(mine.stderr[[0, 2]]).all()
    assert mine.repeats[1] == 2


def test_halves_are_by_data_set_alone():
    assert {archives.half(str(number)) for number in range(20)} == {0, 1}
    assert archives.half("3") == archives.number("3") % 2
    assert archives.in_half("3", "both")
    assert archives.in_half("3", "report") != archives.in_half("3", "choose")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("size,error\n0,0.5\n", "mine.csv:2: size='0' is not a positive number"),
        ("size,error\n10,0.5\n20,oops\n", "mine.csv:3: error='oops' is not a number"),
        ("size,error\n10,-0.5\n", "error='-0.5' is not a number of at least 0"),
    ],
)
def test_a_bad_cell_is_named(tmp_path, text, message):
    (tmp_path / "mine.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        archives.read_folder(tmp_path)


def test_a_folder_without_curves_is_refused(tmp_path):
    with pytest.raises(ValueError, match="contains no table with columns size and error"):
        archives.read_folder(tmp_path)
    with pytest.raises(ValueError, match="is not a folder"):
        archives.read_folder(tmp_path / "none")


def test_a_cut_has_the_smaller_sizes_and_the_largest_as_target(folder):
    curve = by_name(folder)["means|3|svm"]
    task = protocols.cut(curve, 2)
    assert task.train_sizes.tolist() == [16, 23, 32, 45, 64]
    assert task.at.tolist() == [128]
    assert task.targets == curve.errors[-1]
    assert task.target_se == [0.01]
    assert protocols.cut(curve, 4).train_sizes.tolist() == [16, 23, 32]
    assert protocols.cut(curve, 8) is None


def test_thinning_keeps_the_largest_size_and_the_requested_density():
    train_sizes = np.round(16 * 2 ** (np.arange(0, 57) / 8))
    rows = protocols.visible_indices(train_sizes, 4, per_octave=2)
    assert train_sizes[rows[-1]] == train_sizes[-1] / 4
    steps = np.diff(np.log2(train_sizes[rows]))
    assert steps == pytest.approx(0.5, abs=0.07)
    assert len(protocols.visible_indices(train_sizes, 4)) == 41


def test_few_seeds_are_sampled_around_the_mean_by_name_alone(folder):
    task = protocols.cut(by_name(folder)["means|3|svm"], 2)
    sampled = protocols.with_few_seeds(task, 5)
    assert sampled.errors.shape == (5, 5)
    assert sampled.stderr is sampled.repeats is None
    assert (sampled.errors == protocols.with_few_seeds(task, 5).errors).all()
    many = protocols.with_few_seeds(task, 4000)
    assert many.errors.std(axis=1) == pytest.approx(0.05, rel=0.1)


def test_splits_are_real_ones(folder):
    (curve,) = archives.read_splits(folder / "lcdb10_splits.csv")
    task = protocols.split_task(curve, 2, 3)
    assert task.errors.shape == (3, 3)
    assert all(len(set(row)) == 3 and set(row) <= set(curve.errors[0]) for row in task.errors)
    assert task.targets == pytest.approx(0.475)
    assert task.target_se == pytest.approx(np.std(curve.errors[0], ddof=1) / 6**0.5)


def test_published_parts_are_kept(folder):
    task = protocols.published(by_name(folder)["law|a"])
    assert task.train_sizes.tolist() == [2, 4, 8]
    assert task.at.tolist() == [16, 32]
    assert task.ratio == 4
