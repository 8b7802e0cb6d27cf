"""Where our signatures differ from PyTorch's: full name -> the difference in the words of `signatures`, the reason.

``python -m tests.nn.signatures`` prints the lines that are to be added or changed.
"""

_CREATION = "by position as well, as NumPy takes them"
_FIXED = "float32 is the default dtype of all tensors"
_DOCUMENTED = "PyTorch's docstring names it differently from its own argument"
_DECORATOR = "the context managers decorate through `__call__`"
_ONE_GRAPH = "what it would change does not exist here"
_SEVERAL = "one name for a tuple and for several ints: `shape=` works as well"
_OVERLOADS = "PyTorch has several signatures and documents one"
_DENSE = "gradients are dense"
_CHECKPOINT = "ours alone: recomputation of the gates in the backward"
_UPDATE = "the update itself cannot be differentiated"

DIFFERENCES = {
    "torch.arange": (
        "start=no default for 0; dtype by position, too",
        "one bound is the end, as in PyTorch's own calls",
    ),
    "torch.enable_grad": ("without orig_func", _DECORATOR),
    "torch.from_numpy": ("without ndarray; with array", _DOCUMENTED),
    "torch.full": ("dtype by position, too; requires_grad by position, too", _CREATION),
    "torch.ones": ("dtype=float32 for None", _FIXED),
    "torch.rand": ("dtype=float32 for None", _FIXED),
    "torch.randn": ("dtype=float32 for None", _FIXED),
    "torch.tensor": ("dtype by position, too; requires_grad by position, too", _CREATION),
    "torch.zeros": ("dtype=float32 for None", _FIXED),
    "torch.broadcast_to": ("without shape; with size", _DOCUMENTED),
    "torch.flip": ("with *more", _SEVERAL),
    "torch.median": ("dim=None for -1", _OVERLOADS),
    "torch.nanmedian": ("dim=None for -1", _OVERLOADS),
    "torch.norm": ("dtype by keyword only", _DOCUMENTED),
    "torch.permute": ("with *more", _SEVERAL),
    "torch.reshape": ("with *more", _SEVERAL),
    "torch.scatter": ("with value, reduce", _OVERLOADS),
    "torch.searchsorted": ("without values; with input", _DOCUMENTED),
    "torch.softmax": ("dtype by position, too", _DOCUMENTED),
    "torch.squeeze": ("without List[int]]]", _DOCUMENTED),
    "torch.std": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.std_mean": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.tile": ("with *more", _SEVERAL),
    "torch.unique_consecutive": ("with input, return_inverse, return_counts, dim", _OVERLOADS),
    "torch.var": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.var_mean": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.Tensor.argsort": ("with stable", _OVERLOADS),
    "torch.Tensor.bmm": ("without batch2; with mat2", _DOCUMENTED),
    "torch.Tensor.broadcast_to": ("without shape; with size", _DOCUMENTED),
    "torch.Tensor.cumprod": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.cumprod_": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.cumsum": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.cumsum_": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.dot": ("without other; with tensor", _DOCUMENTED),
    "torch.Tensor.dsplit": ("without split_size_or_sections; with indices_or_sections", _DOCUMENTED),
    "torch.Tensor.expand": ("without *size; with size, *more", _SEVERAL),
    "torch.Tensor.flip": ("with *more", _SEVERAL),
    "torch.Tensor.gather": ("with sparse_grad", _OVERLOADS),
    "torch.Tensor.hsplit": ("without split_size_or_sections; with indices_or_sections", _DOCUMENTED),
    "torch.Tensor.index_copy_": ("without tensor; with source", _DOCUMENTED),
    "torch.Tensor.masked_scatter": ("without tensor; with source", _DOCUMENTED),
    "torch.Tensor.nansum": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.narrow": ("without dimension; with dim", _DOCUMENTED),
    "torch.Tensor.nonzero": ("with as_tuple", _OVERLOADS),
    "torch.Tensor.norm": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.permute": ("without *dims; with dims, *more", _SEVERAL),
    "torch.Tensor.prod": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.repeat": ("without *repeats; with repeats, *more", _SEVERAL),
    "torch.Tensor.reshape": ("without *shape; with shape, *more", _SEVERAL),
    "torch.Tensor.rot90": ("k=1 for no default; dims=(0, 1) for no default", _DOCUMENTED),
    "torch.Tensor.scatter": ("with value, reduce", _OVERLOADS),
    "torch.Tensor.scatter_": ("with value", _OVERLOADS),
    "torch.Tensor.sort": ("with stable", _OVERLOADS),
    "torch.Tensor.std": ("with unbiased; order dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.Tensor.sum": ("dtype by keyword only", _DOCUMENTED),
    "torch.Tensor.take": ("without indices; with index", _DOCUMENTED),
    "torch.Tensor.tile": ("with *more", _SEVERAL),
    "torch.Tensor.var": ("with unbiased; order dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.Tensor.view": ("with shape, *more", _SEVERAL),
    "torch.Tensor.vsplit": ("without split_size_or_sections; with indices_or_sections", _DOCUMENTED),
    "torch.Tensor.where": ("without y; with other", _DOCUMENTED),
    "torch.Tensor.copy_": ("without src; with source", "not renamed yet"),
    "torch.Tensor.div": ("without value, rounding_mode; with other", "not covered yet; value is the docstring's name"),
    "torch.Tensor.div_": ("without value, rounding_mode; with other", "not covered yet; value is the docstring's name"),
    "torch.Tensor.matmul": ("without tensor2; with other", _DOCUMENTED),
    "torch.Tensor.mul": ("without value; with other", _DOCUMENTED),
    "torch.Tensor.mul_": ("without value; with other", _DOCUMENTED),
    "torch.Tensor.numpy": ("without force", "not covered yet"),
    "torch.Tensor.to": ("without copy", "not covered yet"),
    "torch.autograd.backward": ("without grad_variables", "an older name of grad_tensors, deprecated"),
    "torch.autograd.enable_grad": ("without orig_func", _DECORATOR),
    "torch.autograd.grad": ("without only_inputs, is_grads_batched", _ONE_GRAPH),
    "torch.nn.Embedding": ("without sparse, _weight, _freeze", _DENSE),
    "torch.nn.EmbeddingBag": (
        "without sparse, _weight; include_last_offset by keyword only; padding_idx by keyword only",
        _DENSE,
    ),
    "torch.nn.GRU": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.LSTM": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.RNN": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.functional.linear_cross_entropy": ("without options", "how PyTorch's computes it; not covered"),
    "torch.nn.functional.one_hot": ("without tensor; with input", _DOCUMENTED),
    "torch.nn.utils.rnn.PackedSequence": ("batch_sizes=no default for None", "it is needed"),
    "torch.optim.Adagrad": ("without differentiable", _UPDATE),
    "torch.optim.Adam": ("without differentiable", _UPDATE),
    "torch.optim.AdamW": ("without differentiable", _UPDATE),
    "torch.optim.RMSprop": ("without differentiable; maximize by keyword only", _UPDATE),
    "torch.optim.SGD": ("without differentiable", _UPDATE),
    "torch.utils.data.DataLoader": (
        "without sampler, batch_sampler, timeout, worker_init_fn, multiprocessing_context, persistent_workers, "
        "pin_memory_device, in_order; "
        "shuffle=False for None; "
        "num_workers by keyword only; "
        "collate_fn by keyword only; "
        "drop_last by keyword only; "
        "generator by keyword only; "
        "prefetch_factor=2 for None",
        "not covered yet",
    ),
}
