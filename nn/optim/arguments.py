"""Conversion of options."""


def as_number(value):
    """Convert a NumPy number, or an array or tensor of one element, to a Python number."""
    return value.item() if hasattr(value, "item") else value
