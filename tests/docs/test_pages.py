"""Links of pages lead somewhere, every page is reached, and paths that a text names exist."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
PAGES += sorted((ROOT / "docs").glob("*.md"))
CODE = [
    path
    for folder in ("net", "runtime", "drivers", "services", "tools", "tests")
    for path in sorted((ROOT / folder).rglob("*.py"))
]

LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
NAMED = re.compile(
    r"(?<![\w./-])((?:net|runtime|drivers|port|services|tools|tests|docs)"
    r"(?:/[\w-]+)+\.(?:py|md|c|h|S|txt|zone|ini))\b"
)


def links(page):
    return [page.parent / target for target in LINK.findall(page.read_text())]


def names(text):
    return [name for name in NAMED.findall(text) if not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page):
    assert [str(target) for target in links(page) if not target.exists()] == []
    assert names(page.read_text()) == []


def test_every_page_is_reached_from_the_readme():
    reached, found = {ROOT / "README.md"}, [ROOT / "README.md"]
    while found:
        for target in links(found.pop()):
            target = target.resolve()
            if target.suffix == ".md" and target not in reached:
                reached.add(target)
                found.append(target)
    assert sorted(set(PAGES) - reached) == []


def test_neighbours_that_a_module_names_exist():
    wrong = {}
    for path in CODE:
        missing = names(ast.get_docstring(ast.parse(path.read_text())) or "")
        if missing:
            wrong[path.relative_to(ROOT).as_posix()] = missing
    assert wrong == {}
