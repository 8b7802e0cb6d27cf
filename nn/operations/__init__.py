"""The operations of `nn.Tensor`: free functions in one form, compute the result and `record` its backward."""
