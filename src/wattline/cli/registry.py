"""Verbs of the registry: register, approve, promote, go back, and prove it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()
keys = typer.Typer(help="Keys that sign what is promoted.", no_args_is_help=True, rich_markup_mode=None)
audit = typer.Typer(help="The signed log of what was done to models.", no_args_is_help=True, rich_markup_mode=None)
zoo = typer.Typer(help="The index of every registered version.", rich_markup_mode=None)
GROUPS = {"keys": keys, "audit": audit, "zoo": zoo}

Given = Annotated[str | None, typer.Argument(metavar="VERSION", help="default: the challenger")]
Version = Annotated[str | None, typer.Option(help="default: the challenger")]
Overrides = Annotated[list[str] | None, typer.Option("--override", help="a gate of registry.overridable")]
Reason = Annotated[str, typer.Option(help="why, for the audit log")]


@app.command()
def champion() -> None:
    """Fetch the champion's files into champion/, and the figures of every earlier version into earlier/."""
    from wattline import files, params
    from wattline.registry import fetching
    from wattline.registry.earlier import fetch_earlier

    loaded = params.load()
    found = fetching.fetch_champion(files.CHAMPION, name=loaded.model, params=loaded.registry)
    typer.echo(f"champion: version {found.version}" if found.version else "champion: none yet")
    earlier = fetch_earlier(files.EARLIER, name=loaded.model, trusted_keys=loaded.serving.model.trusted_keys)
    if earlier.versions:
        typer.echo(f"earlier versions: {len(earlier.versions)} in {files.EARLIER}/")
    for problem in earlier.unreadable:
        typer.echo(f"left out: {problem}", err=True)


@app.command()
def register(
    override: Overrides = None,
    reason: Reason = "",
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="sources need not be those of the commit")] = False,
) -> None:
    """Register the candidate, if it was accepted, as challenger."""
    from wattline import params
    from wattline.gitlab import fork
    from wattline.registry import model, registration

    fork.refuse("register")
    with model.of_project(params.load()) as opened:
        overrides = dict.fromkeys(override or (), reason)
        version = registration.register(opened, overrides=overrides, allow_dirty=allow_dirty)
        typer.echo(f"registered: {opened.name} version {version} is challenger")


@app.command()
def sign(version: Version = None) -> None:
    """Sign a version anew, after a change of keys."""
    from wattline import params
    from wattline.gitlab import fork
    from wattline.registry import model, registration

    fork.refuse("sign")
    with model.of_project(params.load()) as opened:
        typer.echo(f"signed: {opened.name} version {registration.sign(opened, version)}")


@app.command()
def approve(version: Version = None, reason: Reason = "") -> None:
    """Agree to the promotion of a version, on the record."""
    from wattline import params
    from wattline.gitlab import fork
    from wattline.registry import approval, model

    fork.refuse("approve")
    with model.of_project(params.load()) as opened:
        approved, who = approval.approve(opened, version, reason=reason)
        typer.echo(f"approved: {opened.name} version {approved} by {who.name}")


@app.command()
def promote(version: Version = None, override: Overrides = None, reason: Reason = "") -> None:
    """Make the challenger the champion."""
    from wattline import params
    from wattline.gitlab import fork
    from wattline.registry import model, promotion

    fork.refuse("promote")
    with model.of_project(params.load()) as opened:
        promoted = promotion.promote(opened, version, overrides=dict.fromkeys(override or (), reason))
        typer.echo(f"promoted: {opened.name} version {promoted} is champion")


@app.command()
def rollback(
    to: Annotated[str | None, typer.Option(help="a former champion; default: the one before this one")] = None,
    reason: Reason = "",
) -> None:
    """Make the previous champion the champion again, and fetch it."""
    from wattline import files, params
    from wattline.gitlab import fork
    from wattline.registry import fetching, model, promotion

    fork.refuse("rollback")
    loaded = params.load()
    with model.of_project(loaded) as opened:
        version = promotion.rollback(opened, to, reason=reason)
    fetching.fetch_champion(files.CHAMPION, name=loaded.model, params=loaded.registry)
    typer.echo(f"rolled back: {loaded.model} version {version} is champion")


@app.command()
def recover() -> None:
    """Make alias and champion/ what the audit log says, after a crash or a change by hand."""
    from wattline import files, params
    from wattline.gitlab import fork
    from wattline.registry import fetching, model, promotion

    fork.refuse("recover")
    loaded = params.load()
    with model.of_project(loaded) as opened:
        entry = promotion.recover(opened)
    fetching.fetch_champion(files.CHAMPION, name=loaded.model, params=loaded.registry)
    said = f"version {entry.version}, by entry {entry.sequence}" if entry else "none"
    typer.echo(f"recovered: the champion of {loaded.model} is {said}")


@app.command()
def ui(port: Annotated[int, typer.Option(help="where it listens on loopback")] = 5000) -> None:
    """Open the MLflow UI on the local store."""
    from wattline.registry import ui as page

    page.run(port=port)


@app.command()
def export(
    version: Given = None,
    to: Annotated[Path, typer.Option(help="a file, or a folder that is there")] = Path(),
) -> None:
    """Write one signed archive of a version for another site: everything but the data."""
    from wattline import params
    from wattline.gitlab import fork
    from wattline.registry import model, moving

    fork.refuse("export")
    with model.of_project(params.load()) as opened:
        typer.echo(f"exported: {moving.export(opened, version, destination=to, now=datetime.now(UTC))}")


@app.command("import")
def import_archive(archive: Annotated[Path, typer.Argument(help="what another site exported")]) -> None:
    """Verify an archive of another site and register what it holds."""
    from wattline import params
    from wattline.gitlab import fork
    from wattline.registry import model, moving

    fork.refuse("import")
    with model.of_project(params.load()) as opened:
        version = moving.import_archive(opened, archive)
        typer.echo(f"imported: {opened.name} version {version} is challenger")


@app.command()
def trace(
    what: Annotated[str, typer.Argument(metavar="PREDICTION_ID|VERSION|DATASET", help="what to explain")],
    picture: Annotated[Path | None, typer.Option(help="also draw it as SVG here")] = None,
    prov: Annotated[Path | None, typer.Option(help="also write it as W3C PROV-JSON here")] = None,
    crate: Annotated[Path | None, typer.Option(help="also write an RO-Crate: a folder, or FILE.zip")] = None,
) -> None:
    """Print what a prediction, version or dataset rests on, down to the source, and who approved it."""
    from wattline import params
    from wattline.proof import telling

    typer.echo(telling.tell(params.load(), what, picture=picture, prov=prov, crate=crate), nl=False)


@app.command()
def reproduce(
    version: Given = None,
    environment: Annotated[str, typer.Option(help="auto, current or fresh: which packages it runs with")] = "auto",
    keep: Annotated[bool, typer.Option("--keep", help="leave the worktree")] = False,
    to: Annotated[Path | None, typer.Option(help="write the comparison as JSON here")] = None,
) -> None:
    """Make a version again from its commit, lock and data, and compare every byte."""
    from wattline import files, params
    from wattline.proof import recipe
    from wattline.proof.writing import writing
    from wattline.registry import model
    from wattline.reproduction import Options, report
    from wattline.reproduction import reproduce as run

    options = params.typed(Options, {"environment": environment, "keep": keep}, where="wattline reproduce")
    with (
        model.of_project(params.load(), reading=True) as opened,
        recipe.prepared(opened, version, options) as (wanted, given),
    ):
        result = run(wanted, options=given, say=typer.echo)
    if to is not None:
        with writing(to):
            files.write_text(to, result.to_json())
    typer.echo("\n".join(report.lines(result)))
    raise typer.Exit(result.exit_code)


@app.command()
def mirror(version: Given = None) -> None:
    """Push a version to GitLab's model registry."""
    from wattline import params
    from wattline.gitlab import fork
    from wattline.registry import mirroring, model

    fork.refuse("mirror")
    with model.of_project(params.load(), reading=True) as opened:
        typer.echo(f"mirrored: {mirroring.mirror_version(opened, version)}")


@app.command()
def sync() -> None:
    """Send trainings and sweeps that were logged without a network to the store, once and in order."""
    from wattline.registry import spool
    from wattline.sweep import tracking

    sent = spool.sync()
    lines = [f"sent: {one.record} as run {one.run_id}" for one in sent]
    lines += [f"sent: {line}" for line in tracking.sync()]
    typer.echo("\n".join([*lines, f"synced: {len(sent)} {'training' if len(sent) == 1 else 'trainings'}"]))


@zoo.callback(invoke_without_command=True)
def index(context: typer.Context) -> None:
    """Write model_cards/index.md, index.yaml and index.svg: every registered version."""
    from wattline import files, params
    from wattline.proof import zoo as listing
    from wattline.proof.writing import writing
    from wattline.registry import model
    from wattline.supply.zoo import write

    if context.invoked_subcommand is not None:
        return
    with model.of_project(params.load(), reading=True) as opened:
        found = listing.entries(opened)
    with writing(files.CARDS):
        write(files.CARDS, found)
    typer.echo(f"zoo: {len(found)} {'version' if len(found) == 1 else 'versions'} in {files.CARDS}/index.md")


@zoo.command("validate")
def validate() -> None:
    """Check that the index says what the registry says."""
    from wattline import files, params
    from wattline.proof import zoo as listing
    from wattline.registry import model
    from wattline.supply.zoo import validate as problems

    with model.of_project(params.load(), reading=True) as opened:
        found = problems(files.CARDS, listing.entries(opened))
    for problem in found:
        typer.echo(str(problem), err=not problem.note)
    if any(not problem.note for problem in found):
        raise typer.Exit(1)
    typer.echo("zoo: the index says what the registry says")


@audit.command("show")
def show() -> None:
    """Print every entry, one line each."""
    from wattline import params
    from wattline.registry import auditing

    typer.echo("\n".join(auditing.lines(auditing.read(params.load()))))


@audit.command("verify")
def verify(
    file: Annotated[Path | None, typer.Option(help="an export; default: the log itself")] = None,
    against: Annotated[Path | None, typer.Option(help="an earlier export, which the log must go on from")] = None,
) -> None:
    """Find any entry that was edited, dropped or reordered."""
    from wattline import params
    from wattline.registry import auditing

    head = auditing.verify(params.load(), file=file, against=against)
    typer.echo(f"audit log: {head.sequence} entries hold, the last one is {head.hash}")


@audit.command("export")
def export_log(path: Annotated[Path, typer.Argument(help="file of JSON lines to write")]) -> None:
    """Write the log as JSON lines, with a signed last line that says where it ends."""
    from wattline import params
    from wattline.proof.writing import writing
    from wattline.registry import auditing

    with writing(path):
        head = auditing.export(params.load(), path, at=datetime.now(UTC))
    typer.echo(f"exported: {head.sequence} entries to {path}")


@keys.command("new")
def new_keys(
    folder: Annotated[Path | None, typer.Option(help="default: keys below WATTLINE_STATE, .wattline/keys")] = None,
) -> None:
    """Make both key pairs; with WATTLINE_SIGNING_PASSPHRASE set, the private halves are encrypted."""
    from wattline.signing import keys as pairs
    from wattline.signing import model_keys

    place = folder or pairs.default_folder()
    public = pairs.new(place)
    model_keys.new(place)
    typer.echo(f"private key: {place / pairs.PRIVATE} (keep it, it signs promotions)")
    typer.echo(f"public key: {place / pairs.PUBLIC} (for serving.model.trusted_keys)")
    typer.echo(f"key id: {public.id}")
    typer.echo(f"key for files: {place / model_keys.PRIVATE}, public half {place / model_keys.PUBLIC}")
