"""In bfloat16 the matrix products are, and nothing that is kept or summed; float32 is as if there were no choice."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from small import started

from dlm import Budget, Hyper, Learner, Study
from dlm.data import Digits
from dlm.data.subset_orders import SubsetOrders
from dlm.models import CNN, MLP, ViT
from dlm.models.layers import add_bias
from dlm.study.trial import group_cohorts
from dlm.tasks import Classification
from dlm.train import evaluate, train_step
from dlm.train.device_data import put_on_devices
from dlm.train.program import program_config_of
from dlm.train.trainer import Measurement, train
from dlm.train.types import Member, ProgramConfig

SEEDS = [0, 1]
MODELS = {
    "mlp": MLP((16,)),
    "cnn": CNN((8, 8), (1, 1)),
    "vit": ViT(patch=4, dim=8, depth=1, heads=2),
}


def study(precision, model=MODELS["mlp"], dropout=0.0):
    return Study(
        data=Digits(),
        task=Classification(),
        learners={"net": Learner(model, Hyper(lr=3e-3, weight_decay=0.01, dropout=dropout))},
        train_sizes=(100, 300),
        seeds=tuple(SEEDS),
        budget=Budget(steps=50, eval_every=25, patience=3),
        precision=precision,
    )


@pytest.fixture(scope="module")
def data(digits):
    return put_on_devices(SubsetOrders(digits, SEEDS), jax.devices()[:2])


@pytest.fixture(scope="module")
def trained(digits, data):
    """Final state and measurement by trial, of members trained together."""

    def run(cells):
        members = started(group_cohorts(cells)[0], data)
        told = {event.trial: event for event in train(members, None) if isinstance(event, Measurement)}
        rows = {trial: row for row, trial in enumerate(members.rows) if trial}
        return {
            trial: (jax.tree.map(lambda leaf, row=row: np.asarray(leaf)[row], members.states), told[trial])
            for trial, row in rows.items()
        }

    return run


@pytest.fixture(scope="module")
def programs(digits, data):
    """A trial's update and measurement, as functions of one member, with the shapes they take."""

    def make(trial):
        config = program_config_of(trial, digits)
        scalars = Member(*(np.float32(0),) * 8)
        one = scalars._replace(**dict.fromkeys(("seed", "train_size"), np.uint32(1)), order=np.int32(0))
        one = one._replace(num_steps=np.int32(50))
        state = jax.eval_shape(functools.partial(train_step.init, config), one)
        update = functools.partial(train_step.update, config), (one, state, data.data)
        return update, (functools.partial(evaluate.split_metrics, config, None), (state.params, data.data.test))

    return make


def equations(jaxpr):
    """Every equation of a jaxpr and of those inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for parameter in jax.tree.leaves(equation.params, is_leaf=lambda leaf: hasattr(leaf, "eqns")):
            inner = getattr(parameter, "jaxpr", parameter)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


def operand_types(program, names):
    """Types of the operands of some primitives in a program."""
    function, arguments = program
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    found = [equation for equation in equations(jaxpr) if equation.primitive.name in names]
    return {str(operand.aval.dtype) for equation in found for operand in equation.invars}


@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", MODELS)
def test_matrix_products_are_of_the_precision_and_sums_are_float32(name, precision, dropout, programs):
    for program in programs(study(precision, MODELS[name], dropout).trials[0]):
        assert operand_types(program, ["dot_general"]) == {precision}
        assert operand_types(program, ["reduce_sum", "reduce_max", "cumsum"]) == {"float32"}


def test_a_bias_learns_from_all_places_even_in_bfloat16():
    """256 + 1 is 256 in bfloat16: a sum of 50,176 ones ends far below."""
    x, bias = jnp.zeros((64, 28, 28, 4), jnp.bfloat16), jnp.zeros(4, jnp.bfloat16)
    gradient = jax.jit(jax.grad(lambda bias: add_bias(x, bias).astype(jnp.float32).sum()))(bias)
    assert gradient.dtype == jnp.bfloat16
    np.testing.assert_array_equal(gradient, jnp.bfloat16(64 * 28 * 28))


@pytest.mark.parametrize("name", MODELS)
def test_in_float32_a_program_is_the_one_without_a_choice(name, programs, monkeypatch):
    """Neither the casts nor the softmax in float32 leave a trace."""

    def lowered():
        return [jax.jit(function).lower(*arguments).as_text() for function, arguments in programs(cell)]

    def plain(config, params, inputs, *dropout):
        return config.model.apply(params, inputs, *dropout)

    def plain_training(config, *arguments):
        return config.model.train(*arguments)

    cell = study("float32", MODELS[name], dropout=0.1).trials[0]
    chosen = lowered()
    monkeypatch.setattr(ProgramConfig, "outputs", plain)
    monkeypatch.setattr(ProgramConfig, "train_outputs", plain_training)
    assert lowered() == chosen


@pytest.mark.parametrize("name", MODELS)
def test_what_is_kept_and_measured_is_float32(name, programs):
    update, measure = programs(study("bfloat16", MODELS[name]).trials[0])
    before, after = update[1][1], jax.eval_shape(update[0], *update[1])
    kinds = [jax.tree.map(lambda leaf: leaf.dtype, state) for state in (before, after)]
    assert kinds[0] == kinds[1]
    floats = {kind for kind in jax.tree.leaves(kinds[1]) if jnp.issubdtype(kind, jnp.floating)}
    assert floats == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(jax.eval_shape(measure[0], *measure[1]))} == floats


@pytest.mark.exact
def test_members_in_bfloat16_are_bit_for_bit_what_they_are_alone(trained, bits_equal):
    cells = study("bfloat16").trials
    together = trained(cells)
    for cell in (cells[0], cells[-1]):
        alone = trained([cell])
        assert bits_equal(together[cell][0], alone[cell][0])
        assert together[cell][1].values == alone[cell][1].values


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_bfloat16_ends_near_float32_but_not_at_it(name, trained, bits_equal):
    full, low = (trained(study(precision, MODELS[name]).trials) for precision in ("float32", "bfloat16"))
    for (state, told), (low_state, low_told) in zip(full.values(), low.values(), strict=True):
        assert not bits_equal(state.params, low_state.params)
        for key in (("train", "loss"), ("test", "loss")):
            assert low_told.values[key] == pytest.approx(told.values[key], rel=0.03)
