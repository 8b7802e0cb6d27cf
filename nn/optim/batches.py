"""The optimisers that update a whole group of parameters by one kernel of ``kernels/update/``.

Parameters of a group with different step counts (one had no gradient for a while) need different bias corrections, so
a group is updated in one call per distinct step count: in practice one.

A step that raises leaves parameters, states and step counts unchanged. A kernel validates all of its arguments before
it changes anything, so a single call needs no other check; with several calls, the arrays of all of them are validated
before the first.
"""

import numpy as np

from nn.optim.updates import CheckedOptimizer

NO_STATE = {}  # the state of a parameter that has not been updated yet


class KernelOptimizer(CheckedOptimizer):
    """Base class: a subclass has ``_plan(params, options)``, which yields the kernel calls that update one group."""

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
        loss = None if closure is None else self._evaluated(closure)
        batches = [b for group in self.param_groups for b in self._plan(group["params"], self._options(group))]
        if len(batches) > 1:
            for batch in batches:
                batch.check()
        for batch in batches:
            batch.run()
        return loss

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
        self.optimizer._check_dtype(self.dtype)
        if len({*map(id, self.params)}) < len(self.params):
            raise ValueError(f"{self.optimizer._name}: two parameters share one array")
        lists = self.params, self.grads, *self.states
        for kind, arrays in zip(("parameter", "gradient", *self.names), lists, strict=True):
            for array, x in zip(arrays, self.params, strict=True):
                self.optimizer._check_array(kind, array, x)
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
