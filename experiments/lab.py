"""What all experiments share: their form, the runner of their seeds, the verdict, the notebook.

An experiment is a module ``experiments/<chapter>/<name>.py``, written as a notebook (jupytext's ``py:percent``), with

- ``CARD``: a `Card`, what is claimed, by whom, and what it costs;
- ``FULL`` and ``FAST``: the configurations, plain dicts; ``"seeds"`` says how many seeds are run;
- ``run(config, seed)``: one seed; returns a dict of numbers, strings, lists and arrays;
- ``check(results, mode)``: the list of checks (`check`, `paired`) that the results of all seeds, in order, must pass;
  the first is the headline. In the mode "fast" only what must hold there, too;
- ``EXERCISES``: three questions (`Exercise`) whose answers are computed by functions named ``answer_…``;
- ``compare(config, seed)``: the same steps in PyTorch, as `experiments.side_by_side.compare` returns them;
- ``draw_<picture>(results)``: a figure each; the first one also stands in the index.

Beside it lie its results in full mode (``<name>.json``), its executed notebook (``<name>.ipynb``) and its first picture
(``<name>.png``). The results carry a digest of the code that made them, the notebook one of the whole file: a stale one
fails a test. They also carry the losses of the steps that fast mode compares with PyTorch, which a test repeats: so a
change in `nn` or `kernels` that changes what is learned is seen.

    python -m experiments run edge_of_stability --full

This package is not installed with the others: it lies in the repository. The notebooks find it by their first cell
(`SETUP`).

Seeds run side by side in processes, through joblib; on a cluster it is the same call in another context, for instance
``with joblib.parallel_config(backend="dask"): lab.study("superposition", "full")`` with a `dask.distributed.Client`, or
``backend="ray"`` after ``ray.util.joblib.register_ray()``. The workers must be able to import this package.
"""

import ast
import hashlib
import importlib
import inspect
import json
import os
import platform
import re
import sys
import tokenize
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from io import BytesIO, StringIO
from pathlib import Path
from time import perf_counter

import numpy as np

from experiments import exercises as _exercises
from experiments import verdicts
from experiments.exercises import Exercise as Exercise
from experiments.verdicts import check as check
from experiments.verdicts import paired as paired

ROOT = Path(__file__).parent
CHAPTERS = {  # folder -> title, in the order of reading
    "foundations": "Foundations",
    "backprop": "Backpropagation",
    "depth": "Initialisation, normalisation, depth",
    "optimisation": "Optimisation",
    "architecture": "Architecture",
    "generalisation": "Generalisation",
    "representation": "Representation",
    "self_improving": "Learning with knowledge",
}
ORDER = ["tensors", "perceptron", "activation_functions", "mlp_from_scratch", "neural_network", "gradient_check"]
MODE = "INNERLOOP_EXPERIMENT_MODE"  # environment: "fast" makes an opened notebook run in seconds, from scratch
SETUP = """\
# Set-up: finds `experiments` in the repository around this notebook. Libraries: pip install '.[experiments]' there.
# On Colab, copy the repository first, install it, and change into the notebook's folder (%cd).
import sys
from pathlib import Path

above = [folder for folder in [Path.cwd(), *Path.cwd().parents] if (folder / "experiments" / "lab.py").exists()]
assert above, f"the repository with the folder experiments is not around {Path.cwd()}"
sys.path.append(str(above[0]))"""
SEED = 20261123  # the root of all seeds: `streams`


@dataclass(frozen=True)
class Card:
    """What an experiment is about, for the index.

    Parameters
    ----------
    title : str
    claim : str
        The headline as one inequality, in words and numbers.
    paper : str
        Authors, year, title.
    grade : str
        "A": exact or closed form; "B": a robust effect; "C": may weaken at this scale.
    seconds : int
        About how long full mode takes on two cores, until it is measured.
    """

    title: str
    claim: str
    paper: str
    grade: str
    seconds: int


# --- experiments and their files --------------------------------------------------------------------------------------


def names(chapter=None):
    """The experiments' names, of all chapters or of one: those of `ORDER` first, then by the alphabet."""
    if chapter is None:
        return [name for chapter in CHAPTERS for name in names(chapter)]
    found = sorted(path.stem for path in (ROOT / chapter).glob("*.py"))
    return sorted(found, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


def folder(name):
    """The chapter's folder of an experiment."""
    for chapter in CHAPTERS:
        if (ROOT / chapter / f"{name}.py").exists():
            return ROOT / chapter
    raise ValueError(f"experiment: there is none named {name!r}; there are {', '.join(names())}")


def file(name, suffix):
    """The file of an experiment with a suffix: ".py", ".ipynb", ".json" or ".png"."""
    return folder(name) / f"{name}{suffix}"


def load(name):
    """The module of an experiment."""
    return importlib.import_module(f"experiments.{folder(name).name}.{name}")


def file_digest(name):
    """The digest of an experiment's whole source: its notebook must carry it."""
    return hashlib.sha256(file(name, ".py").read_bytes()).hexdigest()[:16]


def code_digest(name):
    """The digest of what an experiment computes: its code without comments, docstrings and what is only shown.

    Card, pictures, checks and exercises do not count: a text or a picture can be improved without training anew, and
    `check` is applied to the stored results again. What it imports from further modules of this package counts, the
    laboratory itself does not. It is taken of the text: the syntax tree differs between versions of Python.
    """
    source = file(name, ".py").read_text(encoding="utf-8")
    imports = [node.module or "" for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    helpers = sorted({module.split(".")[1] for module in imports if module.startswith("experiments.")})
    sources = [source, *((ROOT / f"{helper}.py").read_text(encoding="utf-8") for helper in helpers)]
    return hashlib.sha256("\n".join(map(_computation, sources)).encode()).hexdigest()[:16]


def _computation(source):
    """The code of a module that computes, without white space."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if node in tree.body and _is_presentation(node):
            left_out = node
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            left_out = node.body[0]
        else:
            continue
        lines[left_out.lineno - 1 : left_out.end_lineno] = [""] * (left_out.end_lineno - left_out.lineno + 1)
    return "".join("".join(lines).split())


def _is_presentation(node):
    """Whether a statement only says or shows something: docstring, card, checks, pictures, exercises, cells."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "check" or node.name.startswith(("draw_", "answer_"))
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) in ("CARD", "EXERCISES")
    return isinstance(node, ast.Expr) or (isinstance(node, ast.If) and "__name__" in ast.unparse(node.test))


# --- running ----------------------------------------------------------------------------------------------------------


@dataclass
class Study:
    """The results of all seeds of an experiment in one mode, and what they say."""

    name: str
    mode: str
    config: dict
    results: list
    seconds: float
    pytorch: dict | None = None
    environment: dict | None = None
    replay: list | None = None

    @property
    def checks(self):
        """What `check` of the experiment finds in the results."""
        return load(self.name).check(self.results, self.mode)

    @property
    def summary(self):
        """The verdict in a few words; of fast mode only whether its checks hold."""
        checks = self.checks
        if self.mode == "fast":
            failed = sum(not check.holds for check in checks)
            return f"{failed} of {len(checks)} exact checks fail" if failed else "exact checks hold"
        claim, extras = (verdicts.tally(checks, extra) for extra in (False, True))
        return f"{verdicts.verdict(checks)} (claim: {claim}; extras: {extras})"

    def table(self):
        """The verdict as a table in Markdown."""
        count = f"{len(self.results)} seed{'s' if len(self.results) > 1 else ''}"
        title = "Verdict" if self.mode == "full" else "Fast mode"
        lines = [f"**{title}: {self.summary}**, {count}, {self.seconds:.0f} s", "", *verdicts.table(self.checks)]
        if self.pytorch:
            lines += ["", pytorch_line(self.pytorch, times=self.mode == "full")]
        return "\n".join(lines)

    def save(self):
        """Write the results of full mode beside the experiment."""
        if self.mode != "full":
            raise ValueError(f"save: only full mode is kept, not {self.mode!r}")
        if self.pytorch is None:
            raise ValueError("save: results are kept with those of PyTorch beside them: pip install torch")
        checks = self.checks
        stored = {"digest": code_digest(self.name), "root_seed": SEED, "verdict": verdicts.verdict(checks)}
        stored |= asdict(self)
        stored["checks"] = [{**check._asdict(), "holds": check.holds} for check in checks]
        lines = [f"{json.dumps(key)}: {json.dumps(value, allow_nan=False)}" for key, value in _strict(stored).items()]
        file(self.name, ".json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


def streams(seed):
    """Three independent generators of one seed: (data, initialisation, order).

    All three vary from seed to seed, so that the spread over seeds holds every source of chance. `nn.manual_seed` takes
    an integer: ``nn.manual_seed(int(initialisation.integers(2**32)))``.
    """
    return [np.random.default_rng(child) for child in np.random.SeedSequence((SEED, seed)).spawn(3)]


def configuration(name, mode):
    """``FULL`` or ``FAST`` of an experiment."""
    if mode not in ("fast", "full"):
        raise ValueError(f"mode: must be 'fast' or 'full', not {mode!r}")
    return getattr(load(name), mode.upper())


def study(name, mode=None):
    """Run all seeds of an experiment, in as many processes as joblib's context allows, and PyTorch beside it.

    Parameters
    ----------
    name : str
    mode : {"fast", "full"}, optional
        Without it: what the environment's INNERLOOP_EXPERIMENT_MODE says, or "full"; and the stored results, where they
        are of the present code. This is how the notebook calls it.

    Where PyTorch is not installed, there is no comparison with it.

    Returns
    -------
    Study
    """
    if mode is None:
        mode = os.environ.get(MODE, "full")
        if mode == "full" and is_current(name):
            return stored(name)
    config = configuration(name, mode)
    start = perf_counter()
    results = _run_seeds(name, config)
    seconds = perf_counter() - start
    compared = find_spec("torch") is not None
    pytorch = load(name).compare(config, seed=0) if compared else None
    again = (replay(name) if mode == "full" else pytorch["ours"]) if compared else None
    return Study(name, mode, _plain(config), results, round(seconds, 1), _plain(pytorch), environment(), _plain(again))


def replay(name):
    """Our losses of the steps that fast mode compares with PyTorch: cheap to make again, and to compare."""
    return load(name).compare(configuration(name, "fast"), seed=0)["ours"]


def stored(name):
    """The stored study of full mode.

    Raises
    ------
    FileNotFoundError
        It was never run.
    """
    content = _loose(json.loads(file(name, ".json").read_text(encoding="utf-8")))
    return Study(**{field: content[field] for field in Study.__dataclass_fields__})


def is_current(name):
    """Whether results of the present code, from the present root of all seeds, are stored."""
    path = file(name, ".json")
    if not path.exists():
        return False
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["digest"] == code_digest(name) and content["root_seed"] == SEED


def _run_seeds(name, config):
    from joblib import Parallel, delayed
    from tqdm.auto import tqdm

    class Progress(Parallel):
        def print_progress(self):
            bar.update(self.n_completed_tasks - bar.n)

    seeds = config["seeds"]
    with tqdm(total=seeds, desc=name, unit="seed", leave=False) as bar:
        if seeds == 1:
            return [_run_seed(name, config, 0)]
        return Progress(n_jobs=-1)(delayed(_run_seed)(name, config, seed) for seed in range(seeds))


def _run_seed(name, config, seed):
    return _plain(load(name).run(config, seed))


def _plain(value):
    """Plain JSON values; floats keep 7 digits in arrays, all in scalars."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return [_plain(row) for row in value] if value.ndim > 1 else [float(f"{x:.7g}") for x in value]
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"results: {type(value).__name__} is no number, string, list, dict or array")


NON_FINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}  # JSON has no words for them: strings stand


def _strict(value):
    """A plain value as JSON can hold it."""
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_strict(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def _loose(value):
    """The inverse of `_strict`."""
    if isinstance(value, dict):
        return {key: _loose(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_loose(item) for item in value]
    return NON_FINITE.get(value, value) if isinstance(value, str) else value


def environment():
    """The machine and the versions that results come from."""
    from kernels import machine

    found = {"machine": machine.cpu_name(), "cores": machine.cores(), "python": platform.python_version()}
    for package in ("numpy", "numba", "torch", "scikit-learn"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


# --- showing ----------------------------------------------------------------------------------------------------------


def pytorch_line(pytorch, times=True):
    """One sentence on what `side_by_side.compare` found."""
    line = f"PyTorch from the same weights, on the same batches: losses of {pytorch['steps']} steps equal within "
    line += f"{pytorch['difference']:.1e} (at most {pytorch['tolerance']:g})"
    if times and pytorch.get("ours_seconds"):
        ours, theirs = pytorch["ours_seconds"] * 1e3, pytorch["torch_seconds"] * 1e3
        line += f"; a step takes {ours:.3g} ms, PyTorch's {theirs:.3g} ms"
    return line + "."


# Cells that Jupyter and the site show folded: pictures, configurations, checks, answers.
FOLDED = re.compile(r"^(def (draw_|check\b|answer_)|FULL = |CARD = |EXERCISES = )", re.MULTILINE)


class Page(str):
    """A text in Markdown, for `show`."""


def show(what):
    """Show a figure, a page or a study's verdict in a notebook; elsewhere print it, but for figures."""
    if isinstance(what, Study):
        what = Page(what.table())
    notebook = "IPython" in sys.modules and sys.modules["IPython"].get_ipython() is not None
    if notebook:
        from IPython.display import Image, Markdown, display

        display(Markdown(what) if isinstance(what, Page) else Image(png(what)))
    elif isinstance(what, Page):
        print(what)


def source(function):
    """The source of a function or class of this project, as a page: a jitted one as it is written.

    Its first line, which Markdown hides, names the function; a test compares the notebook's copy with the source.
    """
    function = inspect.unwrap(getattr(function, "py_func", function))
    package = sys.modules[function.__module__.partition(".")[0]]  # of this repository, or installed
    path = Path(inspect.getsourcefile(function)).relative_to(Path(package.__file__).parents[1]).as_posix()
    mark = f"<!-- source of {function.__module__}:{function.__qualname__} -->"
    text = inspect.cleandoc("\n" + inspect.getsource(function))
    return Page(f"{mark}\n[`{path}`](../../{path}):\n\n```python\n{text}\n```")


def exercises(name):
    """The exercises of an experiment as a page, answers folded: from the stored results of full mode."""
    return Page(_exercises.sheet(name, load(name).EXERCISES, stored(name).results))


def grade(name, number, guess):
    """Say whether an answer to an exercise is right, and why.

    Parameters
    ----------
    name : str
        Of the experiment.
    number : int
        Of the exercise, from 1.
    guess : str, int or float
        One of its choices, or a number.

    Returns
    -------
    bool

    Raises
    ------
    IndexError, ValueError, TypeError
        There is no such exercise; the answer is none of the choices; it is not a number.
    """
    all_of_them, results = load(name).EXERCISES, stored(name).results
    if not 1 <= number <= len(all_of_them):
        raise IndexError(f"grade: {name} has exercises 1 to {len(all_of_them)}, not {number}")
    exercise = all_of_them[number - 1]
    right = exercise.is_right(guess, results)
    show(Page(f"Right. {exercise.why}" if right else f"No: {exercise.shown(results)}. {exercise.why}"))
    return right


def fallen(name, change=None, **replacements):
    """The claims of the checks that fail in fast mode after a change: what an exercise breaks.

    Parameters
    ----------
    name : str
    change : dict, optional
        Entries of the configuration ``FAST`` to change.
    **replacements
        Attributes of the module to replace while it runs. What calls the original must hold it, for instance as the
        default of an argument.
    """
    return _exercises.fallen(load(name), configuration(name, "fast") | (change or {}), replacements)


def png(figure, dpi=96):
    """A figure as PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def pictures(name, results):
    """Name -> figure: all pictures of an experiment, in the order of its file."""
    functions = [item for item in vars(load(name)).values() if getattr(item, "__name__", "").startswith("draw_")]
    return {function.__name__.removeprefix("draw_"): function(results) for function in functions}


def render(name):
    """Check the stored results again, execute the notebook and draw the picture of the index.

    Raises
    ------
    ValueError
        The stored results are not of the present code, or the notebook is larger than a megabyte.
    """
    import jupytext
    from nbclient import NotebookClient
    from nbformat.v4 import new_code_cell

    if not is_current(name):
        raise ValueError(f"render: the results of {name} are not of its present code; run it with --full first")
    study = stored(name)
    study.save()
    first = next(iter(pictures(name, study.results).values()))
    file(name, ".png").write_bytes(png(first, dpi=80))

    notebook = jupytext.read(file(name, ".py"), fmt="py:percent")
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
        "innerloop": {"digest": file_digest(name)},
    }
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if FOLDED.search(cell.source):
            cell.metadata["jupyter"] = {"source_hidden": True}
    notebook.cells.insert(1, new_code_cell(SETUP, id="set-up"))
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": folder(name)}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # times of day
    text = jupytext.writes(notebook, fmt="ipynb")
    if len(text) > 1_000_000:
        raise ValueError(
            f"render: {name}.ipynb has {len(text):,} bytes; a megabyte is the most that is shown everywhere"
        )
    file(name, ".ipynb").write_text(text, encoding="utf-8")


def index():
    """The rows of the index: (chapter, name, card, study), with None where no results are stored."""
    return [
        (CHAPTERS[folder(name).name], name, load(name).CARD, stored(name) if file(name, ".json").exists() else None)
        for name in names()
    ]
