"""Parameters that are computed from others, with the names of ``torch.nn.utils.parametrize``.

The class of a module with a parametrized tensor is replaced by a subclass that has a property of the tensor's name; the
property calls a `ParametrizationList`, which holds the tensors that are trained.
"""

from contextlib import contextmanager

from nn.containers import ModuleDict, ModuleList
from nn.grad_mode import no_grad
from nn.parameter import Parameter
from nn.tensor import Tensor

_cache = {}  # (id of a ParametrizationList) -> its tensor, while caching is on
_caching = 0


@contextmanager
def cached():
    """Context manager: compute each parametrized tensor once only."""
    global _caching
    _caching += 1
    try:
        yield
    finally:
        _caching -= 1
        if not _caching:
            _cache.clear()


class ParametrizationList(ModuleList):
    """Parametrizations, applied one after the other to the tensors that they are computed from.

    Those are its attribute ``original``, or ``original0``, ``original1`` … if the first parametrization's
    ``right_inverse`` returns several.
    """

    def __init__(self, modules, original, unsafe=False):
        super().__init__(modules)
        self.unsafe = unsafe
        shape, dtype = original.shape, original.dtype
        with no_grad():
            new = original
            for module in reversed(list(self)):
                if hasattr(module, "right_inverse"):
                    new = module.right_inverse(new)
        self.is_tensor = isinstance(new, Tensor)
        if self.is_tensor:
            self._require_dtype(new, dtype)
            if new is not original:
                original.data = new.detach()
            _register(self, "original", original)
        else:
            for i, part in enumerate(new):
                if isinstance(original, Parameter):
                    part = Parameter(part.detach(), requires_grad=original.requires_grad)
                _register(self, f"original{i}", part)
        self.ntensors = 1 if self.is_tensor else len(new)
        if not unsafe:
            _require_same("register_parametrization", self(), shape, dtype)

    def _originals(self):
        return [self.original] if self.is_tensor else [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def _require_dtype(self, tensor, dtype):
        if tensor.dtype != dtype:
            raise TypeError(f"right_inverse: dtypes differ: the tensor is {dtype}, the result {tensor.dtype}")

    def forward(self):
        if _caching and id(self) in _cache:
            return _cache[id(self)]
        first, *others = self
        value = first(*self._originals())
        for module in others:
            value = module(value)
        if _caching:
            _cache[id(self)] = value
        return value

    @no_grad()
    def right_inverse(self, value):
        """Set the original tensors so that they result in `value`; each parametrization needs a ``right_inverse``."""
        for module in reversed(list(self)):
            if not hasattr(module, "right_inverse"):
                raise RuntimeError(f"{type(module).__name__}: a parametrized tensor is set by its right_inverse")
            value = module.right_inverse(value)
        values = [value] if self.is_tensor else list(value)
        if len(values) != self.ntensors:
            raise ValueError(f"right_inverse: must return {self.ntensors} tensors, got {len(values)}")
        for original, new in zip(self._originals(), values, strict=True):
            self._require_dtype(new, original.dtype)
            original.data = new.detach().clone()
        _cache.pop(id(self), None)


def _register(module, name, tensor):
    if isinstance(tensor, Parameter):
        module.register_parameter(name, tensor)
    else:
        module.register_buffer(name, tensor)


def _require_same(name, tensor, shape, dtype):
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: a parametrization must return a Tensor, got {type(tensor).__name__}")
    if tensor.dtype != dtype or tensor.shape != shape:
        raise ValueError(
            f"{name}: the tensor is {shape} of {dtype}, its parametrization {tensor.shape} of {tensor.dtype}; "
            "pass unsafe=True to allow it"
        )


def _property(name):
    def get(self):
        return self.parametrizations[name]()

    def replace(self, value):
        self.parametrizations[name].right_inverse(value)

    return property(get, replace)


def _reduce(self, protocol):
    return _made, (type_before_parametrizations(self), list(self.parametrizations)), vars(self)


def _parametrized(kind, names):
    """A subclass of a class of modules whose attributes of these names are computed."""
    namespace = {name: _property(name) for name in names}
    namespace |= {"__reduce_ex__": _reduce, "__module__": kind.__module__, "__doc__": kind.__doc__}
    return type(f"Parametrized{kind.__name__}", (kind,), namespace)


def _made(kind, names):
    kind = _parametrized(kind, names)
    return kind.__new__(kind)


def register_parametrization(module, tensor_name, parametrization, *, unsafe=False):
    """Compute a parameter or buffer of a module by `parametrization` from now on; return the module.

    Parameters
    ----------
    module : Module
    tensor_name : str
    parametrization : Module
        Called with the original tensor at each use. With a method ``right_inverse(tensor)``, which returns the original
        tensor or several, the parameter can be assigned to. On a tensor that is parametrized already, it is applied to
        the result.
    unsafe : bool, default False
        Whether shape and dtype may change.

    Raises
    ------
    ValueError
        There is no such tensor, or its shape or dtype would change.

    Examples
    --------
    >>> import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return x + x.mT
    >>> layer = nn.utils.parametrize.register_parametrization(nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.mT).all())
    True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        parts = module.parametrizations[tensor_name]
        if not unsafe:
            old = getattr(module, tensor_name)
            _require_same("register_parametrization", parametrization(old), old.shape, old.dtype)
        parts.append(parametrization)
        parts.unsafe = parts.unsafe or unsafe
        return module
    tensors = {**dict(module.named_parameters(recurse=False)), **dict(module.named_buffers(recurse=False))}
    if tensor_name not in tensors:
        raise ValueError(
            f"register_parametrization: {type(module).__name__} has no parameter or buffer {tensor_name!r}"
        )
    parts = ParametrizationList([parametrization], tensors[tensor_name], unsafe)
    delattr(module, tensor_name)
    kind = type_before_parametrizations(module)
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = parts
    module.__class__ = _parametrized(kind, list(module.parametrizations))
    return module


def is_parametrized(module, tensor_name=None):
    """Whether a module has a parametrized tensor, or the one of this name is."""
    parametrizations = vars(module).get("parametrizations")
    if not isinstance(parametrizations, ModuleDict):
        return False
    return len(parametrizations) > 0 if tensor_name is None else tensor_name in parametrizations


def remove_parametrizations(module, tensor_name, leave_parametrized=True):
    """Make a parametrized tensor an ordinary one again; return the module.

    Parameters
    ----------
    module : Module
    tensor_name : str
    leave_parametrized : bool, default True
        Whether it keeps its present value, or becomes the original tensor.

    Raises
    ------
    ValueError
        It is not parametrized, or has several original tensors and `leave_parametrized` is False.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {type(module).__name__} has no parametrization of {tensor_name!r}")
    parts = module.parametrizations[tensor_name]
    if not parts.is_tensor and not leave_parametrized:
        raise ValueError(f"remove_parametrizations: {tensor_name} has {parts.ntensors} original tensors")
    value = getattr(module, tensor_name)
    if parts.is_tensor:
        tensor = parts.original
        if leave_parametrized:
            tensor.data = value.detach().clone()
    else:
        tensor = Parameter(value.detach()) if value.requires_grad else value
    kind = type_before_parametrizations(module)
    del module.parametrizations[tensor_name]
    names = list(module.parametrizations)
    module.__class__ = _parametrized(kind, names) if names else kind
    if not names:
        del module.parametrizations
    _register(module, tensor_name, tensor)
    return module


def type_before_parametrizations(module):
    """The class of a module without its parametrizations."""
    return type(module).__bases__[0] if is_parametrized(module) else type(module)
