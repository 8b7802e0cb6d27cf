"""Each operation in a process of its own, a few at a time, so that a crash or a hang is seen, named and passed by."""

import multiprocessing
import signal
import time
from multiprocessing.connection import wait
from typing import NamedTuple

from tests.conformance import catalogue, modules, operations, optimizers

PATIENCE = 600  # seconds for one sample, kernels compiled in them included
_KINDS = {"operation": operations, "module": modules, "optimizer": optimizers}


class Result(NamedTuple):
    """What became of one case."""

    unit: str
    key: str
    description: str
    fixed: bool
    status: str
    reason: str
    detail: str


def run(units, jobs, fixed_only, report=None):
    """Run the cases of several units.

    Parameters
    ----------
    units : sequence of (str, str)
        Kind and name of each.
    jobs : int
        Processes at a time.
    fixed_only : bool
    report : callable, optional
        Called with the name of a unit that has ended, its results and its seconds.

    Returns
    -------
    list of Result
    """
    # forked, so that a process need not import PyTorch anew; this process has run no kernel and has one thread
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    waiting, running, results = list(reversed(units)), [], []
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(_Worker(context, *waiting.pop(), fixed_only))
        wait([worker.messages for worker in running], timeout=1)
        for worker in list(running):
            if worker.collect():
                running.remove(worker)
                results += worker.results
                if report is not None:
                    report(worker.name, worker.results, time.monotonic() - worker.started)
    return results


class _Worker:
    """The process of one unit. If a case kills it, the next process starts behind that case."""

    def __init__(self, context, kind, name, fixed_only):
        self.name, self.results, self.started = name, [], time.monotonic()
        self._context, self._kind, self._fixed_only = context, kind, fixed_only
        self._start()

    def _start(self):
        self.messages, end = self._context.Pipe(duplex=False)
        done = {result.key for result in self.results}
        arguments = (self._kind, self.name, self._fixed_only, done, end)
        self._process = self._context.Process(target=_work, args=arguments, daemon=True)
        self._process.start()
        end.close()
        self._current, self._heard = None, time.monotonic()

    def collect(self):
        """Take what the process has said; True if the unit is finished."""
        try:
            while self.messages.poll():
                message = self.messages.recv()
                self._heard = time.monotonic()
                if message is None:
                    self._process.join()
                    return True
                if len(message) == 3:
                    self._current = message
                else:
                    self.results.append(Result(self.name, *message))
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            return self._died("crash", signal.Signals(-code).name if code < 0 else f"exit code {code}")
        if time.monotonic() - self._heard > PATIENCE:
            self._process.kill()
            self._process.join()
            return self._died("hang", f"more than {PATIENCE} s")
        return False

    def _died(self, status, reason):
        again = self._current is not None and self._current[0] not in {result.key for result in self.results}
        current = self._current if again else ("", "outside any sample", True)
        self.results.append(Result(self.name, *current, status, reason, ""))
        if again:
            self._start()
        return not again


def _work(kind, name, fixed_only, done, messages):
    for case in _KINDS[kind].cases(name):
        if case.key in done or (fixed_only and not case.fixed):
            continue
        messages.send(case[:3])
        outcome = case.run()
        if outcome.status == "wrong" and catalogue.is_different(name, outcome.reason, case.key):
            outcome = outcome._replace(status="different")
        messages.send((*case[:3], *outcome))
    messages.send(None)
