"""``mlops-kit promote``: move a named version to the next environment."""

from __future__ import annotations

import click

from mlops_kit.cli import options, progress, promotion_plan, render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.datasets import copy, refs
from mlops_kit.datasets.transfer import AT_ONCE
from mlops_kit.promotion import gates, plan, request, smoke
from mlops_kit.promotion.begun import settle
from mlops_kit.promotion.execute import Begun, Deployment, execute


@click.group()
def command() -> None:
    """Move a model version or a data commit to the next environment."""


@command.command()
@click.argument("version", metavar="MODEL@VERSION")
@options.to_environment
@options.from_environment
@click.option("--without-data", is_flag=True, help="Leave the data it was trained on where it is.")
@click.option(
    "--override",
    "overridden",
    metavar="GATE",
    multiple=True,
    help="Go past this gate, where the environment allows it.",
)
@click.option("--reason", "reasons", metavar="TEXT", multiple=True, help="Why: recorded with each --override.")
@click.option("--no-wait", is_flag=True, help="Begin the deployment and leave; run the same again to finish it.")
@options.dry_run
@options.yes
@options.as_json
@options.cloud
def model(
    session: Session,
    version: str,
    to: str,
    from_: str | None,
    without_data: bool,
    overridden: tuple[str, ...],
    reasons: tuple[str, ...],
    no_wait: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Release MODEL@VERSION, as numbered in the stage before, in the environment --to.

    MODEL@latest-approved is the newest version that was released in the stage before.
    """
    overrides = request.overrides(overridden, reasons)
    wanted = request.request(
        session.project, version, to, from_, with_data=not without_data, overrides=overrides, wait=not no_wait
    )
    cloud = session.cloud(wanted.target)
    planned = plan.plan(wanted, session.project, cloud, now())
    if dry_run and as_json:
        render.as_json(promotion_plan.as_json(planned))
    else:
        # Of a dry run the plan is the result, not the narration.
        promotion_plan.show(planned, click.echo if dry_run else tell)
    if dry_run:
        gates.require(planned.verdicts, f"{planned.version.name} to {to}")
        return
    names = wanted.target.names.model(wanted.model)
    planned = settle(planned, cloud, names, tell)
    session.confirm(wanted.target, f"Release {planned.version.name} in {to}", yes)
    config = session.project.model(wanted.model, wanted.target)
    test = smoke.read(config, session.project.source_dir(config))
    with progress.shown() as shown:
        done = execute(
            planned,
            Deployment(
                cloud,
                names,
                config.serving.rollout,
                now,
                tell,
                smoke=test,
                wait=wanted.wait,
                progress=shown,
            ),
        )
    if isinstance(done, Begun):
        _begun(planned, done, as_json)
    elif as_json:
        render.as_json({"release": done.release.id, "version": done.release.version, "event": done})
    else:
        click.echo(f"{done.release.id} {wanted.model}@{done.release.version}")


def _begun(planned: plan.ModelPlan, begun: Begun, as_json: bool) -> None:
    """Nothing is recorded yet, and the lock is kept: say how it goes on."""
    wanted, release = planned.request, begun.release
    tell(f"watch it:  mlops-kit status {wanted.model} --in {wanted.target.name} --follow")
    tell("finish it: the same command again, by anybody who may; until then nothing else is released here")
    if as_json:
        render.as_json({"begun": release.config, "version": release.version, "plan": planned.sha256})
    else:
        click.echo(f"begun {wanted.model}@{release.version} {release.config}")


@command.command()
@click.argument("dataset", metavar="NAME[@REV]")
@options.to_environment
@options.from_environment
@options.at_once(AT_ONCE)
@options.dry_run
@options.yes
@options.as_json
@options.cloud
def dataset(
    session: Session,
    dataset: str,
    to: str,
    from_: str | None,
    at_once: int,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Copy the commit at REV (default: main) to the environment --to, and point its main there.

    S3 copies what the target lacks, and computes the digest of each copy. The commit keeps its id.
    """
    name, revision = refs.parse(dataset)
    source_stage, target_stage = request.stages(session.project, to, from_)
    cloud = session.cloud(target_stage)
    source, target = cloud.store("lake", source_stage), cloud.store("lake")
    planned = copy.plan(source, target, name, refs.resolve(source, name, revision))
    header = planned.commit
    show = click.echo if dry_run and not as_json else tell
    show(f"plan: {name}@{header.id[:12]} from {source_stage.name} to {to}")
    show(f"  copy {len(planned.missing):,} of {render.some(header.files, 'file')}, {render.size(planned.size)}")
    if not dry_run:
        if planned.done:
            tell("already there")
        session.confirm(target_stage, f"Copy {name}@{header.id[:12]} to {to}", yes or planned.done)
        with progress.shown() as shown:
            copy.execute(planned, source, target, cloud.actor, now(), progress=shown, at_once=at_once)
    if as_json:
        render.as_json({"commit": header.id, "files": header.files, "copied": len(planned.missing), "dry_run": dry_run})
    elif not dry_run:
        click.echo(f"{name}@{header.id[:12]}")
