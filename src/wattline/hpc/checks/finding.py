"""One thing that a check found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What is wrong with a site, or could not be seen from here.

    about: the key of the profile or of params.yaml
    says: what is the matter and what to do, as a sentence
    missing: whether a job would fail by it; otherwise it can only be seen on a node
    """

    about: str
    says: str
    missing: bool = True
