"""Where our signatures differ from PyTorch's: full name -> the difference in the words of `signatures`, the reason.

``python -m tests.nn.signatures`` prints the lines that are to be added or changed.
"""

_BOUND = "a single bound is the end"
_WORD = "from is a keyword of Python"
_ONE_BY_ONE = "sizes and dimensions are taken one by one as well as in a tuple"
_DOCUMENTED = "PyTorch's docstring names it differently from its own argument"
_SCHEMA = "as PyTorch's argument parser has it; the docstring differs"
_OVERLOADS = "one function for PyTorch's overloads, of which it documents or inspects one"
_DECORATOR = "the context managers decorate through `__call__`"
_CHECKPOINT = "ours alone: recomputation of the gates in the backward"
_FILES = "files hold safetensors, not pickles"
_SEVERAL = "one name for a tuple and for several ints: `shape=` works as well"

DIFFERENCES = {
    "torch.Tensor.bernoulli": ("with p", _OVERLOADS),
    "torch.Tensor.broadcast_to": ("without shape; with size", _DOCUMENTED),
    "torch.Tensor.expand": ("without *size; with size, *more", _SEVERAL),
    "torch.Tensor.flip": ("with *more", _SEVERAL),
    "torch.Tensor.masked_scatter": ("without tensor; with source", _DOCUMENTED),
    "torch.Tensor.new_empty": ("with *sizes; size by keyword only", _ONE_BY_ONE),
    "torch.Tensor.new_ones": ("with *sizes; size by keyword only", _ONE_BY_ONE),
    "torch.Tensor.new_zeros": ("with *sizes; size by keyword only", _ONE_BY_ONE),
    "torch.Tensor.norm": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.permute": ("with *more", _ONE_BY_ONE),
    "torch.Tensor.random_": ("without from; with from_", _WORD),
    "torch.Tensor.repeat": ("without *repeats; with repeats, *more", _SEVERAL),
    "torch.Tensor.reshape": ("with *more", _ONE_BY_ONE),
    "torch.Tensor.scatter": ("with value, reduce", "PyTorch has several signatures and documents one"),
    "torch.Tensor.scatter_": ("with value", "PyTorch has several signatures and documents one"),
    "torch.Tensor.std": (
        "with unbiased; order dim, keepdim, correction; keepdim by position, too",
        "PyTorch has several signatures and documents one",
    ),
    "torch.Tensor.tile": ("with *more", _SEVERAL),
    "torch.Tensor.to": ("without **kwargs; with copy", _SCHEMA),
    "torch.Tensor.true_divide": ("without value; with other", _DOCUMENTED),
    "torch.Tensor.true_divide_": ("without value; with other", _DOCUMENTED),
    "torch.Tensor.type": ("without **kwargs", _SCHEMA),
    "torch.Tensor.type_as": ("without tensor; with other", _DOCUMENTED),
    "torch.Tensor.uniform_": ("without from; with from_", _WORD),
    "torch.Tensor.var": (
        "with unbiased; order dim, keepdim, correction; keepdim by position, too",
        "PyTorch has several signatures and documents one",
    ),
    "torch.Tensor.view": ("with shape, *more", _SEVERAL),
    "torch.Tensor.where": ("with other", _OVERLOADS),
    "torch.arange": ("start=no default for 0", _BOUND),
    "torch.asarray": ("with copy", _SCHEMA),
    "torch.autograd.backward": ("without grad_variables", "an older name of grad_tensors, deprecated"),
    "torch.autograd.enable_grad": ("without orig_func", _DECORATOR),
    "torch.bernoulli": ("with p", _OVERLOADS),
    "torch.broadcast_to": ("without shape; with size", _DOCUMENTED),
    "torch.compile": (
        "without fullgraph, dynamic, backend, mode, options, name, disable, recompile_limit, isolate_recompiles, "
        "shapes_spec; with *inputs, shapes; model=no default for None",
        "ours writes a model down as one function; programs that run by as_torch get `nn.compiler.compile`",
    ),
    "torch.compiler.compile": (
        "with model, fullgraph, dynamic, backend, mode, options, name, disable, recompile_limit, isolate_recompiles, "
        "shapes_spec",
        "those of torch.compile, to which PyTorch's passes all of its arguments",
    ),
    "torch.dtype": ("with align, copy, **kwargs", "dtypes are those of NumPy"),
    "torch.empty": ("without *size; with *sizes, size", _ONE_BY_ONE),
    "torch.enable_grad": ("without orig_func", _DECORATOR),
    "torch.flip": ("with *more", _SEVERAL),
    "torch.load": ("without pickle_module, mmap, **pickle_load_args; weights_only=True for None", _FILES),
    "torch.median": ("dim=None for -1", "PyTorch has several signatures and documents one"),
    "torch.nanmedian": ("dim=None for -1", "PyTorch has several signatures and documents one"),
    "torch.nn.GRU": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.LSTM": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.RNN": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.functional.linear_cross_entropy": ("without options", "how PyTorch's computes it; not covered"),
    "torch.nn.functional.one_hot": ("without tensor; with input", _DOCUMENTED),
    "torch.nn.utils.rnn.PackedSequence": ("batch_sizes=no default for None", "it is needed"),
    "torch.norm": ("dtype by keyword only", _DOCUMENTED),
    "torch.normal": ("with size", _OVERLOADS),
    "torch.ones": ("without *size; with *sizes, size", _ONE_BY_ONE),
    "torch.permute": ("with *more", _SEVERAL),
    "torch.rand": ("without *size; with *sizes, size", _ONE_BY_ONE),
    "torch.randint": ("low=no default for 0", _BOUND),
    "torch.randint_like": ("low=no default for 0", _BOUND),
    "torch.randn": ("without *size; with *sizes, size", _ONE_BY_ONE),
    "torch.reshape": ("with *more", _SEVERAL),
    "torch.save": (
        "without pickle_module, pickle_protocol, _use_new_zipfile_serialization, _disable_byteorder_record",
        _FILES,
    ),
    "torch.scatter": ("with value, reduce", "PyTorch has several signatures and documents one"),
    "torch.searchsorted": ("without values; with input", _DOCUMENTED),
    "torch.softmax": ("dtype by position, too", _DOCUMENTED),
    "torch.std": (
        "with unbiased; order input, dim, keepdim, correction; keepdim by position, too",
        "PyTorch has several signatures and documents one",
    ),
    "torch.std_mean": (
        "with unbiased; order input, dim, keepdim, correction; keepdim by position, too",
        "PyTorch has several signatures and documents one",
    ),
    "torch.tile": ("with *more", _SEVERAL),
    "torch.true_divide": ("without dividend, divisor; with input, other", _DOCUMENTED),
    "torch.unique_consecutive": (
        "with input, return_inverse, return_counts, dim",
        "PyTorch has several signatures and documents one",
    ),
    "torch.var": (
        "with unbiased; order input, dim, keepdim, correction; keepdim by position, too",
        "PyTorch has several signatures and documents one",
    ),
    "torch.var_mean": (
        "with unbiased; order input, dim, keepdim, correction; keepdim by position, too",
        "PyTorch has several signatures and documents one",
    ),
    "torch.zeros": ("without *size; with *sizes, size", _ONE_BY_ONE),
}
