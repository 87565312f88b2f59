"""python -m ast_net, or ast-net: lists the commands; `ast-net train` is python -m ast_net.train"""

import runpy
import sys

from ast_net import cli


def main() -> None:
    """Runs the verb that is the first argument; without one, lists the verbs."""
    verb = sys.argv[1] if len(sys.argv) > 1 else ""
    if verb in cli.VERBS:
        del sys.argv[1]
        runpy.run_module(f"ast_net.{verb}", run_name="__main__", alter_sys=True)
        return
    lines = [f"  {name:<10}{verb_.summary}" for name, verb_ in cli.VERBS.items()]
    usage = "python -m ast_net.VERB [--FLAG=VALUE ...]; --help of each verb lists its flags."
    text = "\n".join([usage, "", *lines])
    if verb in ("", "--help", "-h", "help"):
        print(text)
    else:
        sys.exit(f"error: there is no verb {verb}\n\n{text}")


if __name__ == "__main__":
    main()
