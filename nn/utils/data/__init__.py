"""Datasets, samplers and batches, with the names and arguments of ``torch.utils.data``."""

from nn.utils.data.collate import default_collate, default_convert
from nn.utils.data.datasets import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from nn.utils.data.distributed import DistributedSampler
from nn.utils.data.loader import DataLoader, get_worker_info
from nn.utils.data.samplers import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
