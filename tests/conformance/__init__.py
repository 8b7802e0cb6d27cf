"""Conformance tests with PyTorch's own tables of operations, modules and optimisers.

``torch.testing._internal`` is part of PyTorch's wheel and lists, for each operation, module and optimiser, sample
inputs and bad inputs. Those with a counterpart here run on both sides:

    python -m tests.conformance                    everything, with a table at the end
    python -m tests.conformance sum dropout nn.    only these, or those whose name contains the word
    python -m tests.conformance --fixed            the part that runs in CI, as `test_conformance.py` does
    python -m tests.conformance --list wrong       everything, and each sample of that status
    python -m tests.conformance --write            everything, and update `expected.txt` for what has run

Each sample ends as

- pass: values, dtypes, shapes, changes in place and gradients agree with PyTorch's float64 result; of bad input:
  an error of ours that names the rule;
- different: deliberately, for a reason that `catalogue.DIFFERENT` states;
- refused: a clear error where PyTorch has a result;
- inexpressible: it needs something that is not supported, such as complex numbers or an argument;
- wrong, accident (an error that is not raised deliberately, such as a ZeroDivisionError), accepted (bad input), crash,
  hang: defects.

`expected.txt` lists every status except pass, by operation and reason: a result that is not listed fails, and so does a
listed one that no longer occurs. So the list documents what is not covered, and no defect appears or disappears
unnoticed.

The files: `catalogue` maps PyTorch's names to ours, `additional` adds samples that PyTorch's tables lack, so that each
public module and function of `nn.functional` is covered or named in `catalogue.OTHER`, `values` converts and compares,
`samples` judges one sample, `operations`, `modules` and `optimizers` make the samples, `pool` runs them in processes
of their own, `expected` compares with the list, `report` prints.
"""
