# Copyright (c) 2026 the virtengine.incident authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the get-pip script that ansible-test would download from a host of its own.

Does what that script does: puts the pip of the version in this file's name, and the packages given as arguments, into
the Python that runs it. It takes pip from Python itself, then from the package index, as any other package.
"""

from __future__ import annotations

import re
import subprocess
import sys


def main() -> None:
    """Install pip and the packages named on the command line."""
    version = ".".join(re.findall(r"\d+", __file__.rsplit("/", 1)[-1]))
    # get-pip's own switches, which pip does not know
    arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
    # A process of its own: ensurepip switches the user's pip configuration off in its environment.
    subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", f"pip=={version}", *arguments], check=True)


if __name__ == "__main__":
    main()
