"""YAML that is read strictly. The parser in C would be five times as fast, and dies of a file that is nested deeply."""

import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from wattline.errors import InputError


class UniqueKeys(yaml.SafeLoader):
    """YAML in which a key stands once: of two values nobody could tell which one counts."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.MarkedYAMLError(problem=f"the key {twice[0]!r} stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def read(path: Path) -> Any:
    """The content of a YAML file. Raises InputError for what is no YAML, FileNotFoundError where there is no file."""
    try:
        return copy.deepcopy(_parsed(path.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None


@lru_cache(maxsize=8)
def _parsed(text: str) -> Any:
    """Parsed once: a job reads params.yaml and dvc.yaml several times, to see that they did not change."""
    return yaml.load(text, Loader=UniqueKeys)  # noqa: S506  # a SafeLoader
