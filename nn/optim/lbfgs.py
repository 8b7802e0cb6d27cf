"""L-BFGS."""

from typing import Any

import numpy as np

from nn.optim.line_search import Point, dot, strong_wolfe
from nn.optim.updates import CheckedOptimizer
from nn.storage import Tensor
from nn.tape import ieee


class LBFGS(CheckedOptimizer):
    """L-BFGS: steps along the gradient times an estimate of the inverse Hessian, from the last steps (Nocedal 1980).

    Parameters
    ----------
    params : iterable of Tensor
        One group only.
    lr : float, default 1
    max_iter : int, default 20
        Iterations per step.
    max_eval : int, optional
        Evaluations of the closure per step, 1.25 `max_iter` by default.
    tolerance_grad : float, default 1e-7
        A step ends when no element of the gradient is larger.
    tolerance_change : float, default 1e-9
        A step ends when the loss and the parameters change by less.
    history_size : int, default 100
    line_search_fn : {None, "strong_wolfe"}, default None

    Raises
    ------
    ValueError
        An option outside its range, or several parameter groups.

    Examples
    --------
    >>> import nn
    >>> w = nn.Parameter([5.0])
    >>> optimizer = nn.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (w - 3).pow(2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure).item()
    4.0
    >>> round(w.item(), 4)
    3.0
    """

    _words = ("line_search_fn",)

    def __init__(
        self,
        params,
        lr: Any = 1,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    ):
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group):
        if self.param_groups:
            raise ValueError(f"{self._name}: takes one parameter group only")
        super().add_param_group(param_group)

    def _check(self, options):
        self._require_non_negative(options, "lr")
        if options["line_search_fn"] not in (None, "strong_wolfe"):
            search = options["line_search_fn"]
            raise ValueError(f"{self._name}: line_search_fn must be None or 'strong_wolfe', got {search!r}")

    @ieee
    def step(self, closure):
        """Take up to `max_iter` iterations.

        Parameters
        ----------
        closure : callable
            Evaluates the model again, calls backward, and returns the loss.

        Returns
        -------
        The closure's first loss.
        """
        options, params = self._options(self.param_groups[0]), self.param_groups[0]["params"]
        state = self.state[params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first_loss = self._evaluated(closure)
        loss, g = float(first_loss), self._gradient(params)
        evaluations = 1
        state["func_evals"] += 1
        if np.abs(g).max() <= options["tolerance_grad"]:
            return first_loss
        for iteration in range(1, options["max_iter"] + 1):
            state["n_iter"] += 1
            d = state["d"] = self._direction(state, g, options["history_size"])
            state["prev_flat_grad"], state["prev_loss"] = g, loss
            start = min(1.0, 1.0 / float(np.abs(g).sum())) if state["n_iter"] == 1 else 1.0
            t = state["t"] = start * options["lr"]
            slope = dot(g, d)
            if slope > -options["tolerance_change"]:
                break
            done = 0
            if options["line_search_fn"] is not None:

                def evaluate(t, d=d):
                    return self._evaluated_at(t, d, params, closure)

                start = Point(0.0, loss, g, slope)
                limits = {"tolerance_change": options["tolerance_change"], "max_ls": options["max_eval"] - evaluations}
                (t, loss, g, _), done = strong_wolfe(evaluate, t, np.abs(d).max(), start, **limits)
                state["t"] = t
                self._add(params, t, d)
            else:
                self._add(params, t, d)
                if iteration != options["max_iter"]:  # else the next step evaluates it
                    loss, g, done = float(self._evaluated(closure)), self._gradient(params), 1
            evaluations += done
            state["func_evals"] += done
            if (
                evaluations >= options["max_eval"]
                or np.abs(g).max() <= options["tolerance_grad"]
                or np.abs(t * d).max() <= options["tolerance_change"]
                or abs(loss - state["prev_loss"]) < options["tolerance_change"]
            ):
                break
        return first_loss

    def _direction(self, state, g, history_size):
        """Minus the gradient times the estimated inverse Hessian, by the two loops over the last steps."""
        if state["n_iter"] == 1:
            state.update(old_dirs=[], old_stps=[], ro=[], H_diag=1)
            return -g
        y, s = g - state["prev_flat_grad"], state["d"] * state["t"]
        changes, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        ys = dot(y, s)
        if ys > 1e-10:
            if len(changes) == history_size:
                del changes[0], steps[0], ro[0]
            changes.append(y)
            steps.append(s)
            ro.append(1.0 / ys)
            state["H_diag"] = ys / dot(y, y)
        q, factors = -g, []
        for y, s, r in zip(reversed(changes), reversed(steps), reversed(ro), strict=True):
            factors.append(dot(s, q) * r)
            q -= factors[-1] * y
        d = q * state["H_diag"]
        for y, s, r, factor in zip(changes, steps, ro, reversed(factors), strict=True):
            d += (factor - dot(y, d) * r) * s
        return d

    def _gradient(self, params):
        """The gradients of all parameters as one vector."""
        parts = []
        for p in params:
            self._check_dtype(p.array.dtype)
            if p.grad is not None:
                self._check_array("gradient", p.grad.array, p.array)
            parts.append(np.zeros(p.array.size, p.array.dtype) if p.grad is None else p.grad.array.ravel())
        return np.concatenate(parts)

    def _add(self, params, t, d):
        """Add t times the direction d to the parameters."""
        begin = 0
        for p in params:
            x = p.array
            x += t * d[begin : begin + x.size].reshape(x.shape)
            p.mark_changed()
            begin += x.size

    def _evaluated_at(self, t, d, params, closure):
        """Loss, gradient and slope at t along the direction d; the parameters stay where they are."""
        before = [p.array.copy() for p in params]
        self._add(params, t, d)
        loss, g = float(self._evaluated(closure)), self._gradient(params)
        for p, x in zip(params, before, strict=True):
            p.array[...] = x
            p.mark_changed()
        return Point(t, loss, g, dot(g, d))

    def _loaded_state(self, number, p, saved):
        return {key: self._loaded(value, p, key) for key, value in saved.items() if key != "al"}

    def _loaded(self, value, p, key):
        loaded = super()._loaded(value, p, key)
        return loaded.array if isinstance(loaded, Tensor) else loaded
