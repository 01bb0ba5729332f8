"""The small project of the stages' tests, for what is metered inside a stage."""

from stages.conftest import block, clean, enter, fit, logged, prepared_folder, project

__all__ = ["block", "clean", "enter", "fit", "logged", "prepared_folder", "project"]
