"""The device of all tensors, the CPU, and the other devices' names, which raise an error where one is asked for."""

# What PyTorch knows, so that a misspelt name is told from a device that is missing here.
TYPES = (
    *("cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia", "xla", "lazy"),
    *("vulkan", "mps", "meta", "hpu", "mtia"),
)


class device:
    """The name of a device: ``device("cpu")``. Other names of PyTorch's can be made, but not used.

    As a context manager it changes nothing: all tensors are created on the CPU.

    Parameters
    ----------
    type : str or device
        A type, also with an index, as "cuda:0".
    index : int, optional

    Raises
    ------
    RuntimeError
        There is no such type of device.

    Examples
    --------
    >>> import nn
    >>> nn.zeros(2).device == nn.device("cpu")
    True
    """

    __slots__ = ("type", "index")

    def __init__(self, type, index=None):
        if isinstance(type, device):
            type, index = type.type, type.index
        elif not isinstance(type, str):
            raise TypeError(f"device: type must be a str, got {type!r}")
        elif ":" in type:
            type, number = type.split(":", 1)
            if not number.isdecimal() or index is not None:
                raise RuntimeError(f"device: expected one index, a number, got {number!r} and {index!r}")
            index = int(number)
        if type not in TYPES:
            raise RuntimeError(f"device: expected one of {', '.join(TYPES)}, got {type!r}")
        self.type, self.index = type, index

    def __eq__(self, other):
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self):
        return hash((self.type, self.index))

    def __str__(self):
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self):
        return (
            f"device(type={self.type!r})" if self.index is None else f"device(type={self.type!r}, index={self.index})"
        )

    def __enter__(self):
        require_cpu(self)
        return self

    def __exit__(self, *error):
        pass


CPU = device("cpu")


def require_cpu(given):
    """RuntimeError unless a device, or its name, is the CPU; None is accepted."""
    if given is None or given is CPU:
        return
    if not isinstance(given, device):
        if isinstance(given, int):
            raise RuntimeError(f"device: there is no GPU number {given}; the only device is 'cpu'")
        given = device(given)
    if given.type != "cpu":
        raise RuntimeError(f"device: {str(given)!r} is not available; the only device is 'cpu'")
