"""Measures how large the package is, and how far it is from a verb to the mathematics.

    tools/run tools/measure_structure.py [CHECKOUT ...]

A column for each checkout of the project: modules, lines of code without comments, docstrings and blank
lines, the modules of the package that `predict` and `train` load, and how many imports lie between the
verb `train` and the losses.
"""

import ast
import io
import pathlib
import sys
import tokenize

VERBS = ("prepare", "train", "evaluate", "predict", "export", "finetune")
LOSSES = "ast_net.temporal.losses"


def modules(root: pathlib.Path) -> dict[str, pathlib.Path]:
    """Returns the modules of the package by their dotted names."""
    result = {}
    for path in sorted((root / "ast_net").rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        result[".".join(parts).removesuffix(".__init__")] = path
    return result


def imports(path: pathlib.Path, known: dict[str, pathlib.Path], nested: bool = True) -> set[str]:
    """Returns the modules of the package that a module imports.

    Args:
      path: the module.
      known: all modules of the package.
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
    return result & known.keys()


def code_lines(path: pathlib.Path) -> int:
    """Counts the lines of a module that have code: no comments, docstrings or blank lines."""
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


def loaded(start: str, known: dict[str, pathlib.Path]) -> set[str]:
    """Returns the modules of the package that a module needs, itself included."""
    result, rest = set(), [start]
    while rest:
        name = rest.pop()
        if name not in result:
            result.add(name)
            rest += imports(known[name], known)
    return result


def hops(start: str, end: str, known: dict[str, pathlib.Path]) -> list[str]:
    """Returns the shortest chain of imports from one module to another."""
    chains = {start: [start]}
    rest = [start]
    for name in rest:
        for other in sorted(imports(known[name], known) - chains.keys()):
            chains[other] = [*chains[name], other]
            rest.append(other)
    return chains[end]


def measure(root: pathlib.Path) -> dict[str, str]:
    """Returns the figures of a checkout by what they are of."""
    known = modules(root)
    code = {name: code_lines(path) for name, path in known.items()}
    longest = max(code, key=lambda name: code[name])
    whole = {name: len(path.read_text().splitlines()) for name, path in known.items()}
    result = {
        "modules": str(len(known)),
        "lines": f"{sum(whole.values()):,}",
        "lines of code": f"{sum(code.values()):,}",
        "longest module": f"{longest.removeprefix('ast_net.')} ({code[longest]})",
        "modules over 200 lines of code": str(sum(lines > 200 for lines in code.values())),
    }
    for verb in VERBS:
        result[f"modules that {verb} loads"] = str(len(loaded(f"ast_net.{verb}", known)))
    chain = hops("ast_net.train", LOSSES, known)
    result["imports from train to the losses"] = str(len(chain) - 1)
    result["on the way"] = " ".join(name.rpartition(".")[2] for name in chain)
    return result


def main() -> None:
    """Prints the table."""
    roots = [pathlib.Path(argument) for argument in sys.argv[1:]] or [pathlib.Path(".")]
    columns = [measure(root) for root in roots]
    for name in columns[0]:
        print(f"{name:<34}" + "".join(f"{column[name]:>38}" for column in columns))


if __name__ == "__main__":
    main()
