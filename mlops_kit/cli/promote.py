"""``mlops-kit promote``: move a named version to the next environment."""

from __future__ import annotations

from collections.abc import Callable

import click

from mlops_kit.cli import options, progress, render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.datasets import copy, refs
from mlops_kit.datasets.transfer import AT_ONCE
from mlops_kit.promotion import gates, plan, request
from mlops_kit.promotion.execute import Deployment, execute
from mlops_kit.promotion.plan import ModelPlan


@click.group()
def command() -> None:
    """Move a model version or a data commit to the next environment."""


@command.command()
@click.argument("version", metavar="MODEL@VERSION")
@options.to_environment
@options.from_environment
@options.dry_run
@options.yes
@options.as_json
@options.cloud
def model(session: Session, version: str, to: str, from_: str | None, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Release MODEL@VERSION, as numbered in the stage before, in the environment --to."""
    wanted = request.request(session.project, version, to, from_)
    cloud = session.cloud(wanted.target)
    config = session.project.model(wanted.model, wanted.target)
    planned = plan.plan(wanted, config, cloud)
    if dry_run and as_json:
        render.as_json(_plan_json(planned))
    else:
        _show(planned, click.echo if dry_run else tell)  # of a dry run the plan is the result, not the narration
    gates.require(planned.verdicts, f"{version} to {to}")
    if dry_run:
        return
    session.confirm(wanted.target, f"Release {version} in {to}", yes)
    names = wanted.target.names.model(wanted.model)
    event = execute(planned, Deployment(cloud, names, config.serving.rollout, now, tell))
    if as_json:
        render.as_json({"release": event.release.id, "version": event.release.version, "event": event})
    else:
        click.echo(f"{event.release.id} {wanted.model}@{event.release.version}")


def _show(planned: ModelPlan, tell: Callable[[str], None]) -> None:
    wanted = planned.request
    incumbent = planned.incumbent
    tell(f"plan: {planned.version.name} from {wanted.source.name} to {wanted.target.name}")
    for item in planned.copies:
        tell(f"  {'have' if item.present else 'copy'}     {item.name} ({render.size(item.size)})")
    tell(f"  {'have' if planned.registered else 'register'} {wanted.model} in {wanted.target.name}")
    running = f"{incumbent.id} (version {incumbent.version})" if incumbent else "the initial model"
    tell(f"  deploy   {planned.config} ({planned.spec.kind}), replacing {running}")
    if planned.spec.shadow is not None:
        tell(
            f"  shadow   {wanted.model}@{planned.spec.shadow.version}, {planned.spec.shadow.percent} % of the requests"
        )
    for verdict in planned.verdicts:
        tell(f"  gate     {verdict.gate}: {'passed' if verdict.passed else 'REFUSED'}, {verdict.reason}")


def _plan_json(planned: ModelPlan) -> dict[str, object]:
    return {
        "version": planned.version.name,
        "from": planned.request.source.name,
        "to": planned.request.target.name,
        "copies": planned.copies,
        "registered": planned.registered.version if planned.registered else None,
        "incumbent": planned.incumbent,
        "config": planned.config,
        "spec": planned.spec,
        "gates": planned.verdicts,
    }


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
