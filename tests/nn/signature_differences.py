"""Where our signatures differ from PyTorch's: full name -> the difference in the words of `signatures`, the reason.

``python -m tests.nn.signatures`` prints the lines that are to be added or changed.
"""

_KEYWORD = "from is a keyword of Python"
_BOUND = "a single bound is the end"
_ONE_BY_ONE = "sizes and dimensions are taken one by one as well as in a tuple"
_DOCUMENTED = "PyTorch's docstring names it differently from its own argument"
_SCHEMA = "as PyTorch's argument parser has it; the docstring differs"
_OVERLOADS = "one function for PyTorch's overloads, of which some take it by position"
_DECORATOR = "the context managers decorate through `__call__`"
_CHECKPOINT = "ours alone: recomputation of the gates in the backward"
_FILES = "files hold safetensors, not pickles"
_CREATION = "by position as well, as NumPy takes it"
_NOT_YET = "not covered yet"
_OLDER = "an older name, deprecated in PyTorch"

DIFFERENCES = {
    "torch.arange": ("start=no default for 0", _BOUND),
    "torch.as_tensor": ("dtype by position, too; device by position, too", _CREATION),
    "torch.asarray": ("with copy", _SCHEMA),
    "torch.bernoulli": ("with p", _OVERLOADS),
    "torch.dtype": ("with align, copy, **kwargs", "dtypes are those of NumPy"),
    "torch.empty": ("without *size; with *sizes, size", _ONE_BY_ONE),
    "torch.enable_grad": ("without orig_func", _DECORATOR),
    "torch.from_dlpack": ("without copy", _SCHEMA),
    "torch.from_numpy": ("without ndarray; with array", _DOCUMENTED),
    "torch.load": ("without pickle_module, mmap, **pickle_load_args; weights_only=True for None", _FILES),
    "torch.meshgrid": ("indexing=ij for None", "None means ij in PyTorch, with a warning"),
    "torch.normal": ("with size", _OVERLOADS),
    "torch.ones": ("without *size; with *sizes, size", _ONE_BY_ONE),
    "torch.rand": ("without *size; with *sizes, size", _ONE_BY_ONE),
    "torch.randint": ("low=no default for 0", _BOUND),
    "torch.randint_like": ("low=no default for 0", _BOUND),
    "torch.randn": ("without *size; with *sizes, size", _ONE_BY_ONE),
    "torch.save": (
        "without pickle_module, pickle_protocol, _use_new_zipfile_serialization, _disable_byteorder_record",
        _FILES,
    ),
    "torch.true_divide": ("without dividend, divisor; with input, other", _DOCUMENTED),
    "torch.zeros": ("without *size; with *sizes, size", _ONE_BY_ONE),
    "torch.Tensor.bernoulli": ("with p", _OVERLOADS),
    "torch.amax": ("dim=() for None", _DOCUMENTED),
    "torch.amin": ("dim=() for None", _DOCUMENTED),
    "torch.broadcast_to": ("without shape; with size", _DOCUMENTED),
    "torch.flip": ("with *more", _SEVERAL),
    "torch.norm": ("dtype by keyword only", _DOCUMENTED),
    "torch.permute": ("with *more", _SEVERAL),
    "torch.reshape": ("with *more", _SEVERAL),
    "torch.softmax": ("dtype by position, too", _DOCUMENTED),
    "torch.std": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.std_mean": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.tile": ("with *more", _SEVERAL),
    "torch.var": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.var_mean": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.Tensor.amax": ("dim=() for None", _DOCUMENTED),
    "torch.Tensor.amin": ("dim=() for None", _DOCUMENTED),
    "torch.Tensor.broadcast_to": ("without shape; with size", _DOCUMENTED),
    "torch.Tensor.expand": ("without *size; with size, *more", _SEVERAL),
    "torch.Tensor.flip": ("with *more", _SEVERAL),
    "torch.Tensor.norm": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.permute": ("with *more", _SEVERAL),
    "torch.Tensor.repeat": ("without *repeats; with repeats, *more", _SEVERAL),
    "torch.Tensor.reshape": ("with *more", _SEVERAL),
    "torch.Tensor.std": ("with unbiased; order dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.Tensor.tile": ("with *more", _SEVERAL),
    "torch.Tensor.var": ("with unbiased; order dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.Tensor.view": ("with shape, *more", _SEVERAL),
    "torch.Tensor.where": ("with other", _DOCUMENTED),
    "torch.Tensor.copy_": ("without src; with source", _NOT_YET),
    "torch.Tensor.new_empty": ("with *sizes; size by keyword only", _ONE_BY_ONE),
    "torch.Tensor.new_ones": ("with *sizes; size by keyword only", _ONE_BY_ONE),
    "torch.Tensor.new_zeros": ("with *sizes; size by keyword only", _ONE_BY_ONE),
    "torch.Tensor.numpy": ("without force", _NOT_YET),
    "torch.Tensor.random_": ("without from; with from_", _KEYWORD),
    "torch.Tensor.to": ("without **kwargs; with copy", _SCHEMA),
    "torch.Tensor.true_divide": ("without value; with other", _DOCUMENTED),
    "torch.Tensor.true_divide_": ("without value; with other", _DOCUMENTED),
    "torch.Tensor.type": ("without **kwargs", _SCHEMA),
    "torch.Tensor.type_as": ("without tensor; with other", _DOCUMENTED),
    "torch.Tensor.uniform_": ("without from; with from_", _KEYWORD),
    "torch.autograd.backward": ("without grad_variables", _OLDER),
    "torch.autograd.enable_grad": ("without orig_func", _DECORATOR),
    "torch.autograd.grad": ("without only_inputs, is_grads_batched", "what it would change does not exist here"),
    "torch.nn.GRU": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.LSTM": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.RNN": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.functional.linear_cross_entropy": ("without options", "how PyTorch computes it; not covered"),
    "torch.nn.functional.one_hot": ("without tensor; with input", _DOCUMENTED),
    "torch.nn.utils.rnn.PackedSequence": ("batch_sizes=no default for None", "it is needed"),
}
