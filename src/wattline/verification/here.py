"""What lies in this project: its files and its cache against their records."""

from collections.abc import Sequence

from wattline import objects
from wattline.verification import stored, workspace
from wattline.verification.hashes import Hashes
from wattline.verification.places import Local
from wattline.verification.problem import Problem
from wattline.verification.stored import Found
from wattline.verification.tracked import Output
from wattline.verification.verdict import Verdict


def verify(outputs: Sequence[Output], cache: objects.Cache) -> Verdict:
    """Hash the files of these outputs, and the objects that the cache has of them.

    An output that is in the cache alone is not checked out, one that is in the workspace alone was never committed:
    both hold. One that is nowhere, or has lost a part, does not.
    """
    hashes = Hashes()
    found = _of_cache([one for one in outputs if one.cached], cache, hashes)
    absent = stored.missing(found, (one.md5 for one in outputs if one.cached))
    verdict = Verdict(outputs=len(outputs), objects=found.objects - len(absent))
    uncommitted = []
    for one in outputs:
        if one.path.exists():
            verdict.files += len(workspace.contents(one.path, hashes))
            known = found.listings.get(one.md5)
            verdict.problems += workspace.problems(
                one.path, one.md5, hashes=hashes, entries=known, by=one.by, home=cache.folder
            )
            uncommitted += [str(one.path)] if one.md5 in absent else []
        elif not one.cached or one.md5 in absent:
            verdict.problems.append(_nowhere(one))
    verdict.problems += [problem for problem in found.problems if problem.expected not in absent]
    if uncommitted:
        verdict.notes.append(f"in no cache, but whole here: {', '.join(uncommitted)}; `dvc commit` keeps them")
    verdict.bytes = hashes.bytes
    return verdict


def _of_cache(outputs: Sequence[Output], cache: objects.Cache, hashes: Hashes) -> Found:
    stages = {str(one.path): one.by for one in outputs}

    def remedy(where: str, output: str, lost: bool) -> str:
        first = "" if lost else f"remove {where} and "
        whole = next(path for path in stages if output == path or output.startswith(f"{path}/"))
        return f"{first}run `dvc fetch {whole}`, or `dvc commit {stages[whole]}` where the workspace has it"

    wanted = {one.md5: str(one.path) for one in outputs}
    return stored.look(Local(cache, hashes), wanted, known={}, remedy=remedy)


def _nowhere(output: Output) -> Problem:
    remedy = f"run `dvc pull {output.path}`" if output.cached else f"take it from git, or run `dvc repro {output.by}`"
    return Problem(str(output.path), str(output.path), expected=output.md5, found="", remedy=remedy)
