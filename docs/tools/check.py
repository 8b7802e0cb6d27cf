"""Checks a built site, and takes pictures of it: ``python docs/tools/check.py build/site [--screenshots FOLDER]``.

Links: every link leads to a page and an anchor that exist, every picture, script and style sheet is there, and nothing
is loaded from elsewhere. Screenshots: a page of each kind in headless Chromium, wide and narrow, light and dark;
formulas that could not be set and errors on the console are reported. The exit code is 1 if anything was found.
"""

import argparse
import functools
import http.server
import re
import shutil
import subprocess
import sys
import threading
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag

LOADED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src"}
KINDS = (
    "",
    "learn/matmul/",
    "learn/attention/",
    "learn/convolution/",
    "results/",
    "reference/kernels/gemm/",
    "reference/nn/layers/",
    "experiments/",
    "experiments/optimisation/edge_of_stability/",
    "experiments/verdicts/",
    "sliders/",
    "glossary/",
    "jitted/",
)
SIZES = {"wide": (1280, 1600), "narrow": (400, 1600)}


class Page(HTMLParser):
    """What a page refers to, and the anchors that it has."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in LOADED and found.get(LOADED[tag]) and found.get("rel") != "canonical":
            self.loads.append(found[LOADED[tag]])


def wrong_links(site: Path) -> list[str]:
    """What is broken, a line each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in sorted(site.rglob("*.html"))}
    found = []
    for path, page in pages.items():
        place = path.relative_to(site)
        for target in page.loads:
            if re.match(r"\w+:|//", target) and not target.startswith("data:"):
                found.append(f"{place}: loads {target} from elsewhere")
            elif not target.startswith("data:") and not local(path, target, site).exists():
                found.append(f"{place}: {target} is missing")
        for target in page.links:
            if re.match(r"\w+:|//", target):
                continue
            address, anchor = urldefrag(target)
            file = local(path, address, site) if address else path
            if file.is_dir():
                file /= "index.html"
            if not file.exists():
                found.append(f"{place}: the link {target} leads nowhere")
            elif anchor and file in pages and unquote(anchor) not in pages[file].anchors | {"__comments"}:
                found.append(f"{place}: {target} has no such anchor")
    return found


def local(page: Path, target: str, site: Path) -> Path:
    """The file that an address on a page means."""
    address = unquote(urldefrag(target)[0].partition("?")[0])
    return site / address.lstrip("/") if address.startswith("/") else page.parent / address


def screenshots(site: Path, folder: Path) -> list[str]:
    """A picture of a page of each kind, size and scheme; what Chromium reported, a line each."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        return ["no Chromium is installed"]
    folder.mkdir(parents=True, exist_ok=True)
    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found = []
    try:
        for kind in KINDS:
            address = f"http://127.0.0.1:{server.server_port}/{kind}"
            common = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
            common += ["--virtual-time-budget=15000", "--enable-logging=stderr"]
            for size, (width, height) in SIZES.items():
                for scheme in ("light", "dark"):
                    name = f"{(kind.strip('/') or 'home').replace('/', '-')}-{size}-{scheme}.png"
                    dark = ["--blink-settings=preferredColorScheme=0"] if scheme == "dark" else []
                    shot = [f"--window-size={width},{height}", f"--screenshot={folder / name}", *dark, address]
                    run = subprocess.run([*common, *shot], capture_output=True, text=True, timeout=120)
                    errors = re.findall(r"CONSOLE[^\n]*", run.stderr)
                    found += [f"{name}: {each}" for each in errors if "error" in each.lower()]
            run = subprocess.run([*common, "--dump-dom", address], capture_output=True, text=True, timeout=120)
            if "merror" in re.sub(r"<(style|script).*?</\1>", "", run.stdout, flags=re.DOTALL):
                found.append(f"{kind}: a formula could not be set")
            if 'class="arithmatex"' in run.stdout and "<mjx-container" not in run.stdout:
                found.append(f"{kind}: formulas were not set")
    finally:
        server.shutdown()
    return found


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that does not log."""

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser("python docs/tools/check.py", description=__doc__)
    parser.add_argument("site", type=Path)
    parser.add_argument("--screenshots", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    found = wrong_links(options.site)
    if options.screenshots:
        found += screenshots(options.site, options.screenshots)
    print("\n".join(found) or "nothing is broken")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
