"""Hatchling's hook (`[tool.hatch.build.hooks.custom]` in pyproject.toml): a wheel holds compiled catalogues.

`pip install -e .` calls it, too, and so leaves them in the checkout. Not part of the wheel.
"""

import sys
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CatalogueBuildHook(BuildHookInterface[Any]):
    """Compiles the catalogues while a wheel is built."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before files are collected. Git ignores the results, so hatchling has to be told to take them."""
        sys.path.insert(0, self.root)  # the build sees this file alone
        try:
            from gateway.i18n.compile import LOCALES, compile_catalogues
        finally:
            sys.path.remove(self.root)
        compile_catalogues(LOCALES)
        build_data["artifacts"].append("gateway/i18n/locales/*/LC_MESSAGES/messages.mo")
