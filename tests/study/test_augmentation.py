"""What an augmentation may be is checked where it is declared, and against the examples it is for."""

import dataclasses
import subprocess
import sys

import pytest

from dlm.study.config import canonical, digest
from dlm.study.learner import Augment, check_augment
from dlm.study.noise import Noise
from dlm.utils.errors import UsageError

ALL = Augment(flip=True, crop=2, cutout=3, mixup=0.2, time_mask=4, frequency_mask=5, token_drop=0.1)


def test_equal_configs_have_one_id():
    assert len({ALL, dataclasses.replace(ALL), Augment()}) == 2
    assert digest(Augment(mixup=1)) == digest(Augment(mixup=1.0))
    assert canonical(ALL)["crop"] == 2
    assert len({digest(dataclasses.replace(ALL, **{f.name: f.default})) for f in dataclasses.fields(ALL)}) == 7


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("flip", 1, "augment.flip=1 is not true or false"),
        ("crop", -1, "augment.crop=-1 must be a finite number of at least 0"),
        ("crop", 1.5, "augment.crop=1.5 is not an integer"),
        ("cutout", True, "augment.cutout=True is not an integer"),
        ("token_drop", 1.0, "augment.token_drop=1 is a probability; choose a value below 1"),
        ("mixup", float("inf"), "augment.mixup=inf must be a finite number"),
        ("mixup", float("nan"), "augment.mixup=nan is not a number"),
        ("mixup", 1e-9, "augment.mixup=1e-09 must lie between 0.001 and 1000, or be 0"),
    ],
)
def test_a_wrong_number_is_refused(field, value, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        Augment(**{field: value})


@pytest.mark.parametrize(
    ("augment", "shape", "tokens", "message"),
    [
        (
            Augment(flip=True),
            (30,),
            False,
            r"augment.flip=True needs images \[H, W\] .*; examples are numbers of shape \(30,\)",
        ),
        (Augment(crop=2), (4, 8, 8, 3), False, r"augment.crop=2 needs images"),
        (
            Augment(cutout=2),
            (80,),
            True,
            r"augment.cutout=2 needs images .*; examples are tokens of shape \(80,\); omit it",
        ),
        (Augment(frequency_mask=2), (80,), False, r"augment.frequency_mask=2 needs spectrograms"),
        (Augment(token_drop=0.1), (28, 28), False, r"augment.token_drop=0.1 needs tokens"),
        (Augment(mixup=0.2), (80,), True, r"augment.mixup=0.2 needs inputs that can be averaged"),
        (Augment(crop=8), (16, 8, 1), False, r"augment.crop=8 must be below 8"),
        (Augment(time_mask=99), (99, 128), False, r"augment.time_mask=99 must be below 99"),
        (Augment(frequency_mask=50), (99, 40), False, r"augment.frequency_mask=50 must be below 40"),
    ],
)
def test_augmentation_that_does_not_fit_the_examples_is_refused(augment, shape, tokens, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        check_augment(augment, shape, tokens)


def test_augmentation_that_fits_is_accepted():
    check_augment(Augment(), (), False)
    check_augment(Augment(flip=True, crop=3, cutout=7, mixup=1.0), (28, 28), False)
    check_augment(Augment(flip=True, crop=3, cutout=7), (8, 28, 3), False)
    check_augment(Augment(time_mask=98, frequency_mask=39), (99, 40, 1, 2), False)
    check_augment(Augment(mixup=1.0), (30,), False)
    check_augment(Augment(token_drop=0.5), (80,), True)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"label": 1.2}, "noise.label=1.2 is a share; choose a value from 0 to 1"),
        ({"missing": -0.1}, "noise.missing=-0.1 must be a finite number of at least 0"),
        ({"gaussian": -1}, "noise.gaussian=-1 must be a finite number of at least 0"),
        ({"gaussian": float("inf")}, "noise.gaussian=inf"),
        ({"salt": "0.1"}, "noise.salt='0.1' is not a number"),
        ({"label": 0.7, "label_pairs": 0.4}, "noise.label=0.7 and noise.label_pairs=0.4 .*at most 1"),
    ],
)
def test_a_wrong_amount_of_noise_is_refused(fields, message):
    with pytest.raises(UsageError, match=f"^{message}"):
        Noise(**fields)


def test_equal_amounts_of_noise_have_one_id():
    assert Noise(gaussian=2, label=0.5, label_pairs=0.5) == Noise(gaussian=2.0, label=0.5, label_pairs=0.5)
    assert digest(Noise(label=1)) == digest(Noise(label=1.0)) != digest(Noise())
    assert hash(Noise(salt=0.1)) == hash(Noise(salt=0.1))


def test_declaring_needs_no_array_library():
    code = "import sys, dlm.study.learner, dlm.study.noise; print({'jax', 'numpy'} & set(sys.modules))"
    message = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert message.stdout.strip() == "set()"
