"""The public names of `dlm`: one flat list, loaded at first use."""

import importlib
import subprocess
import sys

import pytest

import dlm


def test_dir_lists_the_public_names_and_each_one_loads():
    assert dir(dlm) == sorted(dlm.__all__)
    for name in dir(dlm):
        assert getattr(dlm, name).__name__.rpartition(".")[2] == name
    with pytest.raises(AttributeError, match="has no attribute 'Stduy'"):
        dlm.Stduy  # noqa: B018


@pytest.mark.parametrize("package", ["data", "models", "tasks", "baselines"])
def test_every_public_name_of_a_config_package_is_a_name_of_dlm(package):
    module = importlib.import_module(f"dlm.{package}")
    assert {name: getattr(dlm, name) for name in module.__all__} == {
        name: getattr(module, name) for name in module.__all__
    }


def test_importing_dlm_loads_no_numerical_library():
    code = "import dlm, sys; print(sorted({'numpy', 'jax', 'rich', 'pyarrow'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_version_is_a_version():
    assert dlm.__version__.split(".")[0].isdecimal()
