"""Promote an image that was accepted: champion in the registry, container in production, tag in the repository.

The three cannot change at once, so a journal says what is under way. Order: the alias first, since the registry may
refuse; then the container, which may fail and then takes the alias back with it; the tag last, so that it never names
what does not answer. Who finds a journal finishes what answers in production already, and undoes everything else. The
first champion of all cannot be undone, as the audit log has none to go back to: what was begun with it goes on.
"""

from wattline import files
from wattline.deployment import deploying
from wattline.deployment.failure import DeploymentError
from wattline.deployment.images import Images
from wattline.deployment.journal import Journal, Log
from wattline.deployment.judging import REPORT, judged_energy, judged_load
from wattline.deployment.model import COMMIT, DIGEST, NAME, VERSION
from wattline.deployment.record import Acceptance
from wattline.deployment.reference import Reference
from wattline.deployment.state import Release
from wattline.deployment.target import Target, check_key
from wattline.errors import InputError, RejectedError, WattlineError
from wattline.params import AcceptanceLimits
from wattline.registry import lookup, promotion
from wattline.registry.model import Model
from wattline.registry.tracking import DIGEST as CANDIDATE


def promote(target: Target, model: Model, images: Images, image: Reference) -> str:
    """Make the version in `image` champion, and `image` production's. Returns the version.

    Raises RejectedError without a passed acceptance of exactly this image, and what `promotion.promote` raises, and
    nothing was changed; DeploymentError when it failed, and champion, container and tag are what they were.
    """
    check_key(target)
    log = Log(target.place)
    left = log.read()
    if left is not None and (left.image != str(image) or left.action != "promote"):
        recover(target, model, images)
    check_accepted(image, target.knobs.limits)
    version = _version(images, model, image)
    begun = log.read()  # of this image: it goes on where it was cut off
    journal = begun or Journal(action="promote", image=str(image), version=version, former=_champion(model))
    log.write(journal)
    _move(target, model, journal, image)
    _tag(target, images, image)
    log.clear()
    return version


def rollback(target: Target, model: Model, images: Images, *, reason: str) -> Release:
    """Go back to production's image before this one, with alias and tag.

    One that was cut off is finished, and that is all. Raises InputError when there is none, or its version was no
    champion before, and nothing was changed; DeploymentError when it failed, and all three are what they were.
    """
    check_key(target)
    log = Log(target.place)
    left = log.read()
    if left is not None:
        recover(target, model, images)
    state = target.place.read()
    if left is not None and left.action == "rollback" and state.current is not None:
        return state.current  # the one that was cut off; one more would be twice
    if not state.previous:
        raise InputError("production had no image before this one on this host; there is nothing to go back to")
    former = state.previous[0]
    journal = Journal(
        action="rollback", image=former.image, version=former.version, former=_champion(model), reason=reason
    )
    log.write(journal)
    _finish_rollback(target, model, images, journal)
    log.clear()
    return former


def recover(target: Target, model: Model, images: Images) -> str:
    """Finish or undo what a killed process left, and let that run which should. Returns what is so now, in words.

    An interrupted promotion whose image answers in production as the champion is finished; any other one is undone.
    """
    log = Log(target.place)
    left = log.read()
    promotion.recover(model)
    if left is None:
        running = deploying.restore(target)
        if running is not None:
            _tag(target, images, Reference.parse(running.image))
        return _said(running)
    if left.action == "rollback":
        _finish_rollback(target, model, images, left)
    else:
        _finish_or_undo(target, model, images, left)
    log.clear()
    return _said(target.place.read().current)


def check_accepted(image: Reference, limits: AcceptanceLimits) -> None:
    """Raise RejectedError unless the report says that just this image passed, and its figures pass `limits`, too."""
    try:
        found = files.read_record(REPORT, Acceptance)
    except InputError as error:
        raise RejectedError(
            f"{image.short} is not promoted without evidence: {str(error).partition(';')[0]}; run "
            "`wattline acceptance staging`"
        ) from None
    if found.release.image != str(image):
        raise RejectedError(
            f"{REPORT} is about {found.release.image}, not about {image}; deploy it to staging and run "
            "`wattline acceptance staging`"
        )
    again = (*judged_load(found.load, limits, problem=""), judged_energy(found.energy_per_1000, limits))
    wrong = [one for one in (*found.verdicts, *again) if not one.passed or one.refused]
    if wrong or not found.passed:
        said = ", ".join(dict.fromkeys(f"{one.name} {one.outcome}" for one in wrong))
        raise RejectedError(f"{image.short} was not accepted in {found.environment} ({said or 'verdicts are missing'})")


def _version(images: Images, model: Model, image: Reference) -> str:
    """The registered version that is in `image`. Raises InputError when the registry knows it as something else."""
    labels = images.labels(images.get(image))
    name, version, digest = (labels.get(label, "") for label in (NAME, VERSION, DIGEST))
    if name != model.name:
        raise InputError(f"{image} holds a model of {name or 'nobody'}, params.yaml is about {model.name}")
    if labels.get(COMMIT, "-dirty").endswith("-dirty"):
        raise RejectedError(f"{image} was built of changed sources; commit them and build it again")
    found = lookup.number(model, version)
    if found.tags.get(CANDIDATE) != digest:
        raise InputError(f"{image} holds candidate {digest[:12]}, version {version} of {model.name} is another one")
    return version


def _move(target: Target, model: Model, journal: Journal, image: Reference) -> None:
    """Alias, then container; both as before when the container fails."""
    try:
        promotion.promote(model, journal.version)
    except WattlineError:
        if _champion(model) != journal.version:  # else the alias alone did not follow, which `recover` mends
            Log(target.place).clear()
        raise
    target.say(f"promoted: {model.name} version {journal.version} is champion")
    try:
        deploying.deploy(target, image)
    except WattlineError as error:
        raise DeploymentError(f"{error}; {_take_back(target, model, journal, str(error))}") from None


def _take_back(target: Target, model: Model, journal: Journal, reason: str) -> str:
    """Undo the alias after a failed deployment, which has taken back the container itself; how that went."""
    if journal.former is None:
        Log(target.place).clear()
        return (
            f"version {journal.version} stays champion in the registry, as there was none before it to go back to: "
            "mend the host and run the job again"
        )
    try:
        _undo(target, model, journal, reason=f"its deployment failed: {reason}")
    except WattlineError as second:
        return f"the champion could NOT be taken back: {second}; run `wattline ci recover` on this host"
    return f"version {journal.former} is champion"


def _undo(target: Target, model: Model, journal: Journal, *, reason: str) -> None:
    """Take the alias back to what it was before what is in `journal`."""
    if journal.former not in (None, journal.version) and _champion(model) == journal.version:
        if journal.action == "promote":
            promotion.rollback(model, journal.former, reason=reason)
        else:
            promotion.promote(model, journal.former)
        target.say(f"taken back: {model.name} version {journal.former} is champion")
    Log(target.place).clear()


def _finish_or_undo(target: Target, model: Model, images: Images, left: Journal) -> None:
    image, is_champion = Reference.parse(left.image), _champion(model) == left.version
    if is_champion and left.former is None:
        deploying.deploy(target, image)
    current = deploying.restore(target)
    if not is_champion or current is None or current.image != left.image:
        _undo(target, model, left, reason="the promotion was cut off before production answered")
    if current is not None:
        _tag(target, images, Reference.parse(current.image))


def _champion(model: Model) -> str | None:
    found = model.champion()
    return found.version if found is not None else None


def _finish_rollback(target: Target, model: Model, images: Images, wanted: Journal) -> None:
    """Alias, container and tag of the image that the journal names; what was done already is left."""
    if _champion(model) != wanted.version:
        try:
            promotion.rollback(model, wanted.version, reason=wanted.reason)
        except WattlineError:
            if _champion(model) != wanted.version:  # as in `_move`
                Log(target.place).clear()
            raise
        target.say(f"rolled back: {model.name} version {wanted.version} is champion")
    current = target.place.read().current
    if current is not None and current.image == wanted.image:
        deploying.restore(target)
    else:
        try:
            deploying.rollback(target, reason=wanted.reason)
        except WattlineError as error:
            raise DeploymentError(f"{error}; {_take_back(target, model, wanted, str(error))}") from None
    _tag(target, images, Reference.parse(wanted.image))


def _tag(target: Target, images: Images, image: Reference) -> None:
    """Let the tag of promoted images name just this one."""
    tag = target.knobs.tag
    found = images.find(tag)
    if found is not None and found.digest == image.digest:
        return
    images.tag(images.get(image), tag)
    target.say(f"tagged: {image.repository}:{tag} is {image.digest}")


def _said(running: Release | None) -> str:
    return f"version {running.version}, {running.image}" if running is not None else "nothing"
