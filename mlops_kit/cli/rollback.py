"""``mlops-kit rollback``: back to an earlier release, in one command."""

from __future__ import annotations

from functools import partial

import click

from mlops_kit.cli import options, render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.promotion import rollback
from mlops_kit.promotion.execute import Deployment
from mlops_kit.promotion.ledger import Ledger


@click.command()
@click.argument("model")
@options.in_environment
@click.option("--to", "release", metavar="RELEASE", help="The release to go back to, like r3. Default: the one before.")
@click.option("--with-data", is_flag=True, help="Point the data set's main to the release's commit as well.")
@options.dry_run
@options.yes
@options.as_json
@options.cloud
def command(
    session: Session,
    model: str,
    environment: str,
    release: str | None,
    with_data: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make MODEL's endpoint run an earlier release again. Copies nothing.

    Works while a promotion is stuck: takes its lock over, and waits until the endpoint can be updated.
    """
    stage = session.environment(environment)
    session.project.model(model, stage)
    cloud = session.cloud(stage)
    names = stage.names.model(model)
    planned = rollback.plan(
        Ledger(cloud.store("ledger"), names),
        release,
        with_data=with_data,
        unfinished=partial(rollback.left_behind, cloud.store("artifacts"), names, cloud.actor),
    )
    target = planned.target
    current = planned.current.id if planned.current else "nothing"
    show = click.echo if dry_run and not as_json else tell
    show(f"plan: {model} in {environment} from {current} to {target.id} (version {target.version})")
    if with_data:
        show(f"  data: {target.dataset}@main to {target.dataset_commit[:12]}")
    if planned.done:
        tell(f"{target.id} is what runs now, as the ledger has it: only looking whether it does")
    if dry_run:
        if as_json:
            render.as_json({"current": planned.current, "target": target, "with_data": with_data})
        return
    session.confirm(stage, f"Roll {model} back to {target.id} in {environment}", yes)
    # No rollout: the alarms that would stop one are often the reason to go back, and still in ALARM.
    event = rollback.execute(planned, Deployment(cloud, names, None, now, tell, patient=True))
    if as_json:
        render.as_json({"release": event.release.id, "version": event.release.version, "event": event})
    else:
        click.echo(f"{event.release.id} {model}@{event.release.version}")
