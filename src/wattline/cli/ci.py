"""Verbs of a GitLab job."""

import typer

app = typer.Typer(help="What jobs of the GitLab pipeline do.", no_args_is_help=True, rich_markup_mode=None)


@app.callback()
def group() -> None:
    """What jobs of the GitLab pipeline do."""
