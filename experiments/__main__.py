"""The experiments by command.

python -m experiments                            what there is: claim, cost, last verdict
python -m experiments run NAME [--fast | --full]
python -m experiments render NAME                notebook and index anew, from the stored results
"""

import argparse

try:
    from experiments import lab
except ImportError as error:
    raise SystemExit(f"{error}: the experiments need pip install -e '.[experiments]'") from None

README = """# The experiments

Each states a claim from a paper as an inequality that a program can check: derive → implement → visualise → compare →
interpret. The verdict is the program's: *reproduced* if every check of the paper's claim holds, *partial* if at least
the first does. Checks of our own, the *extras*, are counted beside it. [All checks with their values](VERDICTS.md).
The notebooks open in Jupyter as they are, in a copy of the repository (`pip install -e '.[experiments]'` there); their
pictures come from the results beside them. This folder is not installed with `kernels` and `nn`: it lies in the
repository, where the first cell of each notebook finds it. Running an experiment anew compares it with PyTorch, too,
where `torch` is installed.

```sh
python -m experiments                          # this list
python -m experiments run edge_of_stability --full
python -m experiments run edge_of_stability --fast
```

`--full` runs the seeds side by side, writes the results, and executes the notebook; `--fast` is a small instance that
only checks what must hold there, too, and writes nothing. Each notebook ends in three exercises:
`lab.grade("superposition", 1, 0.18)` says whether an answer is right. How an experiment is made: [`lab.py`](lab.py).
This page is written anew by each full run, and by `python -m experiments render NAME`.
"""


VERDICTS = """# All verdicts

The checks of each experiment, in full mode: those of the paper's *claim*, which give the verdict, and *extras* of ours.
The interval is the 95 % t-interval of a mean over seeds. *Bound set*: "before any run", by the paper, by theory or in a
commit; "after pilot seeds", which the full run does not use; "after the results" of the full run were seen.
"""


def seconds(card, study):
    """How long full mode takes: measured, or as the card supposes."""
    return f"{study.seconds:.0f} s" if study else f"about {card.seconds} s"


def list_experiments():
    chapter = None
    for title, name, card, study in lab.index():
        if title != chapter:
            print(f"\n{title}")
            chapter = title
        print(f"  {name:<22}{study.summary if study else 'not run':<60}{seconds(card, study):>12}  {card.claim}")


def index_page():
    """The text of ``experiments/README.md``, from the cards and the stored verdicts."""
    parts, chapter = [README], None
    for title, name, card, study in lab.index():
        if title != chapter:
            parts.append(f"\n## {title}\n\n| | experiment | verdict |\n| :--- | :--- | :--- |\n")
            chapter = title
        path = f"{lab.folder(name).name}/{name}"
        picture = f'<img src="{path}.png" width="220" alt="{card.title}">'
        text = f"**[{card.title}]({path}.ipynb)** ([source]({path}.py))<br>{card.claim}<br>*{card.paper}*"
        parts.append(f"| {picture} | {text} | {study.summary if study else 'not run'}<br>{seconds(card, study)} |\n")
    return "".join(parts)


def verdicts_page():
    """The text of ``experiments/VERDICTS.md``: every check of every experiment."""
    parts, chapter = [VERDICTS], None
    for title, name, card, study in lab.index():
        if title != chapter:
            parts.append(f"\n## {title}\n")
            chapter = title
        parts.append(f"\n### [{card.title}]({lab.folder(name).name}/{name}.ipynb)\n\n")
        parts.append(f"{study.table()}\n" if study else "Not run.\n")
    return "".join(parts)


def run(name, mode):
    """Run all seeds, print the verdict; in full mode keep the results and render the notebook."""
    study = lab.study(name, mode)
    print(study.table())
    if mode == "full":
        study.save()
        render(name)


def render(name):
    lab.render(name)
    (lab.ROOT / "README.md").write_text(index_page(), encoding="utf-8")
    (lab.ROOT / "VERDICTS.md").write_text(verdicts_page(), encoding="utf-8")
    print(f"{lab.file(name, '.ipynb').relative_to(lab.ROOT.parent)}")


def main():
    parser = argparse.ArgumentParser(prog="python -m experiments", description="Controlled experiments on learning.")
    commands = parser.add_subparsers(dest="command", metavar="{run,render}")
    running = commands.add_parser("run", help="run an experiment")
    running.add_argument("name", choices=lab.names(), metavar="NAME")
    mode = running.add_mutually_exclusive_group()
    mode.add_argument("--fast", dest="mode", action="store_const", const="fast", default="fast", help="(the default)")
    mode.add_argument("--full", dest="mode", action="store_const", const="full", help="as the paper's claim asks")
    rendering = commands.add_parser("render", help="notebook and index anew, from the stored results")
    rendering.add_argument("name", choices=lab.names(), metavar="NAME")
    options = parser.parse_args()
    if options.command == "run":
        run(options.name, options.mode)
    elif options.command == "render":
        render(options.name)
    else:
        list_experiments()


if __name__ == "__main__":
    main()
