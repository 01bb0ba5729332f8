"""No output of a notebook in git: it would grow with every run, and may show what is nobody's business.

python .ci/clear_notebooks.py           names the notebooks that hold some; exit code 1 when there are any
python .ci/clear_notebooks.py --write   removes it
"""

import sys

from wattline.notebooks import canonical, catalogue

WRITE = "--write"


def main(arguments: list[str]) -> int:
    """Check, or clear, notebooks/*.ipynb of the current folder."""
    held = []
    for name in catalogue.names():
        path = catalogue.path(name)
        cleared = canonical.cleared(catalogue.read(path))
        if path.read_text(encoding="utf-8") != cleared:
            held.append(path)
            if WRITE in arguments:
                path.write_text(cleared, encoding="utf-8")
    if held and WRITE not in arguments:
        names = ", ".join(str(path) for path in held)
        sys.stdout.write(f"{names}: clear what came out of the cells: python .ci/clear_notebooks.py {WRITE}\n")
    return int(bool(held) and WRITE not in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
