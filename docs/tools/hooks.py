"""What mkdocs asks while it builds the site: pages made of the code and of stored results, and links between them."""

import base64
import json
import posixpath
import re
import sys
from pathlib import Path

from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]  # `kernels` and `nn` of this checkout, the modules beside this

import ladders  # noqa: E402
import reference  # noqa: E402

# Documents of the repository that are pages of the site, too: path in the repository -> address.
DOCUMENTS = {
    "benchmarks/RESULTS.md": "results.md",
    "experiments/README.md": "experiments/index.md",
    "experiments/VERDICTS.md": "experiments/verdicts.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}
PICTURES = (".png", ".svg", ".jpg")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")


class Site:
    """Where each of the pages that are being built comes from, and the files that they need."""

    def __init__(self):
        self.origins = {}  # address of a page -> path in the repository
        self.needed = {}  # address of a picture -> path in the repository
        self.made = set()  # addresses of pictures out of notebooks


site = Site()


def on_config(config):
    """Puts the pages of the reference into the navigation."""
    parts = {"kernels": [], "nn": []}
    for path, text in reference.pages().items():
        if "/" in path:
            title = reference.page.title_of(text).removeprefix("kernels.")
            parts[path.partition("/")[0]].append({title: f"reference/{path}"})
    section = ["reference/index.md", *({name: pages} for name, pages in parts.items())]
    config.nav = [{"Reference": section} if "Reference" in part else part for part in config.nav]
    return config


def on_files(files, config):
    """Adds the pages that are no files in ``docs``, and the pictures of all pages."""
    site.__init__()
    made = dict(DOCUMENTS)
    notebooks = {path.relative_to(ROOT).as_posix() for path in (ROOT / "experiments").glob("*/*.ipynb")}
    made |= {path: path.removesuffix(".ipynb") + ".md" for path in sorted(notebooks)}
    for path, address in made.items():
        site.origins[address] = path
    for file in files.documentation_pages():
        site.origins[file.src_uri] = f"docs/{file.src_uri}"
    for path, address in made.items():
        text = notebook(path, files, config) if path in notebooks else (ROOT / path).read_text(encoding="utf-8")
        files.append(File.generated(config, address, content=linked(text, address)))
    for name, text in reference.pages().items():
        files.append(File.generated(config, f"reference/{name}", content=text))
    for file in list(files.documentation_pages()):  # the pictures that hand-written pages link to
        if site.origins.get(file.src_uri, "").startswith("docs/"):
            linked(file.content_string, file.src_uri)
    for address, path in site.needed.items():
        files.append(File.generated(config, address, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown, page, **_):
    """Fills in the ladders and stored results; lets links to the repository's files lead to their pages."""
    markdown = re.sub(r"<!-- rungs:(\w+) -->", lambda found: ladders.markdown(found[1]), markdown)
    markdown = re.sub(r"<!-- results:(\w+):([\w,]+) -->", lambda found: results(*found.groups()), markdown)
    address = page.file.src_uri
    return linked(markdown, address) if site.origins.get(address, "").startswith("docs/") else markdown


def results(name: str, keys: str) -> str:
    """Stored results of an experiment's first seed, for the scripts of a page."""
    path = next((ROOT / "experiments").glob(f"*/{name}.json"))
    first = json.loads(path.read_text(encoding="utf-8"))["results"][0]
    chosen = json.dumps({key: first[key] for key in keys.split(",")})
    return f'<script type="application/json" id="results-{name}">{chosen}</script>'


def linked(markdown: str, address: str) -> str:
    """The text of a page with links as they are in the site. What is no page there is named without a link."""
    inside = re.split(r"(^```.*?^```|`[^`\n]*`)", markdown, flags=re.MULTILINE | re.DOTALL)
    plain = [
        part if i % 2 else re.sub(r'(<img src=")([^"]+)(")', _image(address), part) for i, part in enumerate(inside)
    ]
    text = "".join(plain)
    return LINK.sub(lambda found: _link(found, address), text)


def _image(address):
    return lambda found: found[1] + (_target(found[2], address, html=True) or found[2]) + found[3]


def _link(found, address):
    mark, label, target = found.groups()
    if re.match(r"\w+:|#|data:", target):
        return found[0]
    place = _target(target, address)
    if place is None:
        return label
    return f"{mark}[{label}]({place})"


def _target(target: str, address: str, html: bool = False) -> str | None:
    """The address of a link's target relative to a page, None if it is not in the site."""
    path, _, anchor = target.partition("#")
    if posixpath.join(posixpath.dirname(address), path) in site.made:
        return path
    origin = site.origins.get(address, f"docs/{address}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), path))
    addresses = {source: place for place, source in site.origins.items()}
    if path in addresses:
        place = addresses[path]
    elif path == "README.md":
        place = "index.md"
    elif path.startswith("docs/"):
        place = path.removeprefix("docs/")
    elif path.endswith(PICTURES):
        place = f"files/{path}"
        site.needed[place] = path
    else:
        return None
    folder = posixpath.dirname(address)
    if html:  # mkdocs rewrites Markdown's links, not those of HTML: this one is from the page's own folder
        folder = address.removesuffix(".md").removesuffix("/index").removesuffix("index")
    relative = posixpath.relpath(place, folder or ".")
    return f"{relative}#{anchor}" if anchor else relative


def notebook(path: str, files, config) -> str:
    """A stored notebook as Markdown: its text, its code, and the outputs that it was stored with."""
    parts, count = [], 0
    for cell in json.loads((ROOT / path).read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"]).strip()
        if cell["cell_type"] == "markdown":
            parts.append(text)
            continue
        if text:
            code = f"```python\n{text}\n```"
            folded = cell["metadata"].get("jupyter", {}).get("source_hidden")
            parts.append(f"<details><summary>Code</summary>\n\n{code}\n\n</details>" if folded else code)
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/png" in data:
                count += 1
                address = f"{path.removesuffix('.ipynb')}_{count}.png"
                content = base64.b64decode("".join(data["image/png"]))
                files.append(File.generated(config, address, content=content))
                site.made.add(address)
                parts.append(f"![Output {count}]({posixpath.basename(address)}){{ .output }}")
            elif "text/markdown" in data:
                parts.append("".join(data["text/markdown"]))
            else:
                printed = "".join(output.get("text", data.get("text/plain", []))).rstrip()
                if printed:
                    parts.append(f"```text\n{printed}\n```")
    text = "\n\n".join(parts) + "\n"
    return text.replace("<details>", '<details markdown="1">')  # else what is folded stays raw
