"""Makes /app/params.yaml of an image, and refuses to go on with a model that its server would refuse."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from wattline import params, signing
from wattline.errors import InputError, WattlineError
from wattline.serving.versions import loading

THREADS = 1
LABELS = ("COMMIT", "MODEL_DIGEST", "MODEL_NAME", "MODEL_VERSION")
"""Build arguments that become labels."""


def laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """`below` with the values of `above`; where both have a section, section by section."""
    merged = dict(below)
    for key, value in above.items():
        former = merged.get(key)
        merged[key] = laid_over(former, value) if isinstance(former, dict) and isinstance(value, dict) else value
    return merged


def write_params(project: Path, overlay: Path, destination: Path) -> params.Params:
    """Write `project` with `overlay` over its section `serving`, and check it. Raises InputError naming a wrong key."""
    params.load(project)
    tree = yaml.safe_load(project.read_text(encoding="utf-8"))
    tree["serving"] = laid_over(tree["serving"], yaml.safe_load(overlay.read_text(encoding="utf-8")))
    destination.write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")
    return params.load(destination)


def check_labels(said: Mapping[str, str], found: loading.Loaded) -> None:
    """Raise InputError when the image would not say, or say wrongly, what is in it.

    said: build argument -> its value
    """
    if not said["COMMIT"]:
        raise InputError("the commit is not given; build with --build-arg COMMIT=$(git rev-parse HEAD)")
    true = {"MODEL_DIGEST": found.digest, "MODEL_NAME": found.name, "MODEL_VERSION": found.version}
    for name, value in true.items():
        if said[name] != value:
            raise InputError(
                f"the model's folder holds {value}, {name} is {said[name] or 'not given'}; "
                f"build with --build-arg {name}={value}, or fetch the model again"
            )


def check_model(folder: Path, loaded: params.Params, said: Mapping[str, str]) -> None:
    """Load the model as the server will. Raises LoadError when it is unsigned, altered or answers otherwise here."""
    knobs = loaded.serving
    found = loading.load(
        folder,
        model=knobs.model,
        trusted=signing.load_public(knobs.model.trusted_keys),
        threads=THREADS,
        device="cpu",
        maximum_windows=knobs.batching.maximum_windows,
    )
    check_labels(said, found)


def main() -> None:
    """Run in the build, where sources lie in /build and the image's files in /app."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, default=Path("/build"))
    parser.add_argument("--app", type=Path, default=Path("/app"))
    for name in LABELS:
        parser.add_argument(f"--{name.lower().replace('_', '-')}", required=True, dest=name)
    given = parser.parse_args()
    said = {name: getattr(given, name) for name in LABELS}
    try:
        loaded = write_params(given.build / "params.yaml", given.build / "serving.yaml", given.app / "params.yaml")
        check_model(given.app / "champion", loaded, said)
    except WattlineError as error:
        sys.exit(f"image: {error}")


if __name__ == "__main__":
    main()
