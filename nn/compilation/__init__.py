"""A model as one readable function of kernel calls, which runs without Python.

`trace` records which operations a model calls on example inputs, and on which tensors; `emit` knows the line of source
for each operation; `compiled` puts the lines together, compiles the function and calls it.
"""

from nn.compilation.compiled import Compiled, compile
from nn.compilation.step import CompiledStep, compile_step
from nn.compilation.trace import CompileError

__all__ = ["CompileError", "Compiled", "CompiledStep", "compile", "compile_step"]
