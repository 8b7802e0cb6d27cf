"""Optimisers with the names, arguments and defaults of ``torch.optim``.

An optimiser does bookkeeping only: it collects the parameters that have a gradient, their state arrays and the group's
options, and passes them to one kernel of ``kernels/update/``, which updates the whole group in one call.

Parameters of a group with different step counts (one had no gradient for a while) need different bias corrections, so
a group is updated in one call per distinct step count: in practice one.

A step that raises leaves parameters, states and step counts unchanged. A kernel validates all of its arguments before
it changes anything, so a single call needs no other check; with several calls, the arrays of all of them are validated
before the first.
"""

import math
import sys
from collections import defaultdict
from functools import partial
from operator import is_

import numpy as np

import kernels
from nn import lr_scheduler
from nn.grad_mode import enable_grad
from nn.lr_scheduler import as_number
from nn.tensor import Tensor

NUMBERS = (float, int, bool)
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
NO_STATE = {}  # the state of a parameter that has not been updated yet

# As `os.path`: makes `from nn.optim.lr_scheduler import StepLR` work although this is a module, not a package.
sys.modules[f"{__name__}.lr_scheduler"] = lr_scheduler


class Optimizer:
    """Base class: parameter groups, per-parameter state, and their saving and loading.

    A subclass provides ``_check(options)``, which validates one group's options, and ``_plan(params, options)``, which
    yields the kernel calls that update one group.

    An option may be a Python or NumPy number, or a tensor or array of one element, which is read at every step: a
    change in place takes effect.

    Parameters
    ----------
    params : iterable of Tensor, or iterable of dict
        The parameters to optimise, or parameter groups: dicts with a ``"params"`` entry and the options that differ
        from the defaults.
    defaults : dict
        The options of groups that do not override them.

    Attributes
    ----------
    param_groups : list of dict
    state : dict
        Parameter -> dict of its state: arrays of the parameter's shape and, for most optimisers, ``step``, a count.

    Raises
    ------
    TypeError
        `params` is a single Tensor or a set, or holds something that is not a Tensor.
    ValueError
        No parameters; a parameter that occurs twice; a Tensor that is not a leaf; an option outside its range, or an
        array of several elements.
    """

    def __init__(self, params, defaults):
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: params must be an iterable of Tensors or dicts, got a single Tensor")
        self.defaults = defaults
        self.state = defaultdict(dict)
        self.param_groups = []
        self._valid_options = {}  # id of a group -> its options' values when last validated, and as Python numbers
        self._options(defaults)
        groups = list(params)
        if not groups:
            raise ValueError(f"{self._name}: the parameter list is empty")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    @property
    def _name(self):
        return type(self).__name__

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
        if value.__class__ is tuple and all(v.__class__ in NUMBERS for v in value):
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

    def add_param_group(self, param_group):
        """Add a group of parameters, for example layers that are unfrozen during training.

        Parameters
        ----------
        param_group : dict
            ``"params"``: a Tensor or an ordered collection of Tensors; further entries override the defaults for this
            group.

        Raises
        ------
        TypeError, ValueError
            As for the constructor.
        """
        if not isinstance(param_group, dict):
            raise TypeError(f"{self._name}: a parameter group must be a dict, got {type(param_group).__name__}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(f"{self._name}: params must be ordered, got a set: its order changes from run to run")
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for p in params:
            if not isinstance(p, Tensor):
                raise TypeError(f"{self._name}: params must be Tensors, got {type(p).__name__}")
            if not p.is_leaf:
                raise ValueError(f"{self._name}: a parameter of shape {p.shape} is not a leaf of the graph")
            if id(p) in known:
                raise ValueError(f"{self._name}: a parameter of shape {p.shape} occurs more than once")
            known.add(id(p))
        group = {**self.defaults, **param_group, "params": params}
        self._options(group)
        self.param_groups.append(group)

    def zero_grad(self, set_to_none=True):
        """Reset the gradients of all parameters.

        Parameters
        ----------
        set_to_none : bool, default True
            True: ``p.grad`` becomes None, and a parameter that gets no new gradient is skipped by `step`.
            False: it becomes zeros, and `step` still applies momentum and weight decay.
        """
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p.grad = None
                elif p.grad is not None:
                    p.grad.zero_()

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
        ValueError
            An option outside its range; a gradient or state array whose shape differs from the parameter's; a read-only
            parameter; two parameters that share one array. Nothing is changed.
        TypeError
            A parameter that is not float32 or float64, or a gradient or state array of another dtype. Nothing is
            changed.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        batches = [b for group in self.param_groups for b in self._plan(group["params"], self._options(group))]
        if len(batches) > 1:
            for batch in batches:
                batch.check()
        for batch in batches:
            batch.run()
        return loss

    def state_dict(self):
        """Return the state in torch's layout: parameters are numbered across the groups, arrays are not copied.

        Returns
        -------
        dict
            ``"state"``: number -> state; ``"param_groups"``: the groups, with numbers in place of parameters, and
            options that are tensors or NumPy numbers converted to Python numbers, so that they are valid JSON.
        """
        numbers = {}
        for group in self.param_groups:
            for p in group["params"]:
                numbers[p] = len(numbers)
        return {
            "state": {numbers[p]: dict(state) for p, state in self.state.items()},
            "param_groups": [
                {key: [numbers[p] for p in value] if key == "params" else _saved(value) for key, value in group.items()}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, state_dict):
        """Load a state saved by `state_dict`, here or in torch; arrays are copied, in the parameters' dtypes.

        Raises
        ------
        ValueError
            The groups, their sizes, their options or an array's shape differ; the optimiser is unchanged.
        """
        saved_groups = state_dict["param_groups"]
        if len(saved_groups) != len(self.param_groups):
            raise ValueError(
                f"{self._name}.load_state_dict: numbers of parameter groups differ: "
                f"the optimiser has {len(self.param_groups)}, the state {len(saved_groups)}"
            )
        groups, by_number = [], {}
        for i, (group, saved) in enumerate(zip(self.param_groups, saved_groups, strict=True)):
            if len(saved["params"]) != len(group["params"]):
                raise ValueError(
                    f"{self._name}.load_state_dict: sizes of parameter group {i} differ: "
                    f"the optimiser has {len(group['params'])}, the state {len(saved['params'])}"
                )
            if missing := sorted(self.defaults.keys() - saved.keys()):
                raise ValueError(f"{self._name}.load_state_dict: parameter group {i} of the state lacks {missing}")
            by_number.update(zip(saved["params"], group["params"], strict=True))
            groups.append({**saved, "params": group["params"]})
            self._options(groups[-1])
        state = defaultdict(dict)
        for number, saved in state_dict["state"].items():
            if number not in by_number:
                raise ValueError(f"{self._name}.load_state_dict: the state has parameter {number}, the groups do not")
            p = by_number[number]
            for key, value in saved.items():
                if key == "step":
                    state[p][key] = int(value)
                elif value is not None:  # torch saves None for a momentum buffer that does not exist yet
                    value = np.array(np.asarray(value), dtype=p.array.dtype, order="C")
                    if value.shape != p.array.shape:
                        raise ValueError(
                            f"{self._name}.load_state_dict: shapes of {key} of parameter {number} differ: "
                            f"the parameter is {p.array.shape}, the state {value.shape}"
                        )
                    state[p][key] = value
        self.param_groups, self.state = groups, state

    def __repr__(self):
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])

    def _batches(self, params, fills, counted=True):
        """Group the parameters that have a gradient into batches, one per kernel call, without changing anything.

        Parameters
        ----------
        params : list of Tensor
        fills : dict
            State name -> initial value of its arrays.
        counted : bool, default True
            True: keep a step count for each parameter, and batch by it.
            False: batch by whether this is a parameter's first step.

        Returns
        -------
        iterable of _Batch
        """
        batches, batch = {}, None
        for p in params:
            grad = p.grad
            if grad is None:
                continue
            x, state = p.array, self.state.get(p, NO_STATE)
            key = state.get("step", 0) + 1 if counted else not state
            if batch is None or batch.key != key or batch.dtype is not x.dtype:
                batch = batches.get((key, x.dtype))
                if batch is None:
                    batch = batches[key, x.dtype] = _Batch(self, key, x.dtype, fills, counted)
            for arrays, name in zip(batch.states, fills, strict=True):
                array = state.get(name)
                if array is None:
                    array = np.full(x.shape, fills[name], x.dtype)
                    state = batch.new_states[p] = {**state, name: array}
                arrays.append(array)
            if state is NO_STATE:
                state = batch.new_states[p] = {}
            batch.tensors.append(p)
            batch.state_dicts.append(state)
            batch.params.append(x)
            batch.grads.append(grad.array)
        return batches.values()


class _Batch:
    """Parameters that one kernel call updates.

    Attributes
    ----------
    key : int or bool
        The step count after this step, or whether this is the first step.
    params, grads : list of array
    states : list of list of array
        One list of arrays for each name of a state.
    state_dicts : list of dict
        The states of the parameters, by name.
    new_states : dict
        Parameter -> state, for states that gain an array in this step.
    call : callable
        The kernel with its arguments, the lists of arrays among them.
    """

    __slots__ = (
        *("optimizer", "key", "dtype", "names", "counted", "call"),
        *("tensors", "state_dicts", "new_states", "params", "grads", "states", "copies"),
    )

    def __init__(self, optimizer, key, dtype, names, counted):
        self.optimizer, self.key, self.dtype, self.names, self.counted = optimizer, key, dtype, names, counted
        self.tensors, self.state_dicts, self.new_states = [], [], {}
        self.params, self.grads, self.states = [], [], [[] for _ in names]
        self.copies = []

    def check(self):
        """Raise what the kernel would raise, naming the parameter; copy non-contiguous parameters and states."""
        name = self.optimizer._name
        if self.dtype not in FLOATS:
            raise TypeError(f"{name}: parameters must be float32 or float64, got {self.dtype}")
        shapes = [x.shape for x in self.params]
        if len({*map(id, self.params)}) < len(shapes):
            raise ValueError(f"{name}: two parameters share one array")
        lists = self.params, self.grads, *self.states
        for kind, arrays in zip(("parameter", "gradient", *self.names), lists, strict=True):
            for array, shape in zip(arrays, shapes, strict=True):
                if array.shape != shape:
                    raise ValueError(f"{name}: the {kind} of a parameter of shape {shape} has shape {array.shape}")
                if array.dtype != self.dtype:
                    raise TypeError(f"{name}: the {kind} of a parameter of {self.dtype} is {array.dtype}")
                if not (array.flags.writeable or kind == "gradient"):
                    raise ValueError(f"{name}: the {kind} of a parameter of shape {shape} is read-only")
        for arrays in (self.params, *self.states):
            for i, array in enumerate(arrays):
                if not array.flags.carray:
                    arrays[i] = array.copy(order="C")
                    self.copies.append((array, arrays[i]))

    def run(self):
        """Call the kernel, then store its results: copies, step counts and new states."""
        try:
            self.call()
        except (TypeError, ValueError):  # nothing has changed: check raises a better error or copies arrays
            self.check()
            self.call()
        for array, copy in self.copies:
            array[...] = copy
        for p in self.tensors:
            p.mark_changed()
        if self.counted:
            for state in self.state_dicts:
                state["step"] = self.key
        self.optimizer.state.update(self.new_states)


def _saved(value):
    """Convert an option to what JSON can represent."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(_saved, value))
    if math.prod(getattr(value, "shape", ())) == 1:
        return as_number(value)
    return value.tolist() if hasattr(value, "tolist") else value


class SGD(Optimizer):
    """Stochastic gradient descent, with (Nesterov) momentum and weight decay.

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-3
    momentum : float, default 0
    dampening : float, default 0
        The gradient is multiplied by ``1 - dampening`` before it is added to the momentum buffer.
    weight_decay : float, default 0
        L2 penalty: this times the parameter is added to the gradient.
    nesterov : bool, default False
    maximize : bool, default False
        Ascend instead of descend.

    Raises
    ------
    ValueError
        A negative option, or `nesterov` without momentum or with dampening.

    Examples
    --------
    >>> import nn
    >>> w = nn.Parameter([1.0, 2.0])
    >>> (w * w).sum().backward()
    >>> nn.optim.SGD([w], lr=0.25).step()
    >>> w.tolist()
    [0.5, 1.0]
    """

    def __init__(self, params, lr=1e-3, momentum=0, dampening=0, weight_decay=0, nesterov=False, *, maximize=False):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options):
        self._require_non_negative(options, "lr", "momentum", "weight_decay")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ValueError(
                f"{self._name}: nesterov needs a momentum and zero dampening, "
                f"got momentum {options['momentum']} and dampening {options['dampening']}"
            )

    def _plan(self, params, options):
        fills = {"momentum_buffer": 0} if options["momentum"] != 0 else {}
        for batch in self._batches(params, fills, counted=False):
            batch.call = partial(
                kernels.sgd,
                batch.params,
                batch.grads,
                *batch.states,
                lr=options["lr"],
                momentum=options["momentum"],
                dampening=options["dampening"],
                weight_decay=options["weight_decay"],
                nesterov=options["nesterov"],
                maximize=options["maximize"],
                first=batch.key,
            )
            yield batch


class Adam(Optimizer):
    """Adam: steps scaled by running means of the gradient and of its square (Kingma and Ba 2015, Algorithm 1).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-3
    betas : (float, float), default (0.9, 0.999)
        Decay rates of the two running means.
    eps : float, default 1e-8
        Added to the denominator.
    weight_decay : float, default 0
    amsgrad : bool, default False
        Divide by the largest second moment so far (Reddi et al. 2018).
    maximize : bool, default False
        Ascend instead of descend.
    decoupled_weight_decay : bool, default False
        True: decay shrinks the parameter directly (AdamW). False: it is added to the gradient.

    Raises
    ------
    ValueError
        A negative option, or a beta outside [0, 1).
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        maximize=False,
        decoupled_weight_decay=False,
    ):
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _check(self, options):
        self._require_non_negative(options, "lr", "eps", "weight_decay")
        betas = options["betas"]
        if not (isinstance(betas, tuple) and len(betas) == 2 and all(0 <= beta < 1 for beta in betas)):
            raise ValueError(f"{self._name}: betas must be two numbers in [0, 1), got {betas}")

    def _plan(self, params, options):
        fills = {"exp_avg": 0, "exp_avg_sq": 0}
        if options["amsgrad"]:
            fills["max_exp_avg_sq"] = 0
        kernel = kernels.adamw if options["decoupled_weight_decay"] else kernels.adam
        for batch in self._batches(params, fills):
            batch.call = partial(
                kernel,
                batch.params,
                batch.grads,
                *batch.states,
                step=batch.key,
                lr=options["lr"],
                betas=options["betas"],
                eps=options["eps"],
                weight_decay=options["weight_decay"],
                maximize=options["maximize"],
            )
            yield batch


class AdamW(Adam):
    """Adam with decoupled weight decay: it shrinks the parameter and bypasses the moments (Loshchilov and Hutter 2019).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr, betas, eps
        As for `Adam`.
    weight_decay : float, default 1e-2
    amsgrad, maximize
        As for `Adam`.

    Raises
    ------
    ValueError
        A negative option, or a beta outside [0, 1).
    """

    def __init__(
        self, params, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2, amsgrad=False, *, maximize=False
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize, decoupled_weight_decay=True)

    def load_state_dict(self, state_dict):
        super().load_state_dict(state_dict)
        for group in self.param_groups:  # even if the state was saved by Adam
            group["decoupled_weight_decay"] = True


class RMSprop(Optimizer):
    """RMSprop: steps scaled by a running mean of the squared gradient (Hinton 2012, lecture 6e).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-2
    alpha : float, default 0.99
        Decay rate of the running mean.
    eps : float, default 1e-8
        Added to the denominator.
    weight_decay : float, default 0
    momentum : float, default 0
    centered : bool, default False
        Scale by the variance of the gradient instead of its second moment (Graves 2013).
    maximize : bool, default False
        Ascend instead of descend.

    Raises
    ------
    ValueError
        A negative option.
    """

    def __init__(
        self, params, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0, momentum=0, centered=False, *, maximize=False
    ):
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options):
        self._require_non_negative(options, "lr", "alpha", "eps", "weight_decay", "momentum")

    def _plan(self, params, options):
        fills = {"square_avg": 0}
        if options["momentum"] > 0:
            fills["momentum_buffer"] = 0
        if options["centered"]:
            fills["grad_avg"] = 0
        for batch in self._batches(params, fills):
            states = dict(zip(fills, batch.states, strict=True))
            batch.call = partial(
                kernels.rmsprop,
                batch.params,
                batch.grads,
                states["square_avg"],
                states.get("momentum_buffer"),
                states.get("grad_avg"),
                lr=options["lr"],
                alpha=options["alpha"],
                eps=options["eps"],
                weight_decay=options["weight_decay"],
                momentum=options["momentum"],
                maximize=options["maximize"],
            )
            yield batch


class Adagrad(Optimizer):
    """Adagrad: steps scaled by the root of the sum of all squared gradients so far (Duchi et al. 2011).

    Parameters
    ----------
    params : iterable of Tensor or of dict
    lr : float, default 1e-2
    lr_decay : float, default 0
        The rate of step t is ``lr / (1 + (t - 1) * lr_decay)``.
    weight_decay : float, default 0
    initial_accumulator_value : float, default 0
        Initial value of the sums of squares.
    eps : float, default 1e-10
        Added to the denominator.
    maximize : bool, default False
        Ascend instead of descend.

    Raises
    ------
    ValueError
        A negative option.
    """

    def __init__(
        self, params, lr=1e-2, lr_decay=0, weight_decay=0, initial_accumulator_value=0, eps=1e-10, *, maximize=False
    ):
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options):
        self._require_non_negative(options, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def _plan(self, params, options):
        fills = {"sum": options["initial_accumulator_value"]}
        for batch in self._batches(params, fills):
            batch.call = partial(
                kernels.adagrad,
                batch.params,
                batch.grads,
                *batch.states,
                step=batch.key,
                lr=options["lr"],
                lr_decay=options["lr_decay"],
                weight_decay=options["weight_decay"],
                eps=options["eps"],
                maximize=options["maximize"],
            )
            yield batch
