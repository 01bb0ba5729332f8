"""All that a note is made of. What is not known is None or empty, and the note says so."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from wattline.gitlab.note.inputs import Touched
from wattline.gitlab.note.jobs import Jobs
from wattline.gitlab.note.reports import Reports
from wattline.gitlab.note.repository import Base
from wattline.records import Champion, Metric

HOW = ("ran", "cache", "unchanged")
"""How the outputs of a stage came about: here, in an earlier run with the same inputs, or as dvc.lock says already."""


@dataclass(frozen=True)
class Picture:
    """A picture in the note.

    path: in the repository; address: what Markdown needs to show it; "" where it is not uploaded
    """

    path: str
    title: str
    address: str = ""


@dataclass(frozen=True)
class Places:
    """Where to look further; None where that is not known.

    commit: that was judged; artifacts: page of the job whose files are the reports
    """

    commit: str | None = None
    project: str | None = None
    pipeline: str | None = None
    job: str | None = None
    artifacts: str | None = None
    card: str = ""


@dataclass(frozen=True)
class Known:
    """What the note tells.

    now, before: reports of the change, and of the commit on the target branch that it is compared with
    leftover: stages whose report in the folder is an earlier run's, so that `now` does not have it
    touched: None where it cannot be told which files changed
    metrics: of the task, by name; empty where the task cannot be imported
    champion: that lies in champion/, None where there is no such folder
    runs: stage -> one of HOW; empty where that is not known
    """

    now: Reports
    before: Reports
    base: Base
    leftover: tuple[str, ...] = ()
    touched: Touched | None = None
    jobs: Jobs = field(default_factory=Jobs)
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    champion: Champion | None = None
    runs: Mapping[str, str] = field(default_factory=dict)
    places: Places = field(default_factory=Places)
    pictures: tuple[Picture, ...] = ()

    @property
    def needs_no_candidate(self) -> bool:
        """Whether the change touches no stage, and no job made a candidate."""
        made = any(job.makes_the_candidate for job in self.jobs.all)
        return self.touched is not None and not self.touched.any and not made

    def metric(self, name: str) -> Metric | None:
        """What is known of a metric."""
        headline = self.now.evaluation.headline if self.now.evaluation else None
        return headline if headline and headline.name == name else self.metrics.get(name)
