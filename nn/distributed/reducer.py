"""Averages of gradients over all processes, computed while the backward pass runs.

Before a backward pass, the graph is searched for the edges that lead to a parameter, and a node is put between: it is
older than all operations that use the parameter, but newer than all others that are older than these, so it runs as
soon as the parameter's gradient is complete. It copies the gradient to its place in a bucket. When a bucket is full,
its all-reduce starts, which goes on in the background of the operations that remain. One more node, older than all,
waits for the last bucket, and passes the averages on to the parameters.

Buckets are sent in one order, that of their numbers, whichever is full first: the processes may differ in that.
"""

import itertools
import weakref
from functools import partial

import numpy as np

from nn.autograd.gradients import before_backward
from nn.tape import Node

NAME = "DistributedDataParallel"
_slots = itertools.count()  # a number for each node that a reducer makes, so that no two have the same order
_awaited = set()  # reducers between a forward and its backward: the program may have dropped the model
SLOTS = 2**20  # a power of two, so that an order of 31 bits and a fraction of 20 are exact


class Bucket:
    """Parameters whose gradients are one message.

    Attributes
    ----------
    members : list of int
        The numbers of the parameters.
    buffer : ndarray, 1-d
    missing : int
        How many gradients have not come yet.
    """

    def __init__(self, members, parameters):
        self.members, self.missing = members, 0
        arrays = [parameters[i].array for i in members]
        self.buffer = np.empty(sum(a.size for a in arrays), arrays[0].dtype)
        ends = np.cumsum([a.size for a in arrays])
        self.places = [self.buffer[end - a.size : end].reshape(a.shape) for a, end in zip(arrays, ends, strict=True)]


def assigned(parameters, first, cap):
    """The numbers of the parameters of each bucket.

    From the last parameter to the first, as gradients come. A bucket has one dtype and is closed when it has `cap`
    bytes or more, the first one when it has `first`.
    """
    buckets, unfinished, size = [], {}, {}
    for i in reversed(range(len(parameters))):
        array = parameters[i].array
        if array.dtype not in unfinished:
            unfinished[array.dtype], size[array.dtype] = [], 0
            buckets.append(unfinished[array.dtype])
        members = unfinished[array.dtype]
        members.append(i)
        size[array.dtype] += array.nbytes
        if size[array.dtype] >= (first if members is buckets[0] else cap):
            del unfinished[array.dtype]
    return buckets


class Reducer:
    """The averages of the gradients of some parameters.

    Parameters
    ----------
    group : Group
    parameters : dict of str to Parameter
    sizes : (int, int)
        Bytes of the first bucket, and of the others.
    find_unused : bool
        Whether a backward pass may leave out parameters.
    """

    def __init__(self, group, parameters, sizes, find_unused):
        self.mpi, self.size, self.find_unused = group.mpi, group.size, find_unused
        self.comm = group.comm.Dup()  # so that two models in one backward pass do not mix their messages
        self.names, self.parameters = list(parameters), list(parameters.values())
        self.number = {id(p): i for i, p in enumerate(self.parameters)}
        self.buckets = [Bucket(members, self.parameters) for members in assigned(self.parameters, *sizes)]
        self.place, self.bucket = {}, {}  # of each parameter: where its gradient is stored, in which bucket
        for bucket in self.buckets:
            self.place.update(zip(bucket.members, bucket.places, strict=True))
            self.bucket.update(dict.fromkeys(bucket.members, bucket))
        self.slots = [next(_slots) for _ in self.parameters]
        self.running = False
        self.reference = weakref.ref(self)

    def expect(self, expected):
        """Set whether backward passes that reach the parameters average, from now on."""
        if expected:
            before_backward.add(self.reference)
            _awaited.add(self)
        else:
            before_backward.discard(self.reference)
            _awaited.discard(self)

    def prepare(self, ends, create_graph):
        """Put the nodes of this reducer into the graph of `ends`; return the one that runs last, None without any."""
        uses = self._uses(ends)
        if not uses:
            return None
        if create_graph:
            raise RuntimeError(f"{NAME}: backward with create_graph=True is not possible; use no_sync()")
        if self.running:
            raise RuntimeError(f"{NAME}: an earlier backward raised an error and has left the processes out of step")
        unused = [name for i, name in enumerate(self.names) if i not in uses]
        if unused and not self.find_unused:
            raise RuntimeError(
                f"{NAME}: the loss does not depend on {len(unused)} of {len(self.names)} parameters: "
                f"{', '.join(unused[:8])}{', …' if len(unused) > 8 else ''}; "
                "pass find_unused_parameters=True if that is meant"
            )
        self._begin(uses)
        for i, found in uses.items():
            node = Node(NAME, [None], partial(self._arrive, i))
            node.order = max(user.order for user, _ in found) + 0.25 + self.slots[i] % SLOTS / (2 * SLOTS)
            for user, position in found:
                user.edges = list(user.edges)
                user.edges[position] = node
        last = Node(NAME, list(self.parameters), self._finish)
        last.order = 1 + self.slots[0]  # those of operations are at most 0
        return last

    def _uses(self, ends):
        """Number of a parameter -> (node, position) of each edge that leads to it."""
        found, waiting = {}, [end for end in ends if type(end) is Node]
        seen = set(waiting)
        while waiting:
            node = waiting.pop()
            for position, end in enumerate(node.edges):
                if type(end) is Node:
                    if end not in seen:
                        seen.add(end)
                        waiting.append(end)
                elif end is not None and (i := self.number.get(id(end))) is not None:
                    found.setdefault(i, []).append((node, position))
        return found

    def _begin(self, uses):
        self.running, self.uses, self.requests, self.next = True, uses, [], 0
        self.arrived = set()
        for bucket in self.buckets:
            bucket.missing = len(bucket.members)
        if self.find_unused:
            self.used = np.array([i in uses for i in range(len(self.parameters))], np.uint8)
            self.requests.append(self.comm.Iallreduce(self.mpi.IN_PLACE, self.used, self.mpi.MAX))
            for i in range(len(self.parameters)):
                if i not in uses:
                    self._arrive(i, 0)

    def _arrive(self, i, dy):
        """Store a complete gradient, with what has accumulated in ``grad``; a node's backward."""
        place, grad = self.place[i], self.parameters[i].grad
        if grad is None:
            np.divide(dy, self.size, out=place)
        else:
            np.add(dy, grad.array, out=place)
            place /= self.size
        self.arrived.add(i)
        self.bucket[i].missing -= 1
        if self.size == 1:
            return
        started = len(self.requests)
        while self.next < len(self.buckets) and not self.buckets[self.next].missing:
            buffer = self.buckets[self.next].buffer
            self.requests.append(self.comm.Iallreduce(self.mpi.IN_PLACE, buffer, self.mpi.SUM))
            self.next += 1
        if started:
            self.mpi.Request.Testall(self.requests)  # most MPI libraries make progress only when they are called

    def _finish(self, token):
        """Wait for all buckets, and return the averages; the backward of the node that runs last."""
        for i in range(len(self.parameters)):
            if i not in self.arrived:  # its users have passed no gradient on
                self._arrive(i, 0)
        self.mpi.Request.Waitall(self.requests)
        self.running = False
        _awaited.discard(self)
        for i, found in self.uses.items():
            for user, position in found:
                if user.edges:  # of a graph that is retained
                    user.edges[position] = self.parameters[i]
        self.uses = None
        averages = []
        for i, p in enumerate(self.parameters):
            if self.find_unused and not self.used[i]:
                averages.append(None)
            else:
                averages.append(self.place[i])
                p.grad = None  # it is part of the average
        return tuple(averages)
