"""The experiments by command.

python -m experiments                            what there is: claim, cost, last verdict
python -m experiments run NAME [--fast | --full]
python -m experiments render NAME                notebook and index anew, from the stored results
"""

import argparse

from experiments import lab

README = """# The experiments

Each states a claim from a paper as an inequality that a program can check: derive → implement → visualise → compare →
interpret. The verdict is the program's: *reproduced* if every check holds, *partial* if at least the headline does.
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
only checks what must hold there, too, and writes nothing. How an experiment is made: [`lab.py`](lab.py).
This page is written anew by each full run, and by `python -m experiments render NAME`.
"""


def list_experiments():
    chapter = None
    for title, name, card, result in lab.index():
        if title != chapter:
            print(f"\n{title}")
            chapter = title
        print(f"  {name:<22}{card.seconds:>4} s  {result:<16}{card.claim}")


def index_page():
    """The text of ``experiments/README.md``, from the cards and the stored verdicts."""
    parts, chapter = [README], None
    for title, name, card, result in lab.index():
        if title != chapter:
            parts.append(f"\n## {title}\n\n| | experiment | verdict |\n| :--- | :--- | :--- |\n")
            chapter = title
        path = f"{lab.folder(name).name}/{name}"
        picture = f'<img src="{path}.png" width="220" alt="{card.title}">'
        text = f"**[{card.title}]({path}.ipynb)** ([source]({path}.py))<br>{card.claim}<br>*{card.paper}*"
        parts.append(f"| {picture} | {text} | {result}<br>{card.seconds} s |\n")
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
