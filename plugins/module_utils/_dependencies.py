# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Python libraries that a managed host must have, and what to do when it lacks one."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError

_PACKAGES = {
    "bcrypt": ("python3-bcrypt", "bcrypt"),
    "boto3": ("python3-boto3", "boto3"),
    "cryptography": ("python3-cryptography", "cryptography"),
    "passlib": ("python3-passlib", "libpass"),
    "yaml": ("python3-yaml", "PyYAML"),
}


def remedy(library: str) -> str:
    """How to install a library for the Python that runs this module, as a clause of a sentence."""
    system, pypi = _PACKAGES[library]
    return f"install the system's package {system} or, from PyPI, {pypi} for {sys.executable}"


def is_there(library: str) -> bool:
    """Whether the Python that runs this module would find a library, which is not imported for it."""
    return importlib.util.find_spec(library) is not None


def require(name: str) -> ModuleType:
    """Import a library or one of its modules (``passlib.hash``).

    :raises RegistryError: it cannot be imported; the message says what to install, and for which Python.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        library = name.split(".", maxsplit=1)[0]
        raise RegistryError(f"The Python library {library} is missing ({error}): {remedy(library)}.") from error
