"""Where our signatures differ from PyTorch's: full name -> the difference in the words of `signatures`, the reason.

``python -m tests.nn.signatures`` prints the lines that are to be added or changed.
"""

_BOUND = "a single bound is the end"
_ONE_BY_ONE = "sizes and dimensions are taken one by one as well as in a tuple"
_DOCUMENTED = "PyTorch's docstring names it differently from its own argument"
_SCHEMA = "as PyTorch's argument parser has it; the docstring differs"
_OVERLOADS = "one function for PyTorch's overloads, of which some take it by position"
_DECORATOR = "the context managers decorate through `__call__`"
_CHECKPOINT = "ours alone: recomputation of the gates in the backward"
_DENSE = "gradients are dense"
_FILES = "files hold safetensors, not pickles"
_FIXED = "float32 is the default dtype of all tensors"
_CREATION = "by position as well, as NumPy takes it"
_NOT_YET = "not covered yet"
_OLDER = "an older name, deprecated in PyTorch"

DIFFERENCES = {
    "torch.amax": ("dim=() for None", _SCHEMA),
    "torch.amin": ("dim=() for None", _SCHEMA),
    "torch.arange": ("start=no default for 0; dtype by position, too", _BOUND),
    "torch.broadcast_to": ("without shape; with size", _DOCUMENTED),
    "torch.enable_grad": ("without orig_func", _DECORATOR),
    "torch.flip": ("with *more", _ONE_BY_ONE),
    "torch.from_numpy": ("without ndarray; with array", _DOCUMENTED),
    "torch.full": ("dtype by position, too; requires_grad by position, too", _CREATION),
    "torch.load": ("without pickle_module, mmap, **pickle_load_args; weights_only=True for None", _FILES),
    "torch.norm": ("dtype by keyword only", _SCHEMA),
    "torch.ones": ("dtype=float32 for None", _FIXED),
    "torch.permute": ("with *more", _ONE_BY_ONE),
    "torch.rand": ("dtype=float32 for None", _FIXED),
    "torch.randn": ("dtype=float32 for None", _FIXED),
    "torch.reshape": ("with *more", _ONE_BY_ONE),
    "torch.save": (
        "without pickle_module, pickle_protocol, _use_new_zipfile_serialization, _disable_byteorder_record",
        _FILES,
    ),
    "torch.softmax": ("dtype by position, too", _OVERLOADS),
    "torch.std": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.std_mean": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.tensor": ("dtype by position, too; requires_grad by position, too", _CREATION),
    "torch.tile": ("with *more", _ONE_BY_ONE),
    "torch.var": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.var_mean": ("with unbiased; order input, dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.zeros": ("dtype=float32 for None", _FIXED),
    "torch.Tensor.amax": ("dim=() for None", _SCHEMA),
    "torch.Tensor.amin": ("dim=() for None", _SCHEMA),
    "torch.Tensor.bmm": ("without batch2; with mat2", _DOCUMENTED),
    "torch.Tensor.broadcast_to": ("without shape; with size", _DOCUMENTED),
    "torch.Tensor.copy_": ("without src; with source", _NOT_YET),
    "torch.Tensor.div": ("without value, rounding_mode; with other", _NOT_YET),
    "torch.Tensor.div_": ("without value, rounding_mode; with other", _NOT_YET),
    "torch.Tensor.dot": ("without other; with tensor", _DOCUMENTED),
    "torch.Tensor.dsplit": ("without split_size_or_sections; with indices_or_sections", _DOCUMENTED),
    "torch.Tensor.expand": ("without *size; with size, *more", _ONE_BY_ONE),
    "torch.Tensor.flip": ("with *more", _ONE_BY_ONE),
    "torch.Tensor.hsplit": ("without split_size_or_sections; with indices_or_sections", _DOCUMENTED),
    "torch.Tensor.matmul": ("without tensor2; with other", _DOCUMENTED),
    "torch.Tensor.mul": ("without value; with other", _DOCUMENTED),
    "torch.Tensor.mul_": ("without value; with other", _DOCUMENTED),
    "torch.Tensor.nansum": ("dtype by keyword only", _SCHEMA),
    "torch.Tensor.narrow": ("without dimension; with dim", _DOCUMENTED),
    "torch.Tensor.norm": ("dtype by keyword only", _SCHEMA),
    "torch.Tensor.numpy": ("without force", _NOT_YET),
    "torch.Tensor.permute": ("without *dims; with dims, *more", _ONE_BY_ONE),
    "torch.Tensor.prod": ("dtype by keyword only", _SCHEMA),
    "torch.Tensor.repeat": ("without *repeats; with repeats, *more", _ONE_BY_ONE),
    "torch.Tensor.reshape": ("without *shape; with shape, *more", _ONE_BY_ONE),
    "torch.Tensor.rot90": ("k=1 for no default; dims=(0, 1) for no default", _SCHEMA),
    "torch.Tensor.std": ("with unbiased; order dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.Tensor.sum": ("dtype by keyword only", _SCHEMA),
    "torch.Tensor.tile": ("with *more", _ONE_BY_ONE),
    "torch.Tensor.to": ("without copy", _NOT_YET),
    "torch.Tensor.var": ("with unbiased; order dim, keepdim, correction; keepdim by position, too", _OVERLOADS),
    "torch.Tensor.view": ("with shape, *more", _ONE_BY_ONE),
    "torch.Tensor.vsplit": ("without split_size_or_sections; with indices_or_sections", _DOCUMENTED),
    "torch.Tensor.where": ("without y; with other", _DOCUMENTED),
    "torch.autograd.backward": ("without grad_variables", _OLDER),
    "torch.autograd.enable_grad": ("without orig_func", _DECORATOR),
    "torch.autograd.grad": ("without only_inputs, is_grads_batched", "what it would change does not exist here"),
    "torch.nn.Embedding": ("without sparse, _weight, _freeze", _DENSE),
    "torch.nn.EmbeddingBag": (
        "without sparse, _weight; include_last_offset by keyword only; padding_idx by keyword only",
        _DENSE,
    ),
    "torch.nn.GRU": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.LSTM": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.RNN": ("with checkpoint_every", _CHECKPOINT),
    "torch.nn.functional.linear_cross_entropy": ("without options", "how PyTorch computes it; not covered"),
    "torch.nn.functional.one_hot": ("without tensor; with input", _DOCUMENTED),
    "torch.nn.utils.rnn.PackedSequence": ("batch_sizes=no default for None", "it is needed"),
}
