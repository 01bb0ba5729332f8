"""`wattline data verify`: hash what DVC tracks, and name what is not as recorded."""

from collections.abc import Sequence

from wattline.remotes import known
from wattline.settings import Settings
from wattline.verification import elsewhere, here, tracked
from wattline.verification.verdict import Verdict


def verify(targets: Sequence[str], settings: Settings, *, remote: str | None) -> Verdict:
    """Hold files and cache, or with `remote` what that remote has, against dvc.lock and .dvc files.

    targets: stages, outputs or folders of them; everything on record where there are none
    Raises InputError for a target or a remote that there is not, WattlineError when the remote does not answer.
    """
    with tracked.opened(known.config(settings)) as repo:
        outputs = tracked.chosen(tracked.outputs(repo), targets)
        if remote is None:
            verdict = here.verify(outputs, tracked.cache(repo))
        else:
            verdict = elsewhere.verify(repo, outputs, known.name(repo, remote))
        waiting = [] if targets else tracked.unrecorded(repo)
        if waiting:
            verdict.notes.append(f"on no record yet: outputs of {', '.join(waiting)}; `dvc repro` makes them")
        return verdict
