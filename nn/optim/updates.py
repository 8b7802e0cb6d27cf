"""What the optimisers of this package share: validated options, checked arrays, and steps that raise before a change.

An option may be a Python or NumPy number, or a tensor or array of one element, which is read at every step: a change
in place takes effect.
"""

import math
from operator import is_

import numpy as np

from nn.grad_mode import enable_grad
from nn.optim.arguments import as_number
from nn.optim.optimizer import Optimizer
from nn.tape import ieee
from nn.tensor import Tensor

NUMBERS = (float, int, bool)
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
BLOCK = 2**14  # elements whose values, states and intermediate results fit into the second-level cache


class CheckedOptimizer(Optimizer):
    """An optimiser whose options are numbers, which its ``_check(options)`` validates.

    ``_words`` lists the options that are not numbers, which are passed on as they are.
    """

    _words = ()

    def __init__(self, params, defaults, differentiable=False):
        if differentiable:
            raise ValueError(f"{self._name}: differentiable=True is not available: steps are not recorded")
        self._valid_options = {}  # id of a group -> its options' values when last validated, and as Python numbers
        super().__init__(params, defaults)

    def __getstate__(self):
        return {**super().__getstate__(), "_valid_options": {}}  # a copy's groups have other ids

    def _check_group(self, group):
        self._options(group)

    def _check(self, options):
        """Raise if an option is outside its range."""

    def _options(self, group):
        """Validate the options of a group and return them as Python numbers."""
        values = [group[key] for key in self.defaults]
        cached, options = self._valid_options.get(id(group), ((), None))
        if cached and all(map(is_, values, cached)):
            return options
        plain = [v if v.__class__ in NUMBERS else self._plain(k, v) for k, v in zip(self.defaults, values, strict=True)]
        options = dict(zip(self.defaults, plain, strict=True))
        self._check(options)
        if all(map(is_, values, plain)):  # tensors and arrays are not cached: they may be changed in place
            self._valid_options[id(group)] = values, options
        return options

    def _plain(self, key, value):
        """Validate one option and return it as a Python number or a tuple of them."""
        if key in self._words or (value.__class__ is tuple and all(v.__class__ in NUMBERS for v in value)):
            return value
        if isinstance(value, (tuple, list)) and len({isinstance(v, Tensor) for v in value}) > 1:
            raise ValueError(f"{self._name}: {key} must be either all numbers or all tensors, got {value}")
        if isinstance(value, (tuple, list)) or (key == "betas" and getattr(value, "shape", None) == (2,)):
            return tuple(self._plain(key, v) for v in value)
        if math.prod(getattr(value, "shape", ())) != 1:
            raise ValueError(f"{self._name}: {key} must be one number, got shape {tuple(value.shape)}")
        number = as_number(value)
        if not isinstance(number, NUMBERS):
            raise TypeError(f"{self._name}: {key} must be a number, got {type(value).__name__}")
        return number

    def _require_non_negative(self, options, *keys):
        for key in keys:
            if not options[key] >= 0:
                raise ValueError(f"{self._name}: {key} must be at least 0, got {options[key]}")

    def _require_betas(self, options):
        betas = options["betas"]
        if not (isinstance(betas, tuple) and len(betas) == 2 and all(0 <= beta < 1 for beta in betas)):
            raise ValueError(f"{self._name}: betas must be two numbers in [0, 1), got {betas}")

    def _check_dtype(self, dtype):
        if dtype not in FLOATS:
            raise TypeError(f"{self._name}: parameters must be float32 or float64, got {dtype}")

    def _check_array(self, kind, array, x, shape=None):
        """Raise unless the array of this kind, of the parameter x, has its dtype and shape and can be written."""
        shape = x.shape if shape is None else shape
        if array.shape != shape:
            raise ValueError(f"{self._name}: the {kind} of a parameter of shape {shape} has shape {array.shape}")
        if array.dtype != x.dtype:
            raise TypeError(f"{self._name}: the {kind} of a parameter of {x.dtype} is {array.dtype}")
        if not (array.flags.writeable or kind == "gradient"):
            raise ValueError(f"{self._name}: the {kind} of a parameter of shape {shape} is read-only")

    def _evaluated(self, closure):
        """The loss that the closure returns, with the tape on."""
        with enable_grad():
            return closure()

    def _loaded_state(self, number, p, saved):
        state = {}
        for key, value in saved.items():
            if key == "step":
                state[key] = int(value)
            elif key in self._scalars:
                state[key] = float(value)
            elif value is not None:  # torch saves None for a momentum buffer that does not exist yet
                value = np.array(np.asarray(value), dtype=p.array.dtype, order="C")
                expected = self._state_shape(key, p.array.shape)
                if value.shape != expected:
                    raise ValueError(
                        f"{self._name}.load_state_dict: shapes of {key} of parameter {number} differ: "
                        f"the parameter is {p.array.shape}, the state {value.shape}"
                    )
                state[key] = value
        return state

    _scalars = ()  # the names of states that are numbers

    def _state_shape(self, key, shape):
        """The shape of a state array of a parameter of this shape."""
        return shape


class ArrayOptimizer(CheckedOptimizer):
    """An optimiser that updates each parameter by expressions of NumPy arrays.

    A subclass has ``_initial(x, options)``, the state of a parameter before its first step, and ``_update(x, g, state,
    options)``, which changes the array x of the parameter and the state in place. If each element is updated on its
    own, as `_by_element` says, a large parameter is updated in blocks: a third of the time of one that leaves the cache
    between any two expressions.
    """

    _by_element = True

    @ieee
    def step(self, closure=None):
        """Update every parameter that has a gradient.

        Parameters
        ----------
        closure : callable, optional
            Evaluates the model again, calls backward, and returns the loss.

        Returns
        -------
        The closure's loss, or None.

        Raises
        ------
        ValueError, TypeError
            An option, gradient, state or parameter is invalid; nothing is changed.
        """
        loss = None if closure is None else self._evaluated(closure)
        updates = []
        for group in self.param_groups:
            options = self._options(group)
            for p in group["params"]:
                if p.grad is not None:
                    self._check_update(p)
                    updates.append((p, options))
        if len({id(p.array) for p, _ in updates}) < len(updates):
            raise ValueError(f"{self._name}: two parameters share one array")
        for p, options in updates:
            state = self.state[p]
            if not state:
                state.update(self._initial(p.array, options))
            if "step" in state:
                state["step"] += 1
            g = p.grad.array
            self._update_in_blocks(p.array, -g if options.get("maximize") else g, state, options)
            p.mark_changed()
        return loss

    def _update_in_blocks(self, x, g, state, options):
        arrays = {key: array for key, array in state.items() if isinstance(array, np.ndarray)}
        if not (self._by_element and x.size > BLOCK and all(a.flags.c_contiguous for a in (x, g, *arrays.values()))):
            self._update(x, g, state, options)
            return
        x, g, flat = x.reshape(-1), g.reshape(-1), {key: array.reshape(-1) for key, array in arrays.items()}
        for start in range(0, x.size, BLOCK):
            part = slice(start, start + BLOCK)
            block = {**state, **{key: array[part] for key, array in flat.items()}}
            self._update(x[part], g[part], block, options)
        state.update((key, block[key]) for key in state.keys() - arrays.keys())  # numbers, the same for each block

    def _check_update(self, p):
        x = p.array
        self._check_dtype(x.dtype)
        self._check_array("parameter", x, x)
        self._check_array("gradient", p.grad.array, x)
        for key, array in self.state.get(p, {}).items():
            if isinstance(array, np.ndarray):
                self._check_array(key, array, x, self._state_shape(key, x.shape))


def decayed(x, g, options):
    """The gradient with weight decay as an L2 penalty."""
    return g + options["weight_decay"] * x if options["weight_decay"] != 0 else g
