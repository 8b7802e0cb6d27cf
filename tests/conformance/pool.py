"""Run operations in separate processes, several at a time: a crash or a hang is reported and stops nothing else."""

import multiprocessing
import signal
import time
from multiprocessing.connection import wait
from typing import NamedTuple

from tests.conformance import catalogue, modules, operations, optimizers

TIMEOUT = 600  # seconds for one sample, including compilation
BATCH = 25  # units a process: each loads kernels anew, and what it compiles is never freed
_KINDS = {"operation": operations, "module": modules, "optimizer": optimizers}


class Result(NamedTuple):
    """The outcome of one case."""

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
        The number of processes at a time.
    fixed_only : bool
    report : callable, optional
        Called with the name of each finished unit, its results and its seconds.

    Returns
    -------
    list of Result
    """
    # forked, so that the processes need not import PyTorch; this process has run no kernel and has one thread
    context = multiprocessing.get_context("fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn")
    waiting, running, results = [units[i : i + BATCH] for i in range(0, len(units), BATCH)][::-1], [], []
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(_Worker(context, waiting.pop(), fixed_only, report))
        wait([worker.messages for worker in running], timeout=1)
        for worker in list(running):
            if worker.collect():
                running.remove(worker)
                results += worker.results
    return results


class _Worker:
    """The process of a batch of units. If a case kills it, a new process continues after that case."""

    def __init__(self, context, units, fixed_only, report):
        self.results, self._units = [], list(units)  # those that are not finished
        self._context, self._fixed_only, self._report = context, fixed_only, report
        self._done = []  # results of the first of them
        self._start()

    def _start(self):
        self.messages, end = self._context.Pipe(duplex=False)
        done = {result.key for result in self._done}
        self._process = self._context.Process(
            target=_work, args=(self._units, self._fixed_only, done, end), daemon=True
        )
        self._process.start()
        end.close()
        self._current, self._started = None, time.monotonic()
        self._last_message = self._started

    def collect(self):
        """Receive the process's messages; return whether all units are finished."""
        try:
            while self._units and self.messages.poll():
                message = self.messages.recv()
                self._last_message = time.monotonic()
                if message is None:
                    self._finish_unit()
                elif len(message) == 3:
                    self._current = message
                else:
                    self._done.append(Result(self._units[0][1], *message))
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._died("crash", signal.Signals(-code).name if code < 0 else f"exit code {code}")
        if self._units and time.monotonic() - self._last_message > TIMEOUT:
            self._process.kill()
            self._died("hang", f"more than {TIMEOUT} s")
        if not self._units:
            self._process.join()
        return not self._units

    def _finish_unit(self):
        """The first unit is finished."""
        _, name = self._units.pop(0)
        if self._report is not None:
            self._report(name, self._done, time.monotonic() - self._started)
        self.results += self._done
        self._done, self._current, self._started = [], None, time.monotonic()

    def _died(self, status, reason):
        again = self._current is not None and self._current[0] not in {result.key for result in self._done}
        current = self._current if again else ("", "outside any sample", True)
        self._done.append(Result(self._units[0][1], *current, status, reason, ""))
        if not again:
            self._finish_unit()
        if self._units:
            self._start()


def _work(units, fixed_only, done, messages):
    """`done` are the keys of cases of the first unit that have run."""
    for kind, name in units:
        for case in _KINDS[kind].cases(name):
            if case.key in done or (fixed_only and not case.fixed):
                continue
            messages.send(case[:3])
            outcome = case.run()
            if outcome.status == "wrong" and catalogue.is_different(name, outcome.reason, case.key):
                outcome = outcome._replace(status="different")
            messages.send((*case[:3], *outcome))
        done = ()
        messages.send(None)
