"""Writes `steps.md`: the source of compiled training steps of LeNet-5 and of the board's GPT.

python docs/jitted/steps.py
"""

import textwrap
from pathlib import Path

import nn
from benchmarks.cases import networks
from benchmarks.cases.training import LEARNING_RATE, LENET_BATCH, images, texts

PAGE = Path(__file__).with_name("steps.md")
HEAD = """# Two training steps as functions

What `nn.compile_step` writes for LeNet-5 and for the GPT of the board, with cross entropy and Adam
([how to read and call it](../jitted.md)). Written by `docs/jitted/steps.py`.
"""


def source(build, x, target):
    nn.manual_seed(0)
    model = build(nn)
    optimizer = nn.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    return nn.compile_step(model, nn.CrossEntropyLoss(), optimizer, x, target).source


def page():
    """The page as text."""
    steps = {
        "LeNet-5": source(networks.lenet5, *images(LENET_BATCH, 1, 28, 28)),
        "GPT": source(networks.gpt, *texts()),
    }
    return "\n".join([HEAD, *(f"## {name}\n\n{textwrap.indent(text, '    ')}\n" for name, text in steps.items())])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE)
