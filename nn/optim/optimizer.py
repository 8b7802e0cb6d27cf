"""The base class of all optimisers, and of those that a user writes."""

import math
from collections import defaultdict
from copy import deepcopy
from functools import wraps

import numpy as np

from nn.optim.arguments import as_number
from nn.storage import wrap
from nn.tape import Handle
from nn.tensor import Tensor

HOOKS = (
    *("_step_pre_hooks", "_step_post_hooks", "_state_dict_pre_hooks", "_state_dict_post_hooks"),
    *("_load_state_dict_pre_hooks", "_load_state_dict_post_hooks"),
)


class _Required:
    def __repr__(self):
        return "<required parameter>"


required = _Required()  # as a default: each group must have the option


class Optimizer:
    """Base class: parameter groups, per-parameter state, their saving and loading, and hooks.

    A subclass passes its options to ``super().__init__(params, defaults)`` and defines `step`, which reads the
    parameters and options from `param_groups`, and keeps what it needs in `state`.

    Parameters
    ----------
    params : iterable of Tensor, or iterable of dict, or iterable of (str, Tensor)
        The parameters to optimise, named or not, or parameter groups: dicts with a ``"params"`` entry and the options
        that differ from the defaults.
    defaults : dict
        The options of groups that do not override them; `required` for one that every group must have.

    Attributes
    ----------
    param_groups : list of dict
    state : dict
        Parameter -> dict of its state.

    Raises
    ------
    TypeError
        `params` is a single Tensor or a set, or holds something that is not a Tensor.
    ValueError
        No parameters; a parameter that occurs twice; a Tensor that is not a leaf; an option that is required and
        missing.

    Examples
    --------
    >>> import nn
    >>> class Sign(nn.optim.Optimizer):
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, {"lr": lr})
    ...
    ...     @nn.no_grad()
    ...     def step(self, closure=None):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 p.sub_(group["lr"] * (p.grad / p.grad.abs()))
    >>> w = nn.Parameter([1.0, -2.0])
    >>> (w * w).sum().backward()
    >>> Sign([w], lr=0.5).step()
    >>> w.tolist()
    [0.5, -1.5]
    """

    def __init__(self, params, defaults):
        if isinstance(params, Tensor):
            raise TypeError(f"{self._name}: params must be an iterable of Tensors or dicts, got a single Tensor")
        self.defaults = defaults
        self.state = defaultdict(dict)
        self.param_groups = []
        self._add_hooks()
        self._check_group(defaults)
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

    def _add_hooks(self):
        for name in HOOKS:
            self.__dict__.setdefault(name, {})

    def __getstate__(self):
        return {name: value for name, value in self.__dict__.items() if name not in HOOKS}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._add_hooks()

    def _check_group(self, group):
        """Raise if the options of a group, complete with the defaults, are invalid."""

    def add_param_group(self, param_group):
        """Add a group of parameters, for example layers that are unfrozen during training.

        Parameters
        ----------
        param_group : dict
            ``"params"``: a Tensor or an ordered collection of Tensors or of pairs of name and Tensor; further entries
            override the defaults for this group.

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
        names = [p[0] for p in params if isinstance(p, tuple)]
        if names and len(names) != len(params):
            raise ValueError(f"{self._name}: either all parameters have names or none, got {len(names)} names")
        params = [p[1] if isinstance(p, tuple) else p for p in params]
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
        if names:
            group["param_names"] = names
        if any(("param_names" in group) != ("param_names" in other) for other in self.param_groups):
            raise ValueError(f"{self._name}: either all parameter groups have names or none")
        for key, value in group.items():
            if value is required:
                raise ValueError(f"{self._name}: a parameter group needs the option {key}")
        self._check_group(group)
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
                    p.grad = p.grad.detach()
                    p.grad.zero_()

    def step(self, closure=None):
        """Update every parameter that has a gradient; defined by subclasses.

        Parameters
        ----------
        closure : callable, optional
            Evaluates the model again, calls backward, and returns the loss.
        """
        raise NotImplementedError(f"{self._name}: an optimiser needs step")

    # saving and loading

    def state_dict(self):
        """Return the state in torch's layout: parameters are numbered across the groups, arrays are not copied.

        Returns
        -------
        dict
            ``"state"``: number -> state; ``"param_groups"``: the groups, with numbers in place of parameters, and
            options that are tensors or NumPy numbers converted to Python numbers, so that they are valid JSON.
        """
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self)
        numbers = {}
        for group in self.param_groups:
            for p in group["params"]:
                numbers[p] = len(numbers)
        state_dict = {
            "state": {
                numbers[p] if isinstance(p, Tensor) else p: dict(state) if isinstance(state, dict) else state
                for p, state in self.state.items()
            },
            "param_groups": [
                {key: [numbers[p] for p in value] if key == "params" else _saved(value) for key, value in group.items()}
                for group in self.param_groups
            ],
        }
        return _replaced(self._state_dict_post_hooks, self, state_dict)

    def load_state_dict(self, state_dict):
        """Load a state saved by `state_dict`, here or in torch; arrays are copied, in the parameters' dtypes.

        Raises
        ------
        ValueError
            The groups, their sizes or their options differ; the optimiser is unchanged.
        """
        state_dict = _replaced(self._load_state_dict_pre_hooks, self, dict(state_dict))
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
            names = {"param_names": group["param_names"]} if "param_names" in group else {}
            options = {key: deepcopy(value) for key, value in saved.items() if key != "params"}
            groups.append({**names, **options, "params": group["params"]})
            self._check_group(groups[-1])
        state = defaultdict(dict)
        for number, saved in state_dict["state"].items():
            if number in by_number:
                state[by_number[number]] = self._loaded_state(number, by_number[number], saved)
            elif isinstance(number, int):
                raise ValueError(f"{self._name}.load_state_dict: the state has parameter {number}, the groups do not")
            else:
                state[number] = deepcopy(saved)
        self.__setstate__({"state": state, "param_groups": groups})
        for hook in list(self._load_state_dict_post_hooks.values()):
            hook(self)

    def _loaded_state(self, number, p, saved):
        """A copy of the saved state of parameter `p`: tensors, here or torch's, in its dtype, but for counts."""
        if isinstance(saved, dict):
            return {
                key: deepcopy(value) if key == "step" and isinstance(value, Tensor) else self._loaded(value, p, key)
                for key, value in saved.items()
            }
        return self._loaded(saved, p, None)

    def _loaded(self, value, p, key):
        if hasattr(value, "__array__") and hasattr(value, "shape"):
            dtype = np.asarray(value).dtype if key == "step" or p.array.dtype.kind != "f" else p.array.dtype
            array = np.array(np.asarray(value), dtype=dtype, order="C")
            return array if isinstance(value, (np.ndarray, np.generic)) else wrap(array)
        if isinstance(value, dict):
            return {key: self._loaded(each, p, key) for key, each in value.items()}
        if isinstance(value, (tuple, list)):
            return type(value)(self._loaded(each, p, None) for each in value)
        return deepcopy(value)

    # hooks

    def _hook_step(self):
        """Make the class's `step` call hooks; without any, a step does not pay for them."""
        cls = type(self)
        if not hasattr(cls.step, "hooked"):
            cls.step = _hooked(cls.step)

    def register_step_pre_hook(self, hook):
        """Call ``hook(optimizer, args, kwargs)`` before each step; a pair that it returns replaces the arguments."""
        self._hook_step()
        return Handle(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        self._hook_step()
        return Handle(self._step_post_hooks, hook)

    def register_state_dict_pre_hook(self, hook, prepend=False):
        """Call ``hook(optimizer)`` before `state_dict`; with `prepend`, before all other hooks."""
        return _registered(self._state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook, prepend=False):
        """Call ``hook(optimizer, state_dict)`` after `state_dict`; what it returns, if not None, is the result."""
        return _registered(self._state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook, prepend=False):
        """Call ``hook(optimizer, state_dict)`` before `load_state_dict`; what it returns, if not None, is loaded."""
        return _registered(self._load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook, prepend=False):
        """Call ``hook(optimizer)`` after `load_state_dict`."""
        return _registered(self._load_state_dict_post_hooks, hook, prepend)

    def __repr__(self):
        lines = [f"{self._name} ("]
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}")
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return "\n".join([*lines, ")"])


def _saved(value):
    """Convert an option to what JSON can represent."""
    if isinstance(value, (tuple, list)):
        return type(value)(map(_saved, value))
    if math.prod(getattr(value, "shape", ())) == 1:
        return as_number(value)
    return value.tolist() if hasattr(value, "tolist") else value


def _registered(hooks, hook, prepend):
    others = list(hooks.items())
    handle = Handle(hooks, hook)
    if prepend:
        for key, other in others:  # a dict is in the order of insertion
            del hooks[key]
            hooks[key] = other
    return handle


def _replaced(hooks, optimizer, state_dict):
    """The state after hooks, each of which may replace it."""
    for hook in list(hooks.values()):
        result = hook(optimizer, state_dict)
        state_dict = state_dict if result is None else result
    return state_dict


def _hooked(step):
    """A method `step` that calls the hooks of its optimiser."""

    @wraps(step)
    def with_hooks(self, *args, **kwargs):
        for hook in list(self._step_pre_hooks.values()):
            result = hook(self, (self, *args), kwargs)
            if result is not None:
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(f"step: a pre-hook must return None or (args, kwargs), got {result}")
                (self, *args), kwargs = result
        value = step(self, *args, **kwargs)
        for hook in list(self._step_post_hooks.values()):
            hook(self, (self, *args), kwargs)
        return value

    with_hooks.hooked = True
    return with_hooks
