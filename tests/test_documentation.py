"""README.md, the guides, the notes and the model card: commands, links and length."""

import pathlib
import re
import shlex

import documented_commands
import pytest

from ast_net import cli, errors

ROOT = documented_commands.ROOT
TEXTS = (
    *documented_commands.PAGES,
    ROOT / "WORKSPACE_NOTES.md",
    ROOT / "ast_net/shipped/MODEL_CARD.md",
)
COMMANDS = {
    f"{page.name}: {command}": command
    for page in documented_commands.PAGES
    for command in documented_commands.commands(page)
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_commands_are_understood(command, monkeypatch):
    """Flags exist and have values that are allowed; tools and flagfiles are there."""
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    for word in words:
        if word.startswith(("tools/", "tests/")):
            assert (ROOT / word).is_file(), word
    module = words[2] if words[:2] == ["tools/run", "-m"] else ""
    if module.startswith("ast_net."):
        verb = module.removeprefix("ast_net.")
        arguments = cli.parse(verb, [word for word in words[3:] if word != "..."])
        for group in cli.VERBS[verb].groups:
            arguments.read(group)


def test_a_wrong_command_is_noticed(monkeypatch):
    with pytest.raises(errors.InputError, match="epoch_count"):
        test_commands_are_understood("tools/run -m ast_net.train --epoch_count=3", monkeypatch)


def test_commands_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    command = "    tools/run -m a --b=1 \\\n        --c   # why\n"
    page.write_text(f"Say `pip install x`:\n\n{command}    out/table.csv\n")
    assert documented_commands.commands(page) == ["tools/run -m a --b=1 --c"]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_lines_are_at_most_100_characters(page):
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line) > 100] == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 250


def _anchors(page: pathlib.Path) -> set[str]:
    """The anchors that a page's headings have on the usual hosts."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
