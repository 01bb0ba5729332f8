"""Verbs of energy: which meters there are, and what one model costs beside another."""

import typer

app = typer.Typer(help="Energy: meters, and the paired test.", no_args_is_help=True, rich_markup_mode=None)
