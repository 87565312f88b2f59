"""Measures how large the package is, and how many imports lie between a command and the losses.

    tools/run tools/measure_structure.py [CHECKOUT ...]

Prints a column for each checkout of the project: the number of modules, the lines of code (without
comments, docstrings and blank lines), how many of the package's modules each command loads, and the
shortest chain of imports from the command `train` to the losses.
"""

import ast
import io
import pathlib
import sys
import tokenize

COMMANDS = ("prepare", "train", "evaluate", "predict", "export", "finetune")
LOSSES = "ast_net.temporal.losses"


def modules(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the modules of the package by their dotted names."""
    result = {}
    for path in sorted((root / "ast_net").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        result[".".join(parts).removesuffix(".__init__")] = path
    return result


def imports(path: pathlib.Path, package: dict[str, pathlib.Path], nested: bool = True) -> set[str]:
    """Returns the modules of the package that a module imports.

    Args:
      path: the module's file.
      package: all modules of the package.
      nested: whether imports inside functions count.
    """
    tree = ast.parse(path.read_text())
    nodes = ast.walk(tree) if nested else iter(tree.body)
    result: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            result |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
        elif isinstance(node, ast.Import):
            result |= {alias.name for alias in node.names}
    return result & package.keys()


def code_lines(path: pathlib.Path) -> int:
    """Counts a module's lines of code, without comments, docstrings and blank lines."""
    text = path.read_text()
    lines: set[int] = set()
    skipped = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skipped and token.type != tokenize.ENDMARKER:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            docstring = isinstance(node.value.value, str)
            lines -= set(range(node.lineno, (node.end_lineno or 0) + 1)) if docstring else set()
    return len(lines)


def loaded(start: str, package: dict[str, pathlib.Path]) -> set[str]:
    """Returns the modules of the package that a module loads, including itself."""
    result, queue = set(), [start]
    while queue:
        name = queue.pop()
        if name not in result:
            result.add(name)
            queue += imports(package[name], package)
    return result


def import_chain(start: str, end: str, package: dict[str, pathlib.Path]) -> list[str]:
    """Returns the shortest chain of imports from one module to another."""
    # Breadth first, so that the first chain to reach a module is the shortest.
    chains = {start: [start]}
    queue = [start]
    for name in queue:
        for other in sorted(imports(package[name], package) - chains.keys()):
            chains[other] = [*chains[name], other]
            queue.append(other)
    return chains[end]


def measure(root: pathlib.Path) -> dict[str, str]:
    """Returns a checkout's figures by their names."""
    package = modules(root)
    code = {name: code_lines(path) for name, path in package.items()}
    longest = max(code, key=lambda name: code[name])
    lines = sum(len(path.read_text().splitlines()) for path in package.values())
    result = {
        "modules": str(len(package)),
        "lines": f"{lines:,}",
        "lines of code": f"{sum(code.values()):,}",
        "longest module": f"{longest.removeprefix('ast_net.')} ({code[longest]})",
        "modules over 200 lines of code": str(sum(count > 200 for count in code.values())),
    }
    for command in COMMANDS:
        result[f"modules that {command} loads"] = str(len(loaded(f"ast_net.{command}", package)))
    chain = import_chain("ast_net.train", LOSSES, package)
    result["imports from train to the losses"] = str(len(chain) - 1)
    result["these modules"] = " ".join(name.rpartition(".")[2] for name in chain)
    return result


def main() -> None:
    """Prints the table."""
    roots = [pathlib.Path(argument) for argument in sys.argv[1:]] or [pathlib.Path(".")]
    columns = [measure(root) for root in roots]
    for name in columns[0]:
        print(f"{name:<34}" + "".join(f"{column[name]:>38}" for column in columns))


if __name__ == "__main__":
    main()
