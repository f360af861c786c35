"""`seatrial trial …`: its subcommands, each in a file of its own."""

from __future__ import annotations

from seatrial.cli.options import example
from seatrial.cli.trial_by_hand import reproduce, shell
from seatrial.cli.trial_logs import trial_logs
from seatrial.cli.trial_rerun import rerun
from seatrial.cli.trial_run import run
from seatrial.cli.trials import app

app.command("run", epilog=example("seatrial trial run mymodel --junit trial.xml --max-minutes 10"))(run)
app.command("logs", epilog=example("seatrial trial logs floorplan --stage prove"))(trial_logs)
app.command("rerun", epilog=example("seatrial trial rerun floorplan --from drill"))(rerun)
app.command("reproduce", epilog=example("seatrial trial reproduce floorplan --pdb"))(reproduce)
app.command("shell", epilog=example("seatrial trial shell floorplan", "seatrial trial shell floorplan -- pip list"))(
    shell
)
