"""python -m ast_net, or ast-net: lists the commands; `ast-net train` is python -m ast_net.train"""

import runpy
import sys

from ast_net import cli


def main() -> None:
    """Runs the command that the first argument names; without one, lists the commands."""
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb in cli.VERBS:
        del sys.argv[1]
        runpy.run_module(f"ast_net.{verb}", run_name="__main__", alter_sys=True)
        return
    lines = [f"  {name:<10}{verb_.summary}" for name, verb_ in cli.VERBS.items()]
    usage = "ast-net COMMAND [--FLAG=VALUE ...]; --help lists the flags of a command."
    text = "\n".join([usage, "", *lines])
    if verb in ("", "--help", "-h", "help"):
        print(text)
    else:
        sys.exit(f"error: there is no command {verb}\n\n{text}")


if __name__ == "__main__":
    main()
