"""``mlops-kit dataset gc``."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import click

from mlops_kit.cli import options, progress, render
from mlops_kit.cli.session import Session, now, tell
from mlops_kit.datasets import gc as verb
from mlops_kit.datasets import listing, pointers, refs
from mlops_kit.datasets.gc import GcPlan
from mlops_kit.naming import DatasetKeys
from mlops_kit.promotion.data_in_use import data_in_use


@click.command()
@click.argument("name", required=False)
@click.option(
    "--grace",
    type=click.FloatRange(min=1),
    default=verb.GRACE / timedelta(days=1),
    show_default=True,
    metavar="DAYS",
    help="Nothing younger than this is touched.",
)
@click.option("--delete", is_flag=True, help="Do it. Without this, only what would be removed is said.")
@options.yes
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session,
    name: str | None,
    grace: float,
    delete: bool,
    yes: bool,
    environment: str | None,
    as_json: bool,
) -> None:
    """Remove what nothing refers to any more.

    Kept is what a branch, a tag, a release in the ledger, a registered model version, or a commit or promotion in
    flight leads to, with all of its history. Without NAME, all data sets are looked at.
    """
    if name is not None:
        pointers.check_name(name)
    stage = session.environment(environment)
    cloud = session.cloud(stage)
    lake = cloud.store("lake")
    if name is not None and next(lake.versions(DatasetKeys(name).root), None) is None:
        raise refs.no_such_dataset(lake, name)
    names = listing.datasets(lake) if name is None else [name]
    result: list[dict[str, object]] = []
    for one in names:
        in_use = partial(data_in_use, cloud, one, stage.models)
        plan = verb.plan(lake, one, now=now(), extra_roots=in_use(), grace=timedelta(days=grace))
        if not as_json:
            _show(plan, delete)
        if delete and (plan.objects or plan.hidden):
            session.confirm(
                stage, f"Remove {render.some(plan.objects, 'object')} of {one} in {stage.name} for good", yes
            )
            with progress.shown() as shown:
                done = verb.execute(plan, lake, extra_roots=in_use, progress=shown)
            tell(f"{one}: removed {render.some(done.objects, 'object')}, {render.size(done.size)}")
            for commit in done.kept_back:
                tell(f"  kept {commit[:12]}: something leads to it by now")
        result.append(_json(plan) | {"deleted": delete})
    if as_json:
        render.as_json(result)


def _show(plan: GcPlan, delete: bool) -> None:
    click.echo(
        f"{plan.dataset}: in use {render.some(len(plan.kept_commits), 'commit')} with "
        f"{render.some(plan.kept_files, 'file')}; not in use {render.some(len(plan.commits), 'commit')}, "
        f"{render.some(plan.objects, 'object')}, {render.size(plan.size)}"
    )
    for kind, versions in plan.garbage.items():
        if versions:
            click.echo(f"  {kind}: {len(versions):,}, {render.size(sum(version.size for version in versions))}")
    for commit in plan.hidden:
        tell(f"  {commit[:12]} is in use, and its header was deleted or changed; --delete puts it back")
    for commit in plan.unknown_roots:
        tell(f"  {commit[:12]} is named by a release or a model version, and is not in this environment")
    if plan.objects and not delete:
        tell(f"  nothing was removed: mlops-kit dataset gc {plan.dataset} --delete")


def _json(plan: GcPlan) -> dict[str, object]:
    return {
        "dataset": plan.dataset,
        "cutoff": plan.cutoff,
        "kept_commits": len(plan.kept_commits),
        "kept_files": plan.kept_files,
        "commits": plan.commits,
        "objects": plan.objects,
        "size": plan.size,
        "garbage": {kind: len(versions) for kind, versions in plan.garbage.items()},
        "hidden": plan.hidden,
        "roots": plan.roots,
        "unknown_roots": plan.unknown_roots,
    }
