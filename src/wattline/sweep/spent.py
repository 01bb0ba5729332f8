"""What a trial takes: the energy of its training, attempts that were lost included."""

from wattline.energy.place import here
from wattline.energy.training import LAP_SECONDS, Account, check_devices, meter_of
from wattline.errors import WattlineError
from wattline.records import Energy
from wattline.sweep.plan import Plan


class Spent:
    """The account of one trial. A meter that does not work costs the figure, and not the trial."""

    def __init__(self, plan: Plan, slot: int) -> None:
        self._plan = plan
        self._account: Account | None = None
        self._note = ""
        try:
            place = here()
            self._meter = meter_of(plan.energy, place)
            account = Account(self._meter, plan.folder / "energy" / f"{slot:04}", place=place, lap_seconds=LAP_SECONDS)
            account.begin()
            self._account = account
        except WattlineError as error:
            self._note = f"energy not known: {error}"

    def lose(self) -> None:
        """End the account of an attempt that is not the last one: what it took counts."""
        if self._account is not None:
            self._account.give_up()

    def total(self) -> tuple[Energy | None, str]:
        """Energy of all attempts, or None and why it is not known."""
        if self._account is None:
            return None, self._note
        try:
            self._account.close()
            check_devices(self._plan.energy, self._meter)
            energy = self._account.total().total
        except WattlineError as error:
            return None, f"energy not known: {error}"
        if energy.scope != "processes" and self._plan.sweep.workers > 1:
            return None, (
                f"energy not known: {energy.sensor} cannot tell one process from another, and trials of other workers "
                "may have run beside this one; set sweep.workers to 1 or energy.meter to estimate"
            )
        return energy, ""
