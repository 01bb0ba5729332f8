"""The table of routes, and how a path finds its row."""

import re
from collections.abc import Sequence

from wattline.serving.call import Route
from wattline.serving.refusal import RefusedError


class Routes:
    """Finds the route of a request in a microsecond where its path has no names in it, by patterns otherwise."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.all = tuple(routes)
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        self._recent: dict[str, dict[str, Route]] = {}
        templates: dict[str, dict[str, Route]] = {}
        for route in routes:
            templates.setdefault(route.template, {})[route.method] = route
        for template, methods in templates.items():
            if "{" in template:
                self._patterns.append((re.compile(re.sub(r"\{[a-z]+\}", "[^/]+", template)), methods))
            else:
                self._exact[template] = methods

    def find(self, method: str, path: str) -> Route | None:
        """The route; None for a path that is not ours. Raises RefusedError 405 for a path that has other methods."""
        methods = self._exact.get(path) or self._recent.get(path) or self._matched(path)
        if methods is None:
            return None
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = ", ".join(sorted(methods))
            raise RefusedError(
                f"{path[:200]} takes {allowed}, got {method[:20]}",
                status=405,
                reason="method",
                headers={"Allow": allowed},
            )
        return route

    def _matched(self, path: str) -> dict[str, Route] | None:
        for pattern, methods in self._patterns:
            if pattern.fullmatch(path):
                if len(self._recent) >= 64:
                    self._recent.clear()
                self._recent[path] = methods
                return methods
        return None
