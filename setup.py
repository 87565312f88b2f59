"""All metadata lives in setup.cfg; this puts flags/ into the package that pip installs."""

import pathlib

import setuptools
from setuptools.command import build_py

FLAGS = sorted(map(str, pathlib.Path("flags").glob("*.flags")))


class BuildPy(build_py.build_py):
    """Copies flags/ to ast_net/flags/, where `--flagfile=recola` finds it (ast_net/flagfiles.py).

    In an editable installation it is found where it is.
    """

    def run(self):
        super().run()
        if not self.editable_mode:
            self.mkpath(f"{self.build_lib}/ast_net/flags")
            for file in FLAGS:
                self.copy_file(file, f"{self.build_lib}/ast_net/{file}")

    def get_source_files(self):
        # So that a source distribution has them, too.
        return [*super().get_source_files(), *FLAGS]


setuptools.setup(cmdclass={"build_py": BuildPy})
