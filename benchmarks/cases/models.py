"""Published networks as users run them: the scores of one input and of eight without gradients, and a training step.

The weights are random: times do not depend on them.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import numpy as np
import torch

from benchmarks.cases import architectures
from benchmarks.cases.row import FLOAT, OURS, Calls, Row
from benchmarks.cases.training import initial, user_step

BATCHES, STEP_BATCH = (1, 8), 8
WINOGRAD = 4 / 9  # products that F(2 x 2, 3 x 3) needs; of every layer, so that no share of the limit is flattered


@dataclass(frozen=True)
class Model:
    """A network, what it reads, and what one input costs."""

    build: Callable
    shape: tuple[int, ...]  # of one input
    classes: int
    flops: int  # of one input, forward, by the definition of convolutions and products
    parameters: int
    positions: tuple[int, ...] = ()  # that have scores of their own

    @property
    def name(self) -> str:
        return self.build.__name__


MODELS = (
    Model(architectures.resnet18, (3, 224, 224), 1000, 3_628_146_688, 11_689_512),
    Model(architectures.mobilenet_v2, (3, 224, 224), 1000, 601_548_544, 3_504_872),
    Model(architectures.inception, (3, 299, 299), 1000, 4_779_010_240, 3_515_144),
    Model(architectures.vit, (3, 224, 224), 1000, 2_139_085_824, 5_717_032),
    Model(architectures.unet, (1, 128, 128), 2, 4_591_714_304, 1_926_466, (128, 128)),
    Model(architectures.crepe, (1, 1024), 360, 73_584_640, 486_552),
    Model(architectures.conv_lstm, (1, 24, 113), 18, 230_466_560, 3_965_778),
    Model(architectures.speaker_encoder, (160, 40), 256, 432_668_672, 1_423_616),
    Model(architectures.tcn, (1, 784), 10, 103_214_100, 66_510),
)


def rows():
    for model in MODELS:
        for batch in BATCHES:
            yield row(model, "", batch, 1, 1, functools.partial(forward_calls, model, batch))
        # backward: two products for each of the forward's; weights are read twice, Adam moves seven arrays of them
        yield row(model, "_step", STEP_BATCH, 3, 10, functools.partial(step_calls, model))


def row(model: Model, suffix: str, batch: int, products: int, passes: int, build: Callable[[], Calls]) -> Row:
    return Row(
        family="models",
        operation=model.name + suffix,
        shape=f"b{batch}",
        kind="model",
        flops=int(WINOGRAD * products * batch * model.flops),
        bytes=FLOAT * (passes * model.parameters + batch * int(np.prod(model.shape))),
        build=build,
        peers=(OURS, "torch"),
        records=bool(suffix),
    )


def inputs(model: Model, batch: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((batch, *model.shape), dtype=np.float32)


def forward_calls(model: Model, batch: int) -> Calls:
    nn = import_module("nn")
    params, x = initial(model.build), inputs(model, batch)
    ours, theirs = model.build(nn).eval(), model.build(torch.nn).eval()
    names = [name for name, _ in ours.named_parameters()]
    for module, tensor in ((ours, nn.tensor), (theirs, torch.tensor)):
        state = {name: tensor(param) for name, param in zip(names, params, strict=True)}
        module.load_state_dict(state, strict=False)  # running statistics begin alike
    ours_x, theirs_x = nn.tensor(x), torch.from_numpy(x)

    def call():
        with nn.no_grad():
            return ours(ours_x).array

    return {OURS: call, "torch": functools.partial(theirs, theirs_x)}


def step_calls(model: Model) -> Calls:
    nn = import_module("nn")
    params, x = initial(model.build), inputs(model, STEP_BATCH)
    target = np.random.default_rng(1).integers(0, model.classes, (STEP_BATCH, *model.positions))
    libraries = {OURS: (nn, nn.optim, nn.tensor), "torch": (torch.nn, torch.optim, torch.tensor)}
    return {peer: user_step(*library, model.build, params, x, target) for peer, library in libraries.items()}
