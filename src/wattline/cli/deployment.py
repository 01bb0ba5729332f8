"""Verbs of the serving host: deploy, test, promote an image, and go back."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
jobs = typer.Typer()
"""Those that only make sense in a pipeline, below `wattline ci`."""

Environment = Annotated[str, typer.Argument(help="staging or production")]
Image = Annotated[str, typer.Argument(metavar="REPOSITORY@sha256:...", help="as `wattline ci image` wrote it")]
Reason = Annotated[str, typer.Option(help="why, for the audit log")]
Dotenv = Annotated[Path | None, typer.Option(help="write variables for later jobs here")]


@app.command()
def fetch(
    what: Annotated[str, typer.Argument(metavar="VERSION", help="a number, challenger or champion")],
    to: Annotated[Path, typer.Option(help="the folder to replace")] = Path("build/model"),
) -> None:
    """Fetch the signed files of a registered version into a folder."""
    from wattline import params
    from wattline.registry import fetching

    found = fetching.fetch_version(what, to, loaded=params.load())
    typer.echo(f"fetched: {found.name} version {found.version} into {to}")


@app.command()
def deploy(
    environment: Environment,
    image: Annotated[str | None, typer.Argument(metavar="REPOSITORY@sha256:...", help="which image")] = None,
    stop: Annotated[bool, typer.Option("--stop", help="end what runs there")] = False,
    restore: Annotated[bool, typer.Option("--restore", help="after a crash: let that run which should")] = False,
    dotenv: Dotenv = None,
) -> None:
    """Let an image answer in an environment of this host, or leave there what answers."""
    from wattline import params
    from wattline.deployment import verbs
    from wattline.gitlab import fork

    fork.refuse("deploy")
    verbs.deploy(params.load(), environment, image, stop=stop, restore=restore, dotenv=dotenv, say=typer.echo)


@app.command()
def smoke(
    url: Annotated[str, typer.Argument(help="http://HOST:PORT of a server")],
    model: Annotated[Path, typer.Option(help="folder with the signed files of what should answer")] = Path("champion"),
) -> None:
    """Ask a server whether it is up, is this model, answers rightly and refuses what it must."""
    from wattline import params
    from wattline.deployment import verbs

    checks = verbs.smoke(params.load(), url, model)
    for one in checks:
        typer.echo(f"{'PASS' if one.passed else 'FAIL':<6}  {one.name}{one.problem and ': ' + one.problem}")
    raise typer.Exit(0 if all(one.passed for one in checks) else 1)


@app.command()
def acceptance(environment: Environment) -> None:
    """Hold what runs in an environment against deployment.limits: smoke, load and energy."""
    from wattline import params
    from wattline.deployment import verbs

    raise typer.Exit(verbs.acceptance(params.load(), environment, say=typer.echo))


@jobs.command()
def image(
    version: Annotated[str, typer.Argument(help="a number, challenger or champion")] = "challenger",
    dotenv: Dotenv = None,
) -> None:
    """Build and push the image of a registered version, unless that was done before."""
    from wattline import params
    from wattline.deployment import verbs
    from wattline.gitlab import fork

    fork.refuse("ci image")
    verbs.image(params.load(), version, dotenv=dotenv, say=typer.echo)


@jobs.command()
def promote(image: Image) -> None:
    """Make an accepted image production's and its version champion; both as before when it does not answer."""
    from wattline import params
    from wattline.deployment import verbs
    from wattline.gitlab import fork

    fork.refuse("ci promote")
    verbs.promote(params.load(), image, say=typer.echo)


@jobs.command()
def rollback(reason: Reason = "") -> None:
    """Go back to production's image before this one, with alias and tag."""
    from wattline import params
    from wattline.deployment import verbs
    from wattline.gitlab import fork

    fork.refuse("ci rollback")
    verbs.rollback(params.load(), reason=reason, say=typer.echo)


@jobs.command()
def recover() -> None:
    """Finish or undo what a killed promotion or rollback left on this host."""
    from wattline import params
    from wattline.deployment import verbs
    from wattline.gitlab import fork

    fork.refuse("ci recover")
    verbs.recover(params.load(), say=typer.echo)
