"""Licence texts as they lie in packages that are installed anyway, so that none need be copied into this repository."""

import importlib.metadata
from functools import cache


@cache
def licence_text(package: str, name: str) -> str:
    """The licence file `name` of an installed package."""
    files = importlib.metadata.files(package) or []
    found = next(file for file in files if file.name == name and ".dist-info" in str(file))
    return found.read_text()


def apache() -> str:
    return licence_text("requests", "LICENSE")


def mit() -> str:
    return licence_text("pydantic", "LICENSE")


def bsd() -> str:
    return licence_text("click", "LICENSE.txt")


def gpl() -> str:
    """The text of version 2, behind a permission to link."""
    return licence_text("pygit2", "COPYING")
