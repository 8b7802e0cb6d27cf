"""PyTorch's own tables of operations, modules and optimisers as a gate.

``torch.testing._internal`` comes with PyTorch's wheel and lists, for each operation, module and optimiser, sample
inputs and bad inputs. Each that has a counterpart here runs on both sides:

    python -m tests.conformance                    everything, with a table at the end
    python -m tests.conformance sum dropout nn.    only these, or what has the word in its name
    python -m tests.conformance --fixed            the part that runs in CI, as `test_conformance.py` does
    python -m tests.conformance --list wrong       everything, and each sample of that status
    python -m tests.conformance --write            everything, and `expected.txt` anew for what has run

Each sample ends as

- pass: values, dtypes, shapes, changes in place and gradients agree with PyTorch's float64 result; of bad input:
  an error of ours that names the rule;
- different: deliberately, for a reason that `catalogue.DIFFERENT` states;
- refused: a clear error where PyTorch has a result;
- inexpressible: it needs what we do not have, such as complex numbers or an argument;
- wrong, accident (an error that nobody wrote, such as a ZeroDivisionError), accepted (bad input), crash, hang: defects.

`expected.txt` holds every status but pass, by operation and reason: a line that is not there fails, and so does one
that no longer occurs. So it lists what is not covered, and a defect cannot come or go unnoticed.

The files: `catalogue` maps PyTorch's names to ours, `own` adds samples of what PyTorch's tables leave out, so that each
public module and function of `nn.functional` is covered or named in `catalogue.OTHER`, `values` converts and compares,
`samples` judges one sample, `operations`, `modules` and `optimizers` make the samples, `pool` runs each operation in a
process of its own, `expected` compares with the list, `report` prints.
"""
