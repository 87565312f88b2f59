"""The structure of the package: its layers, its names, and no unused setting in a verb."""

import ast
import collections
import dataclasses
import pathlib

import measure_structure
import pytest

from ast_net import cli, config, fields
from ast_net.records import catalogue

ROOT = pathlib.Path(__file__).parents[1]
MODULES = measure_structure.modules(ROOT)
# A folder imports only from folders that stand before it in this list.
LAYERS = [
    "errors",
    "imports",
    "files",
    "kept",
    "screen",
    "shared_work",
    "jobs",
    "fields",
    "config",
    "flagfiles",
    "cli",
    "workdir",
    "noise",
    "main",
    "devices",
    "shipped",
    "faces",
    "cnn",
    "temporal",
    "demo",
    "datasets",
    "records",
    "reports",
    "training",
    "prediction",
    "serving",
    "page",
    "api",
]


def layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_module_is_in_a_layer_or_a_verb():
    allowed = {*LAYERS, *cli.VERBS, "", "__main__"}
    assert {layer(module) for module in MODULES} <= allowed


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_one_way(module):
    importer = layer(module)
    for other in measure_structure.imports(MODULES[module], MODULES):
        imported = layer(other)
        if imported == "" or imported == importer:
            continue
        assert imported not in cli.VERBS, f"{module} imports a verb, {other}"
        if importer in LAYERS:
            assert LAYERS.index(imported) < LAYERS.index(importer), f"{module} imports {other}"


def test_there_are_no_import_cycles():
    seen: dict[str, list[str]] = {}

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " -> ".join([*path, module])
        if module not in seen:
            seen[module] = sorted(measure_structure.imports(MODULES[module], MODULES))
            for other in seen[module]:
                if other != module and other.count("."):
                    visit(other, (*path, module))

    for module in MODULES:
        visit(module, ())


def test_no_two_modules_share_a_name():
    names = collections.Counter(name.rpartition(".")[2] for name in MODULES)
    folders = {path.parent.name for path in MODULES.values()}
    assert [name for name, count in names.items() if count > 1] == []
    assert not {name for name, path in MODULES.items() if path.stem in folders}


def test_no_two_public_classes_share_a_name():
    classes = collections.Counter(
        node.name
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in classes.items() if count > 1] == []


@pytest.mark.parametrize("verb", cli.VERBS)
def test_no_flag_of_a_verb_is_ignored(verb):
    """Each setting is read by a module that the verb loads, other than config and cli."""
    loaded = measure_structure.loaded(f"ast_net.{verb}", MODULES) - {
        "ast_net.config",
        "ast_net.cli",
    }
    read = {
        node.attr
        for module in loaded
        for node in ast.walk(ast.parse(MODULES[module].read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    # These settings are read through other names.
    if "partitions" in read:
        read |= {f"{split}_recordings" for split in config.SPLITS}
    if measure_structure.LOSSES in loaded:
        read |= {field.name for field in dataclasses.fields(config.LossWeights)}
    for group in cli.VERBS[verb].groups:
        for leaf in fields.settings_of(group()):
            assert leaf.field.name in read or leaf.field.metadata["derived"], leaf.name


def test_the_losses_are_at_most_three_imports_from_train():
    chain = measure_structure.import_chain("ast_net.train", measure_structure.LOSSES, MODULES)
    assert len(chain) - 1 <= 3, chain


def test_predict_needs_no_data_set():
    loaded = measure_structure.loaded("ast_net.predict", MODULES)
    assert not {module for module in loaded if layer(module) in ("datasets", "records", "demo")}


def test_the_flag_and_the_catalogue_list_the_same_data_sets():
    assert list(catalogue.DATA_SETS) == list(config.DATASETS)
