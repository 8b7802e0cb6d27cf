"""The state of modules, saved and loaded: ``state_dict`` and ``load_state_dict``."""

from collections import OrderedDict
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple

import numpy as np

from nn.parameter import Parameter, is_uninitialized
from nn.tape import Handle
from nn.tensor import Tensor


class IncompatibleKeys(NamedTuple):
    """What `Module.load_state_dict` returns: the keys that only one side had."""

    missing_keys: list
    unexpected_keys: list


class State:
    """The part of `Module` that saves and loads parameters and buffers."""

    def __init__(self):
        self._state_dict_pre_hooks = OrderedDict()
        self._state_dict_hooks = OrderedDict()
        self._load_state_dict_pre_hooks = OrderedDict()
        self._load_state_dict_post_hooks = OrderedDict()

    def state_dict(self, *args, destination=None, prefix="", keep_vars=False):
        """All parameters and persistent buffers by dotted name: detached tensors that share the module's memory.

        A tensor or module that occurs twice is listed under each of its names.

        Parameters
        ----------
        *args
            `destination`, `prefix` and `keep_vars` by position, as in older programs.
        destination : dict, optional
            Where the tensors are put; a new OrderedDict by default.
        prefix : str, default ""
            What each name begins with.
        keep_vars : bool, default False
            Whether the values are the parameters and buffers themselves, not detached.

        Returns
        -------
        dict of str to Tensor
            PyTorch's ``load_state_dict`` accepts it unchanged.
        """
        destination, prefix, keep_vars = (*args, *(destination, prefix, keep_vars)[len(args) :])
        destination = OrderedDict() if destination is None else destination
        for hook in list(self._state_dict_pre_hooks.values()):
            hook(self, prefix, keep_vars)
        for name, tensor in self._direct_state():
            destination[f"{prefix}{name}"] = tensor if keep_vars else tensor.detach()
        if self._has_extra_state():
            destination[f"{prefix}_extra_state"] = self.get_extra_state()
        for name, child in self._direct_modules():
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in list(self._state_dict_hooks.values()):
            hook(self, destination, prefix, {})
        return destination

    def get_extra_state(self):
        """What belongs to the state besides tensors; subclasses that define it define `set_extra_state`, too."""
        raise RuntimeError(f"get_extra_state: {type(self).__name__} does not define it")

    def set_extra_state(self, state):
        """Take over what `get_extra_state` returned."""
        raise RuntimeError(f"set_extra_state: {type(self).__name__} does not define it")

    def _has_extra_state(self):
        return type(self).get_extra_state is not State.get_extra_state

    def _owners(self, prefix=""):
        """Triples of prefix, module, and pairs of name and tensor: what `state_dict` lists."""
        yield prefix, self, list(self._direct_state())
        for name, child in self._direct_modules():
            yield from child._owners(f"{prefix}{name}.")

    def load_state_dict(self, state_dict, strict=True, assign=False):
        """Copy values into parameters and buffers.

        Parameters
        ----------
        state_dict : mapping of str to tensor or array
            As `state_dict` returns it, here or in PyTorch. Values are converted to the dtypes of the module.
        strict : bool, default True
            Whether the keys must be those of the module.
        assign : bool, default False
            Whether the module takes over the tensors of `state_dict`, with their dtypes, instead of copying.

        Returns
        -------
        IncompatibleKeys
            ``(missing_keys, unexpected_keys)``, both empty with `strict`.

        Raises
        ------
        ValueError
            Keys are missing or unexpected with `strict`, or shapes differ; the error names all of them, and nothing is
            changed, unless a hook is to be called after loading.
        TypeError
            `state_dict` is not a mapping, or a value does not consist of real numbers.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a mapping of names to tensors, got {type(state_dict).__name__}")
        values, keys, problems = dict(state_dict), IncompatibleKeys([], []), []
        for prefix, module, _ in self._owners():
            for hook in list(module._load_state_dict_pre_hooks.values()):
                hook(values, prefix, {}, strict, *keys, problems)
        owners = list(self._owners())
        places = {f"{prefix}{name}": (m, name, tensor) for prefix, m, pairs in owners for name, tensor in pairs}
        loaded = {key: _loadable(key, value) for key, value in values.items() if key in places}
        extra = {f"{prefix}_extra_state": module for prefix, module, _ in owners if module._has_extra_state()}
        known = [*places, *extra]
        keys.missing_keys.extend(key for key in known if key not in values)
        keys.unexpected_keys.extend(key for key in values if key not in {*known})
        for key, value in loaded.items():
            tensor = places[key][2]
            if not is_uninitialized(tensor) and value.shape != tensor.shape:
                problems.append(f"shapes differ: {key} is {tensor.shape}, in the state_dict {value.shape}")
        hooks = [partial(h, m) for _, m, _ in owners for h in m._load_state_dict_post_hooks.values()]
        if problems or not hooks:
            _raise_for(self, problems, keys, strict)
        for key, value in loaded.items():
            _load(*places[key], value, values[key] if assign else None)
        for key in extra.keys() & values.keys():
            extra[key].set_extra_state(values[key])
        for hook in hooks:
            hook(keys)
        _raise_for(self, [], keys, strict)
        return keys

    # hooks

    def register_state_dict_pre_hook(self, hook):
        """Call ``hook(module, prefix, keep_vars)`` before each `state_dict`; returns a Handle."""
        return Handle(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook):
        """Call ``hook(module, state_dict, prefix, local_metadata)``, which may change it, after each `state_dict`."""
        return Handle(self._state_dict_hooks, hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def _register_load_state_dict_pre_hook(self, hook, with_module=False):
        """As `register_load_state_dict_pre_hook`; the module is passed only with `with_module`."""
        return Handle(self._load_state_dict_pre_hooks, partial(hook, self) if with_module else hook)

    def register_load_state_dict_pre_hook(self, hook):
        """Call a hook that may change the dict before it is loaded.

        It is called as ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)``; the metadata are empty here. Returns a Handle.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook):
        """Call ``hook(module, incompatible_keys)``, which may change the lists, after loading; returns a Handle."""
        return Handle(self._load_state_dict_post_hooks, hook)


def _loadable(key, value):
    value = np.asarray(value.detach() if hasattr(value, "detach") else value)
    if value.dtype.kind not in "fiub":
        raise TypeError(f"load_state_dict: {key} must consist of real numbers, got dtype {value.dtype}")
    return value


def _raise_for(module, problems, keys, strict):
    """Raise an error that names all problems, if there are any."""
    problems = list(problems)
    if strict and keys.unexpected_keys:
        problems.insert(0, f"unexpected keys: {', '.join(map(str, keys.unexpected_keys))}")
    if strict and keys.missing_keys:
        problems.insert(0, f"missing keys: {', '.join(keys.missing_keys)}")
    if problems:
        title = f"load_state_dict: {type(module).__name__} does not match the state_dict:"
        raise ValueError("\n    ".join([title, *problems]))


def _load(module, name, tensor, value, assigned):
    """Copy a value to a tensor of a module, or replace that by the `assigned` one."""
    if assigned is not None:
        assigned = assigned if isinstance(assigned, Tensor) else Tensor(value)
        if isinstance(tensor, Parameter) and not isinstance(assigned, Parameter):
            assigned = Parameter(assigned, tensor.requires_grad)
        setattr(module, name, assigned)
        return
    if is_uninitialized(tensor):
        tensor.materialize(value.shape)
    tensor.array[...] = value
    tensor.mark_changed()
