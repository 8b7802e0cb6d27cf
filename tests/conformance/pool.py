"""Run each operation in a separate process, several at a time: a crash or a hang is reported and stops nothing else."""

import multiprocessing
import signal
import time
from multiprocessing.connection import wait
from typing import NamedTuple

from tests.conformance import catalogue, modules, operations, optimizers

TIMEOUT = 600  # seconds for one sample, including compilation
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
    """The process of one unit. If a case kills it, a new process continues after that case."""

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
        self._current, self._last_message = None, time.monotonic()

    def collect(self):
        """Receive the process's messages; return whether the unit is finished."""
        try:
            while self.messages.poll():
                message = self.messages.recv()
                self._last_message = time.monotonic()
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
        if time.monotonic() - self._last_message > TIMEOUT:
            self._process.kill()
            self._process.join()
            return self._died("hang", f"more than {TIMEOUT} s")
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
