"""The pages' links and examples are valid, and the generated pages are up to date."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml

from docs.generate import generated
from hublaunch.api.event_schemas import LaunchEvent, QueuePosition
from hublaunch.settings import HUB_VARIABLES
from tests.docs.pages import DOCS, PAGES, ROOT, Block, anchors, blocks, links

DECISIONS = sorted((DOCS / "decisions").glob("0*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_each_link_of_a_page_leads_somewhere(page: Path) -> None:
    lost = []
    for path, anchor in links(page):
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            lost.append(f"{path}#{anchor}")

    assert not lost


def test_the_index_and_the_menu_of_the_site_lead_to_every_page() -> None:
    there = {page.name for page in DOCS.glob("*.md")} - {"index.md"}
    site = (ROOT / "properdocs.yml").read_text()

    linked = {path for path, _ in links(DOCS / "index.md")}

    assert there <= linked
    assert there <= set(re.findall(r": ([\w-]+\.md)$", site, flags=re.MULTILINE))


def test_decisions_are_numbered_from_1_each_with_a_number_of_its_own_and_listed() -> None:
    listed = (DOCS / "decisions" / "README.md").read_text().splitlines()

    for number, page in enumerate(DECISIONS, start=1):
        title = page.read_text().partition("\n")[0].removeprefix(f"# {number}. ")

        assert page.name.startswith(f"{number:04}-")
        assert not title.startswith("#")
        assert f"| {number} | [{title}]({page.name}) |" in listed
    assert len(listed) == len(DECISIONS) + 6


def test_links_that_name_a_decision_by_number_lead_to_it() -> None:
    said = re.compile(r"\[(?:decision )?(\d+)\]\((?:decisions/)?(\d{4})-")

    wrong = [found[0] for page in PAGES for found in said.finditer(page.read_text()) if int(found[1]) != int(found[2])]

    assert not wrong


@pytest.mark.parametrize("block", [block for page in PAGES for block in blocks(page)], ids=str)
def test_examples_are_valid_in_their_language(block: Block) -> None:
    match block.language:
        case "json":  # one value or, as in a log, one per line
            try:
                json.loads(block.text)
            except ValueError:
                for line in block.text.splitlines():
                    json.loads(line)
        case "yaml":
            yaml.safe_load(block.text)
        case "python":
            compile(block.text, str(block.page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT | ast.PyCF_ONLY_AST)


@pytest.mark.parametrize(("path", "text"), generated().items(), ids=lambda given: getattr(given, "name", ""))
def test_each_generated_page_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text() == text, "run `make docs`"


def test_the_guide_names_every_variable_that_the_hub_gives() -> None:
    told = set(re.findall(r"`(JUPYTERHUB_[A-Z_]+)`", (DOCS / "hub-managed.md").read_text()))

    assert told == set(HUB_VARIABLES.values())


def test_the_page_of_the_api_names_every_method_and_path() -> None:
    told = re.sub(r"`|\{\w+\}", "", (DOCS / "api.md").read_text())
    paths = json.loads((DOCS / "openapi.json").read_text())["paths"]

    asked = {f"{method.upper()} {re.sub(r'{[^}]*}', '', path)}" for path, taken in paths.items() for method in taken}

    assert not {one for one in asked if one not in told}


def test_the_page_of_generated_clients_names_every_function() -> None:
    document = json.loads((DOCS / "openapi.json").read_text())
    page = (DOCS / "generated-clients.md").read_text()
    functions = {operation["operationId"] for methods in document["paths"].values() for operation in methods.values()}

    assert functions <= set(re.findall(r"`(\w+)`", page))


def test_the_page_of_events_names_every_field() -> None:
    told = set(re.findall(r"`(\w+)`", (DOCS / "events.md").read_text()))

    assert {*LaunchEvent.model_fields, *QueuePosition.model_fields} <= told
