"""Checkpoints of a training: whole or not at all, in a folder for each attempt, so that none overwrites another's."""

from wattline.checkpoints.kept import Kept
from wattline.checkpoints.told import Told, listening

__all__ = ["Kept", "Told", "listening"]
