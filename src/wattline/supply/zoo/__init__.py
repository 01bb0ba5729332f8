"""The model zoo: every registered version in one index, for people (`index.md`) and for programs (`index.yaml`)."""

from wattline.supply.zoo.entry import CardPage, Dataset, Entry, Features, Status
from wattline.supply.zoo.index import YAML, index_yaml, linked, parse, write
from wattline.supply.zoo.page import MARKDOWN, index_markdown
from wattline.supply.zoo.picture import SVG, index_svg
from wattline.supply.zoo.problems import Problem
from wattline.supply.zoo.validation import validate

__all__ = [
    "MARKDOWN",
    "SVG",
    "YAML",
    "CardPage",
    "Dataset",
    "Entry",
    "Features",
    "Problem",
    "Status",
    "index_markdown",
    "index_svg",
    "index_yaml",
    "linked",
    "parse",
    "validate",
    "write",
]
