"""What pyproject.toml cannot say: an installed package remembers the checkout it came from, where the library is built."""

import pathlib

from setuptools import setup
from setuptools.command.build_py import build_py


class RememberCheckout(build_py):
    def run(self):
        super().run()
        package = pathlib.Path(self.build_lib, "parcompute")
        if not self.editable_mode and package.is_dir():
            checkout = pathlib.Path(__file__).resolve().parents[2]
            (package / "_checkout.py").write_text(f'"""Written when the package was installed."""\n\nCHECKOUT = {str(checkout)!r}\n')


setup(cmdclass={"build_py": RememberCheckout})
