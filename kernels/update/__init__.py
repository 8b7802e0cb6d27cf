r"""Optimiser steps, in place: one call takes all parameters of a model, in one pass over memory.

With g the gradient to descend (negated to maximise; weight decay adds λp to it) and the step number t, from 1:

    sgd        v = μ v + (1 - τ) g        p -= η v                Nesterov: p -= η (g + μ v)
    adam       m = β₁ m + (1 - β₁) g      p -= η m̂ / (√v̂ + ε)     m̂ = m / (1 - β₁ᵗ)
               v = β₂ v + (1 - β₂) g²                             v̂ = v / (1 - β₂ᵗ)
    adamw      p *= 1 - η λ               then adam, with no λp in g
    rmsprop    v = α v + (1 - α) g²       p -= η g / (√v + ε)
    adagrad    v = v + g²                 p -= η / (1 + (t - 1) γ) g / (√v + ε)

An Adam step is about 12 FLOPs an element and moves 7 (p, m and v read and written, g read), so memory is its limit, as
it is for the others. Operations on whole arrays, one after the other, would read and write them many times; here an
element is read once, updated in registers, and written once.

Denormal states (from gradients near 0) make some CPUs ten times slower: `set_flush_denormal` helps.

- `loops`: the steps on the elements of one parameter; `parameters`: the loop over all parameters.
- `steps`: the public functions; `clipping`: clip_grad_norm.

- sgd: Sutskever et al. 2013, section 2. rmsprop: Hinton 2012, lecture 6e; Graves 2013, section 4.2 (centred).
- adam: Kingma and Ba 2015, Algorithm 1; Reddi et al. 2018, Algorithm 2 (amsgrad).
- adamw: Loshchilov and Hutter 2019, Algorithm 2. adagrad: Duchi et al. 2011, Figure 1.
"""

from kernels.update import clipping, loops
from kernels.update.clipping import clip_grad_norm
from kernels.update.loops import (
    AdagradOptions,
    AdamOptions,
    RMSpropOptions,
    SGDOptions,
    adagrad_loops,
    adagrad_naive,
    adam_loops,
    adam_naive,
    rmsprop_loops,
    rmsprop_naive,
    sgd_loops,
    sgd_naive,
)
from kernels.update.steps import adagrad, adam, adamw, rmsprop, sgd

VARIANTS = loops.VARIANTS | clipping.VARIANTS
