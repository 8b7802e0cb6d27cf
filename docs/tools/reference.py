"""Every public name as Markdown, from signatures and docstrings: a page a family of kernels, a page a part of `nn`."""

import importlib
import inspect
import re
import textwrap

SECTIONS = ("Parameters", "Returns", "Raises", "Notes", "Attributes", "Yields", "See Also", "Reference", "References")
LISTS = ("Parameters", "Returns", "Raises", "Attributes", "Yields")
EXAMPLES = ("Example", "Examples")

# Pages of `nn`: title -> what it has, as modules whose public names are listed.
PARTS = {
    "layers": ("Layers", "nn"),
    "functional": ("Functional", "nn.functional"),
    "operations": ("Operations", "nn.operations"),
    "optim": ("Optimisers", "nn.optim"),
    "lr_scheduler": ("Schedulers", "nn.optim.lr_scheduler"),
    "init": ("Initialisation", "nn.init"),
    "autograd": ("Gradients", "nn.autograd"),
    "data": ("Data", "nn.utils.data"),
    "datasets": ("Datasets", "nn.data"),
    "training": ("Training", "nn.training"),
    "checkpoint": ("Checkpoints", "nn.checkpoint"),
    "models": ("Models", "nn.models"),
    "observation": ("Observation", "nn.observation"),
    "plot": ("Plots", "nn.plot"),
    "distributions": ("Distributions", "nn.distributions"),
    "linalg": ("Linear algebra", "nn.linalg"),
    "distributed": ("Several processes", "nn.distributed"),
}


def pages() -> dict[str, str]:
    """Path below ``reference/`` -> Markdown."""
    found = {f"kernels/{family}.md": page for family, page in kernel_pages().items()}
    for name, (title, module) in PARTS.items():
        found[f"nn/{name}.md"] = module_page(title, module, layers=name == "layers")
    found["nn/tensor.md"] = tensor_page()
    index = ["# Reference", "Every public name, from the code's own docstrings.", "## `kernels`"]
    index.append("\n".join(f"- [{page.title_of(text)}]({path})" for path, text in found.items() if path[0] == "k"))
    index.append("## `nn`\n\n" + "\n".join(f"- [{page.title_of(t)}]({p})" for p, t in found.items() if p[0] == "n"))
    return {"index.md": "\n\n".join(index) + "\n"} | found


def page(title: str, introduction: str, entries: list[str]) -> str:
    return "\n\n".join([f"# {title}", *filter(None, [introduction]), *entries]) + "\n"


page.title_of = lambda text: text.split("\n", 1)[0].removeprefix("# ")


def kernel_pages() -> dict[str, str]:
    """A page for each family of kernels: its module's text, then its public functions."""
    kernels = importlib.import_module("kernels")
    families = {}
    for name in kernels.__all__:
        function = getattr(kernels, name)
        family = function.__module__.split(".")[1].strip("_")
        families.setdefault(
            {"threads": "process", "denormal": "process", "limits": "process"}.get(family, family), []
        ).append((name, function))
    found = {}
    for family, members in sorted(families.items()):
        if family == "process":
            title, text = "Threads and configuration", ""
        else:
            module = importlib.import_module(f"kernels.{family}")
            title, text = f"kernels.{family}", body(inspect.getdoc(module) or "")
        found[family] = page(title, text, [entry(name, function) for name, function in members])
    return found


def public(module) -> list[str]:
    """What a module offers: its `__all__`, or the functions and classes that it defines."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    here = module.__name__
    names = [n for n, v in vars(module).items() if not n.startswith("_") and callable(v)]
    return [n for n in names if (getattr(vars(module)[n], "__module__", "") or "").startswith(here)]


def module_page(title: str, name: str, layers: bool) -> str:
    module = importlib.import_module(name)
    base = importlib.import_module("nn").Module
    members = [(n, getattr(module, n)) for n in public(module)]
    members = [(n, m) for n, m in members if inspect.isclass(m) or inspect.isroutine(m)]
    if layers:
        members = [(n, m) for n, m in members if inspect.isclass(m) and issubclass(m, base)]
    introduction = "" if layers else body(inspect.getdoc(module) or "")
    return page(title, introduction, [entry(n, m) for n, m in sorted(members, key=lambda pair: pair[0].lower())])


def tensor_page() -> str:
    """Methods and properties of Tensor in one table: their operations have entries of their own."""
    tensor = importlib.import_module("nn").Tensor
    rows = []
    for name in sorted(n for n in dir(tensor) if not n.startswith("_")):
        text = inspect.getdoc(getattr(tensor, name)) or ""
        first = text.split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        rows.append(f"| `{name}` | {prose(first)} |")
    table = "\n".join(["| name | |", "| :--- | :--- |", *rows])
    return page("Tensor", body(inspect.getdoc(tensor) or ""), [f"## Methods and attributes\n\n{table}"])


def entry(name: str, member) -> str:
    """A heading, the signature, and the docstring."""
    try:
        signature = str(inspect.signature(member))
    except (TypeError, ValueError):
        signature = "(…)"
    text = inspect.getdoc(member) or ""
    return f"## {name}\n\n```python\n{wrapped(name + signature)}\n```\n\n{body(text, level=3)}"


def wrapped(signature: str) -> str:
    """A long signature, a parameter a line."""
    signature = re.sub(r"<(?:function|class) '?([\w.]+)[^>]*>", r"\1", signature)
    if len(signature) <= 90:
        return signature
    name, _, inside = signature.partition("(")
    parts, depth, current = [], 0, ""
    for character in inside[: inside.rindex(")")]:
        depth += (character in "([{") - (character in ")]}")
        if character == "," and depth == 0:
            parts.append(current.strip())
            current = ""
        else:
            current += character
    return f"{name}(\n" + "".join(f"    {part},\n" for part in [*parts, current.strip()]) + ")"


def body(docstring: str, level: int = 2) -> str:
    """A NumPy docstring as Markdown."""
    pieces = re.split(r"^(\w[\w ]*)\n-{3,}[ ]*$", docstring, flags=re.MULTILINE)
    parts = [prose(pieces[0])]
    for title, text in zip(pieces[1::2], pieces[2::2], strict=True):
        text = text.strip("\n")
        if title in EXAMPLES:
            content = examples(text)
        elif title in LISTS:
            content = listed(text)
        else:
            content = prose(text)
        parts.append(f"**{title}**\n\n{content}")
    return "\n\n".join(part for part in parts if part.strip())


def examples(text: str) -> str:
    """Doctests in fences, the text between them as prose."""
    parts = []
    for paragraph in re.split(r"\n\s*\n", text):
        clean = textwrap.dedent(paragraph)
        parts.append(f"```pycon\n{clean}\n```" if clean.startswith(">>>") else prose(clean))
    return "\n\n".join(parts)


def listed(text: str) -> str:
    """Entries ``name : type`` and what is indented below them; further paragraphs as prose."""
    lines, entries = textwrap.dedent(text).split("\n"), []
    for line in lines:
        if line and not line[0].isspace():
            entries.append([line, []])
        elif entries:
            entries[-1][1].append(line)
    found = []
    for head, below in entries:
        name, colon, kind = head.partition(" : ")
        explained = prose(textwrap.dedent("\n".join(below)).strip("\n"))
        title = f"`{name}`" + (f" : {prose(kind)}" if colon else "")
        if not (below or colon) and re.search(r"\s\w+\s", head):  # a sentence, not an entry
            found.append(prose(head))
        else:
            found.append(f"- {title}" + (f"\n\n{textwrap.indent(explained, '    ')}" if explained else ""))
    return "\n\n".join(found)


def prose(text: str) -> str:
    """reStructuredText of the kinds that the docstrings use, as Markdown."""
    lines, out, i = text.split("\n"), [], 0
    while i < len(lines):
        line = lines[i]
        if line.lstrip().startswith(".. math::"):
            indent = len(line) - len(line.lstrip())
            formula = [line.strip().removeprefix(".. math::").strip()]
            i += 1
            while i < len(lines) and (not lines[i].strip() or len(lines[i]) - len(lines[i].lstrip()) > indent):
                if not lines[i].strip() and (
                    i + 1 == len(lines) or len(lines[i + 1]) - len(lines[i + 1].lstrip()) <= indent
                ):
                    break
                formula.append(lines[i].strip())
                i += 1
            out += ["", "$$", *filter(None, formula), "$$", ""]
            continue
        reference = re.match(r"\s*\.\. \[(\d+)\] (.*)", line)
        if reference:
            out += ["", f"\\[{reference[1]}\\] {inline(reference[2])}"]
        elif line.startswith("    ") and (not out or not out[-1].strip() or out[-1].startswith("    ")):
            out.append(line)  # a picture or code: Markdown's own form of it
        else:
            out.append(inline(line.lstrip() if out and out[-1].startswith("\\[") else line))
        i += 1
    return "\n".join(out).strip("\n")


def inline(line: str) -> str:
    """Code in one kind of marks, references without underscores, nothing that Markdown would take for emphasis."""
    line = re.sub(r"``([^`]+)``", r"`\1`", line)
    line = re.sub(r":\w+:`([^`]+)`", r"`\1`", line)
    line = re.sub(r"\[(\d+)\]_", r"\\[\1\\]", line)
    line = re.sub(r"::$", ":", line)
    outside = re.split(r"(`[^`]*`)", line)
    return "".join(part if part.startswith("`") else re.sub(r"(?<=\S)([*_])(?=\S)", r"\\\1", part) for part in outside)
