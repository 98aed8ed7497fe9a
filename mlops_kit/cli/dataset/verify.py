"""``mlops-kit dataset verify``."""

from __future__ import annotations

import click

from mlops_kit.cli import options, progress, render
from mlops_kit.cli.session import Session, tell
from mlops_kit.datasets import refs
from mlops_kit.datasets import verify as verb
from mlops_kit.datasets.verify import Verification
from mlops_kit.errors import IntegrityError, UsageError

SHOWN = 20


@click.command()
@click.argument("dataset", metavar="NAME[@REV]")
@click.option("--deep", is_flag=True, help="Read and hash every file.")
@click.option("--repair", is_flag=True, help="Make the versions current again that were committed.")
@options.yes
@click.option("--all", "everything", is_flag=True, help="Every commit that a branch or a tag leads to.")
@options.first_stage
@options.as_json
@options.cloud
def command(
    session: Session,
    dataset: str,
    deep: bool,
    repair: bool,
    everything: bool,
    yes: bool,
    environment: str | None,
    as_json: bool,
) -> None:
    """Check that a commit can be read bit for bit; repair it."""
    name, revision = refs.parse(dataset)
    if everything and "@" in dataset:
        raise UsageError("Either one commit or --all.", hint=f"mlops-kit dataset verify {name} --all")
    stage = session.environment(environment)
    lake = session.cloud(stage).store("lake")
    if repair:
        session.confirm(stage, f"Repair {dataset} in {stage.name}", yes)
    with progress.shown() as shown:
        found = (
            list(verb.verify_all(lake, name, deep=deep, repair=repair, progress=shown))
            if everything
            else [verb.verify(lake, name, refs.resolve(lake, name, revision), deep=deep, repair=repair, progress=shown)]
        )
    if not found:
        raise refs.no_such_dataset(lake, name)
    if as_json:
        render.as_json([_json(one) for one in found])
    else:
        for one in found:
            _show(name, one)
    broken = [one for one in found if not one.intact]
    again = [dataset, *(["--all"] if everything else []), *(["--deep"] if deep else []), "--repair"]
    if broken:
        are = "is not as it was" if len(broken) == 1 else "are not as they were"
        raise IntegrityError(
            f"{len(broken)} of {render.some(len(found), 'commit')} of {name} {are} committed.",
            hint=(
                "What no version has any more has to come from elsewhere: another environment, or whoever made it."
                if repair
                else f"Mend what the bucket's older versions allow: mlops-kit dataset verify {' '.join(again)}"
            ),
        )


def _show(name: str, found: Verification) -> None:
    how = f", {found.hashed:,} read and hashed" if found.hashed else ""
    state = "broken" if not found.intact else "repaired" if found.damaged else "intact"
    click.echo(
        f"{name}@{found.commit[:12]}  {state}: {render.some(found.files, 'file')}, {render.size(found.size)}{how}"
    )
    repaired, lost = set(found.repaired), set(found.lost)
    for what, paths in (
        ("record", found.records),
        ("missing", found.missing),
        ("wrong size", found.wrong_size),
        ("wrong digest", found.wrong_digest),
    ):
        for path in paths[:SHOWN]:
            now = "repaired" if path in repaired else "no version has it" if path in lost else ""
            click.echo(f"  {what}: {path}{f' ({now})' if now else ''}")
        if len(paths) > SHOWN:
            tell(f"  and {len(paths) - SHOWN} more; all of them with --json")


def _json(found: Verification) -> dict[str, object]:
    return {
        "commit": found.commit,
        "intact": found.intact,
        "files": found.files,
        "hashed": found.hashed,
        "missing": found.missing,
        "wrong_size": found.wrong_size,
        "wrong_digest": found.wrong_digest,
        "records": found.records,
        "repaired": found.repaired,
        "lost": found.lost,
    }
