"""What each rank runs for tests/nn/test_distributed.py: ``mpiexec -n 2 python -m tests.nn.distributed_ranks FOLDER``.

Each function here of the name ``run_…`` returns what the tests look at; all results of a rank are written to
``FOLDER/<rank>.pkl``. With a further argument, the name of one of the programs at the end, that is run in their place.
"""

import copy
import os
import pickle
import signal
import sys
from pathlib import Path

import numpy as np

import nn
from nn import checkpoint, distributed
from nn import functional as F
from nn.parallel import DistributedDataParallel
from nn.utils.checkpoint import checkpoint as recomputed
from nn.utils.data import DataLoader, DistributedSampler, TensorDataset

N, STEPS = 24, 12


def mlp():
    return nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 3))


def conv_net():
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3))


def batch(shape, step):
    rng = np.random.default_rng(step)
    x = rng.standard_normal((N, *shape), dtype=np.float32)
    return x, x.reshape(N, -1)[:, :3].argmax(1)


def trained(make, shape, rank=0, size=1):
    """The losses over all ranks of a few steps, and the weights."""
    nn.manual_seed(rank)  # only rank 0's initial weights count
    model = make()
    if size > 1:
        model = DistributedDataParallel(model, bucket_cap_mb=0.002)
    optimizer = nn.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for step in range(STEPS):
        x, y = batch(shape, step)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(nn.tensor(x[rank::size])), nn.tensor(y[rank::size]))
        loss.backward()
        optimizer.step()
        mean = loss.detach().clone()
        if size > 1:
            distributed.all_reduce(mean, distributed.ReduceOp.AVG)
        losses.append(mean.item())
    return losses, [p.array for p in model.parameters()]


def run_training(rank, size):
    return {
        "mlp": trained(mlp, (12,), rank, size),
        "again": trained(mlp, (12,), rank, size),
        "conv": trained(conv_net, (1, 4, 4), rank, size),
    }


def averaged(local, size):
    """The mean over the ranks of an array that each has."""
    t = nn.tensor(np.array(local))
    distributed.all_reduce(t, distributed.ReduceOp.AVG)
    return t.array


def run_overlap(rank, size):
    """How many buckets had been sent when the gradient of the first layer's result was complete."""
    model = DistributedDataParallel(mlp(), bucket_cap_mb=0.002)
    hidden = model.module[0](nn.ones(4, 12))
    sent = []
    hidden.register_hook(lambda dy: sent.append(model._reducer.next))
    model.module[0] = nn.Identity()
    model(hidden).sum().backward()
    return sent, [bucket.members for bucket in model._reducer.buckets]


def gradients(model):
    return [p.grad.array.copy() for p in model.parameters()]


def run_no_sync(rank, size):
    """Gradients of three batches: of this rank after two, and averaged after the third."""
    nn.manual_seed(0)
    model, alone = DistributedDataParallel(mlp()), mlp()
    alone.load_state_dict(model.module.state_dict())
    for step in range(2):
        x = nn.tensor(batch((12,), step + 10 * rank)[0])
        with model.no_sync():
            loss = model(x).square().mean()
        loss.backward()
        alone(x).square().mean().backward()
    local = [gradients(model), gradients(alone)]
    x = nn.tensor(batch((12,), 2 + 10 * rank)[0])
    model(x).square().mean().backward()
    alone(x).square().mean().backward()
    return local, gradients(model), [averaged(g, size) for g in gradients(alone)]


class Branches(nn.Module):
    """Two layers of which a call uses one, and one that no call uses."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 2, bias=False) for _ in range(3)])

    def forward(self, x, which):
        return self.layers[which](x)


def run_unused(rank, size):
    nn.manual_seed(0)
    try:
        DistributedDataParallel(Branches())(nn.ones(1, 3), 1).sum().backward()
        message = None
    except RuntimeError as error:
        message = str(error)
    model = DistributedDataParallel(Branches(), find_unused_parameters=True)
    model(nn.ones(1, 3), rank).sum().backward()
    return message, [None if p.grad is None else p.grad.tolist() for p in model.parameters()]


def run_graphs(rank, size):
    """The gradients of a weight that is used in several ways, here and over all ranks; and second passes."""
    model = DistributedDataParallel(nn.Linear(3, 3, bias=False))
    w = model.module.weight
    x = nn.tensor(batch((3,), rank)[0])
    results = {}

    def expected(loss):
        return averaged(nn.autograd.grad(loss(), w)[0].array, size)

    def several():  # twice in the model, once outside of it
        return (model(model(x)) @ w.T).square().mean() + w.square().sum()

    def of_recomputed():
        return recomputed(model.module, x).square().mean()

    for loss in (several, of_recomputed):
        model.zero_grad()
        reference = expected(loss)
        model(x)  # expects a backward pass
        loss().backward()
        results[loss.__name__] = w.grad.array, reference
    model.zero_grad()
    loss = several()
    reference = expected(several)
    loss.backward(retain_graph=True)
    loss.backward()
    results["retained"] = w.grad.array, 2 * reference
    try:
        model(x).square().sum().backward(create_graph=True)
    except RuntimeError as error:
        results["create_graph"] = str(error)
    model.zero_grad()
    model(x).square().sum().backward(inputs=[w])
    results["inputs"] = w.grad.array, nn.autograd.grad(model(x).square().sum(), w)[0].array
    return results


def run_two_models(rank, size):
    """One backward pass through two wrapped models."""
    nn.manual_seed(0)
    first, second = DistributedDataParallel(nn.Linear(3, 3)), DistributedDataParallel(nn.Linear(3, 1))
    x = nn.tensor(batch((3,), rank)[0])
    parameters = [*first.parameters(), *second.parameters()]
    expected = [averaged(g.array, size) for g in nn.autograd.grad(second(first(x)).square().mean(), parameters)]
    second(first(x)).square().mean().backward()
    return [(p.grad.array, g) for p, g in zip(parameters, expected, strict=True)]


def run_batch_norm(rank, size):
    """The running mean after one forward, and at the next, in evaluation mode, when rank 0's was broadcast."""
    model = DistributedDataParallel(nn.BatchNorm1d(2, momentum=1.0))
    model(nn.full((4, 2), float(rank)))
    first = model.module.running_mean.tolist()
    model.eval()
    with nn.no_grad():
        model(nn.zeros(1, 2))
    return first, model.module.running_mean.tolist(), model.module.num_batches_tracked.item()


def run_different_models(rank, size):
    try:
        DistributedDataParallel(nn.Linear(2, 1 + rank))
    except RuntimeError as error:
        return str(error)


def run_refused(rank, size):
    """What a wrapped model is not: compiled as a step, copied."""
    model = DistributedDataParallel(nn.Linear(2, 1))
    optimizer, messages = nn.optim.SGD(model.parameters(), lr=0.1), []
    for call in (
        lambda: nn.compile_step(model, F.mse_loss, optimizer, nn.ones(1, 2), nn.ones(1, 1)),
        lambda: copy.deepcopy(model),
        lambda: DistributedDataParallel(model.module, bucket_cap_mb=0),
        lambda: DistributedDataParallel(nn.ReLU()),
        lambda: DistributedDataParallel(nn.LazyLinear(1)),
    ):
        try:
            call()
        except (nn.CompileError, TypeError, ValueError, RuntimeError) as error:
            messages.append(str(error))
    return messages


def run_collectives(rank, size):
    results = {}
    for op in distributed.ReduceOp:
        t = nn.tensor([rank + 1.0, 4.0 - rank])
        distributed.all_reduce(t, op)
        results[op.name] = t.tolist()
    t = nn.arange(6).reshape(2, 3).T + rank  # not contiguous
    work = distributed.all_reduce(t, async_op=True)
    results["wait"] = work.wait(), work.is_completed(), t.tolist()
    t = nn.tensor([rank, 7])
    distributed.broadcast(t, 1)
    results["broadcast"] = t.tolist()
    t = nn.tensor([float(rank)])
    distributed.reduce(t, dst=0, op=distributed.ReduceOp.AVG)
    results["reduce"] = t.tolist()
    parts = [nn.zeros(1, dtype=nn.int64) for _ in range(size)]
    distributed.all_gather(parts, nn.tensor([rank]))
    results["all_gather"] = [part.tolist() for part in parts]
    results["group"] = distributed.is_initialized(), distributed.get_rank(), distributed.get_world_size()
    results["errors"] = []
    for function, *arguments in (
        (distributed.all_reduce, [1.0]),
        (distributed.all_reduce, nn.tensor([True])),
        (distributed.all_reduce, nn.tensor([1]), distributed.ReduceOp.AVG),
        (distributed.broadcast, nn.ones(1), 2),
        (distributed.all_gather, [], nn.ones(1)),
        (distributed.init_process_group,),
        (distributed.get_rank, "other"),
    ):
        try:
            function(*arguments)
        except (TypeError, ValueError) as error:
            results["errors"].append(f"{type(error).__name__}: {error}")
    return results


def run_sampler(rank, size):
    sampler = DistributedSampler(range(11))
    loader = DataLoader(TensorDataset(np.arange(11)), 4, sampler=sampler)
    sampler.set_epoch(1)
    return [i for (x,) in loader for i in x.tolist()]


def run_cores(rank, size):
    import kernels

    return kernels.get_num_threads(), kernels.machine.cores()


# --- programs that end ------------------------------------------------------------------------------------------------


def train_with_checkpoints(path, rank, fails):
    """Train, with a checkpoint after each step; at the fourth step the failure happens."""
    model = DistributedDataParallel(nn.Linear(4, 4))
    optimizer = nn.optim.SGD(model.parameters(), lr=0.1)
    for step in range(1000):
        if step == 3:
            fails()
        optimizer.zero_grad()
        model(nn.ones(2, 4)).square().mean().backward()
        optimizer.step()
        if rank == 0:
            checkpoint.save(path, model.module, optimizer, {"step": step})


def raises(folder, rank):
    """Rank 1 has an error; rank 0 would wait for it."""

    def fails():
        if rank == 1:
            raise ArithmeticError("only here")

    train_with_checkpoints(folder / "model.safetensors", rank, fails)


def killed_while_writing(folder, rank):
    """Rank 0 is killed when it has written a checkpoint, but not given it its name; rank 1 would wait for it."""

    def fails():
        if rank == 0:
            os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)

    train_with_checkpoints(folder / "model.safetensors", rank, fails)


def main(folder, program=None):
    assert distributed.is_available() and "mpi4py" not in sys.modules  # it is loaded when it is used
    distributed.init_process_group("mpi")
    rank, size = distributed.get_rank(), distributed.get_world_size()
    if program is not None:
        globals()[program](Path(folder), rank)
    else:
        results = {name: run(rank, size) for name, run in globals().items() if name.startswith("run_")}
        Path(folder, f"{rank}.pkl").write_bytes(pickle.dumps(results))
    distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
