"""Whole networks, each in one file and small enough to be read in one sitting."""

from nn.models.bert import BERT
from nn.models.generation import distribution, generate
from nn.models.gpt import GPT, KeyValueCache

__all__ = ["BERT", "GPT", "KeyValueCache", "distribution", "generate"]
