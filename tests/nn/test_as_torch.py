"""Programs written for PyTorch, run in a process of their own, in which `import torch` finds nn."""

import subprocess
import sys
from pathlib import Path

import pytest

import nn
from nn import as_torch

PROGRAM = """
import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch import Tensor
from torch.autograd import Variable
from torch.nn.parameter import Parameter
from torch.nn.modules.conv import Conv2d
from torch.nn.utils.rnn import pack_padded_sequence
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=1)
args = parser.parse_args()


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv = Conv2d(1, 4, 3)
        self.fc = nn.Linear(4 * 6 * 6, 3)
        self.scale = Parameter(torch.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        return F.log_softmax(self.fc(torch.flatten(x, 1)) * self.scale, dim=1)


torch.manual_seed(0)
x = torch.rand(12, 1, 8, 8)
target = torch.tensor([0, 1, 2] * 4)
model = Net()
optimizer = optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
scheduler = StepLR(optimizer, step_size=1, gamma=0.9)
losses = []
for epoch in range(args.epochs):
    for data, t in DataLoader(TensorDataset(x, target), batch_size=6):
        optimizer.zero_grad()
        loss = F.nll_loss(model(Variable(data)), t)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    scheduler.step()
assert losses[-1] < losses[0], losses
print(torch.__version__, isinstance(model.conv, nn.Conv2d), torch.cuda.is_available())
"""

# What public programs import and ask, though they run on one CPU in full precision.
SURROUNDINGS = """
import argparse
import tempfile
from contextlib import nullcontext
from typing import List
import numpy as np
import torch
from torch import distributed as dist
from torch.amp import autocast
from torch.cuda.amp import GradScaler
from torch.distributed import init_process_group, destroy_process_group
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.utils import _pair
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.parallel import DistributedDataParallel as DDP
from torch.nn.utils import weight_norm
import torch.nn.utils.weight_norm
from torch.utils.checkpoint import checkpoint
from torch.utils.data import Dataset, DistributedSampler, Sampler


class Numbers(Dataset[int]):
    def __len__(self):
        return 4


class Order(Sampler[List[int]]):
    pass


@torch.jit.script
def square(x):
    return x * x


@torch.jit.ignore
def no_weight_decay():
    return {"bias"}


@torch.compile
def half_of(x):
    return x / 2


torch.set_num_threads(64)
torch.set_float32_matmul_precision("high")
torch.use_deterministic_algorithms(True)
torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.benchmark = True
device = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else torch.device("cpu")
rank = dist.get_rank() if dist.is_available() and dist.is_initialized() else 0
dtype = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}["float32"]
context = nullcontext() if device.type == "cpu" else autocast(device_type=device.type, dtype=dtype)
scaler = GradScaler(enabled=dtype == torch.float16)
model = torch.compile(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2)), mode="max-autotune")
assert torch.nn.init._calculate_fan_in_and_fan_out(model[0].weight) == (9, 18)
assert isinstance(model[0], _ConvNd) and isinstance(model[1], _BatchNorm) and _pair(3) == (3, 3) == _pair([3, 3])
assert torch.nn.utils.weight_norm is weight_norm and weight_norm(torch.nn.Linear(2, 2)).weight_g.shape == (2, 1)
with sdpa_kernel([SDPBackend.MATH]):
    torch.nn.functional.scaled_dot_product_attention(*[torch.ones(1, 2, 4)] * 3)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
with context:
    loss = half_of(square(checkpoint(model, torch.ones(1, 1, 5, 5) * torch.pi))).sum()
scaler.scale(loss).backward()
scaler.step(optimizer)
scaler.update()
assert len(DistributedSampler(Numbers(), num_replicas=3, rank=rank)) == 2 and not torch.jit.is_scripting()
assert torch.zeros(2)[None].shape == torch.zeros(2)[torch.newaxis].shape and torch.ones(1).dtype != torch.bfloat16
with tempfile.TemporaryDirectory() as folder:
    arguments = argparse.Namespace(lr=0.1)
    torch.save({"args": arguments, "model": model.state_dict()}, f"{folder}/checkpoint.pt")
    found = torch.load(f"{folder}/checkpoint.pt", weights_only=False)
    assert found["args"] == arguments
    model.load_state_dict(found["model"])
for absent in (lambda: init_process_group("nccl"), lambda: DDP(model), lambda: torch.zeros(1, dtype=torch.bfloat16)):
    try:
        absent()
    except (ValueError, TypeError) as error:
        print(error)
"""

BOTH = """
from nn import as_torch
as_torch.uninstall()
import torch
as_torch.install()
"""


def run(tmp_path, program, *arguments):
    script = tmp_path / "program.py"
    script.write_text(program)
    root = Path(nn.__file__).parents[1]
    command = [sys.executable, "-m", "nn.as_torch", str(script), *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300)


def test_a_program_runs_unchanged(tmp_path):
    done = run(tmp_path, PROGRAM, "--epochs", "20")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [as_torch.VERSION, "True", "False"]


def test_the_surroundings_of_public_programs(tmp_path):
    done = run(tmp_path, SURROUNDINGS)
    assert done.returncode == 0, done.stderr
    for line, text in zip(
        done.stdout.splitlines(), ("backend must be 'mpi'", "no process group", "bfloat16"), strict=True
    ):
        assert text in line


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("import torch\ntorch.quantum", "AttributeError: torch.quantum is not in this library"),
        ("import torch.nn.functional as F\nF.nothing", "torch.nn.functional.nothing is not in this library"),
        ("import torch.fx", "ModuleNotFoundError: torch.fx is not in this library"),
        ("from torch.nn import Quantum", "ImportError: cannot import name 'Quantum'"),
        (BOTH, "RuntimeError: as_torch: PyTorch is imported already"),
    ],
)
def test_what_is_missing_says_so(tmp_path, program, message):
    done = run(tmp_path, program)
    assert done.returncode == 1
    assert message in done.stderr


def test_the_script_must_exist(capsys):
    for arguments in ([], ["--help"], ["nowhere.py"]):
        with pytest.raises(SystemExit):
            as_torch.main(arguments)


def test_the_list(capsys):
    as_torch.main(["--list"])
    printed = capsys.readouterr().out
    assert "torch.nn.functional: " in printed and "conv2d" in printed
    found = as_torch.names()
    assert "Linear" in found["torch.nn"] and "Adam" in found["torch.optim"] and "FloatTensor" in found["torch"]


def test_importing_nn_installs_nothing():
    code = "import sys, nn, nn.as_torch; assert 'torch' not in sys.modules and len(sys.meta_path) < 12"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(nn.__file__).parents[1])
