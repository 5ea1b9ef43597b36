"""Converts flax modules to pure functions: our configs, any `flax.linen.Module`, and any `flax.nnx.Module` class."""

from __future__ import annotations

import dataclasses
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax import nnx

from dlm.models.layers import REPLACED
from dlm.study.config import FrozenDict
from dlm.utils.errors import UsageError

MODE_ARGUMENTS = ("train", "training", "is_training", "deterministic")  # of a module's `__call__`


class Variables(NamedTuple):
    """Variables of a model with state: trained parameters, and statistics that its forward pass updates (BatchNorm)."""

    params: Any
    state: Any


def split_variables(variables: Any) -> tuple[Any, Any]:
    """(parameters, state) of a model; the state is None for a model without."""
    return (variables.params, variables.state) if isinstance(variables, Variables) else (variables, None)


def merge_variables(params: Any, state: Any) -> Any:
    """Inverse of `split_variables`."""
    return params if state is None else Variables(params, state)


class Model(NamedTuple):
    """A model as pure functions.

    `init(key, x) -> variables`: the parameters, or `Variables` for a model with state.
    `apply(variables, x) -> outputs [B, num_outputs]` in evaluation mode.
    `train(params, state, x, dropout, key) -> (outputs, new state)` in training mode. `dropout` is a rate that may be
    traced; None leaves dropout out of the program.
    `layers(variables, x, replaced={}) -> (outputs, activations)`: an OrderedDict of arrays [B, ...] by layer name, in
    order; arrays in `replaced` are used in place of the layers of these names. A module names its layers with
    `dlm.models.layers.layer`; the layers of a module that names none are its submodules.

    `is_stochastic`: training uses a random key, or statistics over the batch. `takes_dropout`: the module uses the
    `dropout` rate. `is_user_module`: a flax module without a config, whose training has to be checked.
    """

    init: Callable[..., Any]
    apply: Callable[..., jax.Array]
    train: Callable[..., tuple[jax.Array, Any]]
    layers: Callable[..., tuple[jax.Array, OrderedDict[str, jax.Array]]]
    is_stochastic: bool = False
    takes_dropout: bool = True
    is_user_module: bool = False


@dataclasses.dataclass(frozen=True, init=False, repr=False)
class NNX:
    """A model that is a `flax.nnx.Module` class: `NNX(MyModule, hidden=64)` creates `MyModule(hidden=64, rngs=…)`.

    module: the class, defined at the top level of a module. arguments: keyword arguments of its constructor except
    `rngs`: numbers, text, tuples, or functions and classes defined at the top level of a module. The module is called
    as `module(x)`, with `train` or `deterministic` if its `__call__` takes it; `nnx.view` sets the mode of Dropout and
    BatchNorm layers. Parameters are `nnx.Param`; all other variables are updated by the forward pass and saved.
    """

    module: type = dataclasses.field(metadata={"code": True})
    arguments: Mapping[str, Any] = dataclasses.field(metadata={"code": True})

    def __init__(self, module: type, arguments: Mapping[str, Any] | None = None, **more: Any) -> None:
        if not (isinstance(module, type) and issubclass(module, nnx.Module)):
            raise UsageError(f"NNX({module!r}): the first argument must be a class derived from flax.nnx.Module")
        object.__setattr__(self, "module", module)
        object.__setattr__(self, "arguments", FrozenDict({**(arguments or {}), **more}))

    def __repr__(self) -> str:
        arguments = "".join(f", {name}={value!r}" for name, value in self.arguments.items())
        return f"NNX({self.module.__qualname__}{arguments})"


def from_linen(net: nn.Module, is_user_module: bool = True) -> Model:
    """The model of a linen module, called with the arguments `dropout`, `train` or `deterministic` that it takes."""
    takes_dropout, mode = _call_arguments(type(net))

    def arguments(train: bool, dropout: Any) -> dict[str, Any]:
        return ({"dropout": dropout} if takes_dropout else {}) | _mode_argument(mode, train)

    def rngs(key: jax.Array | None) -> dict[str, jax.Array] | None:
        if key is None:
            return None
        return {"dropout": key} | ({"params": jax.random.fold_in(key, 1)} if mode else {})

    def init(key: jax.Array, x: jax.Array) -> Any:
        variables = dict(net.init(key, x, **_mode_argument(mode, False)))  # type: ignore[arg-type]
        params = variables.pop("params", {})
        variables.pop("intermediates", None)
        return merge_variables(params, variables or None)

    def apply(variables: Any, x: jax.Array) -> jax.Array:
        outputs: Any = net.apply(_collections(variables), x, **arguments(False, None))
        return outputs

    def train(params: Any, state: Any, x: jax.Array, dropout: Any, key: jax.Array | None) -> tuple[jax.Array, Any]:
        variables = _collections(merge_variables(params, state))
        if state is None:
            return net.apply(variables, x, rngs=rngs(key), **arguments(True, dropout)), None  # type: ignore[return-value]
        outputs, new = net.apply(variables, x, rngs=rngs(key), mutable=list(state), **arguments(True, dropout))
        return outputs, _same_structure(state, dict(new), net)

    def layers(
        variables: Any, x: jax.Array, replaced: Mapping[str, jax.Array] | None = None
    ) -> tuple[jax.Array, OrderedDict[str, jax.Array]]:
        collections = _collections(variables) | ({REPLACED: dict(replaced)} if replaced else {})
        call = arguments(False, None)
        outputs, sown = net.apply(collections, x, mutable=["intermediates"], **call)
        if not sown:
            outputs, sown = net.apply(
                collections,
                x,
                capture_intermediates=lambda module, method: method == "__call__" and len(module.path) == 1,
                **call,
            )
        stored = sown.get("intermediates", {}).items()
        # A layer's output in its last call; of a submodule the values are by method.
        return outputs, OrderedDict(
            (name, (values["__call__"] if isinstance(values, Mapping) else values)[-1]) for name, values in stored
        )

    return Model(init, apply, train, layers, mode is not None, takes_dropout, is_user_module)


def from_nnx(config: NNX) -> Model:
    """The model of an NNX class, through `nnx.split` and `nnx.merge`."""
    _, mode = _call_arguments(config.module)

    def create(key: jax.Array) -> Any:
        takes_rngs = "rngs" in inspect.signature(config.module.__init__).parameters  # type: ignore[misc]
        return config.module(**config.arguments, **({"rngs": nnx.Rngs(key)} if takes_rngs else {}))

    try:
        shapes = nnx.eval_shape(lambda: create(jax.random.key(0)))
    except Exception as error:  # a constructor may raise anything
        raise UsageError(f"model={config!r} cannot be created: {type(error).__name__}: {error}") from error
    graph, *parts = _split(shapes)
    params_paths, rng_paths, state_paths = (_Paths(part) for part in parts)

    def init(key: jax.Array, x: jax.Array) -> Any:
        _, params, _, state = _split(create(key))
        return merge_variables(params_paths.flatten(params), state_paths.flatten(state) or None)

    def call(variables: Any, x: jax.Array, key: jax.Array, train: bool) -> tuple[jax.Array, Any]:
        params, state = split_variables(variables)
        rng_leaves = {
            name: _rng_leaf(leaf, key, number) for number, (name, leaf) in enumerate(rng_paths.shapes.items())
        }
        module = nnx.merge(
            graph, params_paths.unflatten(params), rng_paths.unflatten(rng_leaves), state_paths.unflatten(state or {})
        )
        module = nnx.view(module, deterministic=not train, use_running_average=not train, raise_if_not_found=False)
        before = nnx.graphdef(module)
        outputs = module(x, **_mode_argument(mode, train))
        nnx.pop(module, nnx.Intermediate)
        after, _, _, new = _split(module)
        if before != after:
            raise UsageError(
                f"model={config!r} changes Python attributes in its forward pass, which a compiled program runs once; "
                "keep values that change in an nnx.Variable"
            )
        return outputs, _same_structure(state, state_paths.flatten(new), config) if state else None

    def apply(variables: Any, x: jax.Array) -> jax.Array:
        return call(variables, x, jax.random.key(0), train=False)[0]

    def train(params: Any, state: Any, x: jax.Array, dropout: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        return call(merge_variables(params, state), x, key, train=True)

    def layers(
        variables: Any, x: jax.Array, replaced: Mapping[str, jax.Array] | None = None
    ) -> tuple[jax.Array, OrderedDict[str, jax.Array]]:
        return apply(variables, x), OrderedDict()

    return Model(init, apply, train, layers, is_stochastic=True, takes_dropout=False, is_user_module=True)


def _split(module: Any) -> Any:
    """(graph, parameters, random streams, other state) of an NNX module."""
    return nnx.split(module, nnx.Param, nnx.RngState, ...)


class _Paths:
    """Converts an `nnx.State` to a dictionary of arrays by path, which checkpoints store, and back."""

    def __init__(self, state: Any) -> None:
        flat, self._structure = jax.tree_util.tree_flatten_with_path(state)
        names = [jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in flat]
        self.shapes = {name: leaf for name, (_, leaf) in zip(names, flat)}

    def flatten(self, state: Any) -> dict[str, Any]:
        leaves = jax.tree.leaves(state)
        return dict(zip(self.shapes, leaves)) if len(leaves) == len(self.shapes) else {}

    def unflatten(self, leaves: Mapping[str, Any]) -> Any:
        return jax.tree.unflatten(self._structure, [leaves[name] for name in self.shapes])


def _rng_leaf(shape: Any, key: jax.Array, number: int) -> jax.Array:
    """The key (different for each stream) or the counter of a random stream at the start of a step."""
    if jnp.issubdtype(shape.dtype, jax.dtypes.prng_key):
        own = jax.random.fold_in(key, number)
        return jax.random.split(own, shape.shape) if shape.shape else own
    return jnp.zeros(shape.shape, shape.dtype)


def _call_arguments(module: type) -> tuple[bool, str | None]:
    """(whether `__call__` takes `dropout`, the name of its mode argument or None)."""
    names = inspect.signature(module.__call__).parameters
    return "dropout" in names, next((name for name in MODE_ARGUMENTS if name in names), None)


def _mode_argument(name: str | None, train: bool) -> dict[str, bool]:
    return {} if name is None else {name: not train if name == "deterministic" else train}


def _collections(variables: Any) -> dict[str, Any]:
    params, state = split_variables(variables)
    return {"params": params} | (state or {})


def _same_structure(old: Any, new: Any, model: Any) -> Any:
    """The new state in the types of the old one; UsageError if names or shapes have changed."""
    old_shapes, new_shapes = (jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (old, new))
    if old_shapes != new_shapes:
        raise UsageError(
            f"model={type(model).__name__} changes the names or shapes of its state from {old_shapes} to {new_shapes}; "
            "a compiled program needs a fixed state"
        )
    return jax.tree.map(lambda old, new: new.astype(old.dtype), old, new)
