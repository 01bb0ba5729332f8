"""YAML that is read strictly. The parser in C would be five times as fast, and dies of a file that is nested deeply."""

from typing import Any

import yaml


class UniqueKeys(yaml.SafeLoader):
    """YAML in which a key stands once: of two values nobody could tell which one counts."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.MarkedYAMLError(problem=f"the key {twice[0]!r} stands twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)
