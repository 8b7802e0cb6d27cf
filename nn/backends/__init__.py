"""The switches of PyTorch's libraries for GPUs, ``torch.backends``: they can be set, and mean nothing here."""

from nn.backends import cuda, cudnn, mps
