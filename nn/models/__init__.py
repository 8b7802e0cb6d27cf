"""Complete networks, each in one short file."""

from nn.models.bert import BERT
from nn.models.generation import distribution, generate
from nn.models.gpt import GPT, KeyValueCache

__all__ = ["BERT", "GPT", "KeyValueCache", "distribution", "generate"]
