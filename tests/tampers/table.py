"""Each tamper: what is done, how the promotion has to end, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from mlops_kit.naming import NETWORK_KEY
from mlops_kit.signing import bundle
from tests.aws.project import MODEL
from tests.tampers import acts, records
from tests.tampers.scene import BOB, OTHER_IMAGE, Scene, approve, write_test

CHANGES_WHAT_RUNS = {
    "CreateModelPackage",
    "UpdateModelPackage",
    "CreateModel",
    "CreateEndpointConfig",
    "UpdateEndpoint",
    "DeleteModel",
    "DeleteEndpointConfig",
    "UpdateSchedule",
}
PROMOTE = ("promote", "model", f"{MODEL}@3", "--to", "staging", "--yes")
VERIFY = ("ledger", "verify", MODEL, "--in", "staging")
BYTES, GATE = 7, 3

Tampers = dict[str, tuple[Callable[[Scene], object], int, str]]

ARTIFACT: Tampers = {
    "a byte of the artifact": (acts.artifact(b"artifact 4"), BYTES, "digests"),
    "the artifact is longer": (acts.artifact(b"artifact 3 and more"), BYTES, "digests"),
    "the artifact is empty": (acts.artifact(b""), BYTES, "digests"),
    "another version's artifact": (acts.artifact(b"artifact 2"), BYTES, "digests"),
    "the artifact is overwritten": (acts.overwritten("artifact", b"artifact 4"), BYTES, "overwritten"),
    "the artifact is overwritten with itself": (acts.overwritten("artifact", b"artifact 3"), BYTES, "overwritten"),
    "the artifact is missing": (acts.gone("artifact"), BYTES, "missing"),
    "the artifact is hidden": (acts.hidden("artifact"), BYTES, "deleted"),
    "the metrics are missing": (acts.gone("metrics"), BYTES, "missing"),
    "the metrics are hidden": (acts.hidden("metrics"), BYTES, "deleted"),
    "better metrics": (acts.overwritten("metrics", b'{"accuracy":0.999}'), BYTES, "overwritten"),
    "the metrics rot": (acts.rot("metrics", b'{"accuracy":0.99}'), BYTES, "the metrics could not be read"),
    "another baseline": (acts.overwritten("statistics", b'{"version":4}'), BYTES, "overwritten"),
    "other constraints": (acts.overwritten("constraints", b'{"of":4}'), BYTES, "overwritten"),
    "the constraints are hidden": (acts.hidden("constraints"), BYTES, "deleted"),
    "another artifact lies in the target": (acts.there_already("artifact", b"artifact 4"), BYTES, ""),
    "other metrics lie in the target": (acts.there_already("metrics", b'{"accuracy":0.999}'), BYTES, ""),
    "another signature lies in the target": (acts.there_already("signature", b"{}"), BYTES, ""),
}
PACKAGE: Tampers = {
    "the package names another version's artifact": (acts.swapped, GATE, "approvals"),
    "the package names an artifact that nobody has": (acts.metadata(artifact_sha256="f" * 64), BYTES, "missing"),
    "the package names no artifact": (acts.without("artifact_sha256"), BYTES, "does not say which artifact"),
    "the package names other data": (acts.metadata(dataset_commit="f" * 64), BYTES, "data"),
    "the package names another data set": (acts.metadata(dataset="other"), BYTES, "data"),
    "the package names no training job": (acts.without("training_job"), GATE, "the training job"),
    "the package names no code": (acts.without("source_sha256"), GATE, "the code"),
    "the package names another image": (acts.metadata(image_digest=OTHER_IMAGE), GATE, "was registered with"),
    "the package has no model": (lambda scene: scene.package().pop("InferenceSpecification"), BYTES, "not registered"),
    "the image is gone": (acts.no_image, GATE, "is not in the registry"),
    "the image has new findings": (acts.findings, GATE, "image scan"),
    "the target's pointer names another artifact": (acts.points_to(1), BYTES, "another artifact"),
    "the target's pointer is no pointer": (acts.points_to(None), BYTES, "names no version"),
}
SIGNATURE: Tampers = {
    "no signature": (acts.gone("signature"), BYTES, "is not signed"),
    "a byte of the signature": (
        acts.signed(lambda _, found: bundle.dump(replace(found, signature=acts.flip(found.signature)))),
        BYTES,
        "did not sign this",
    ),
    "a byte of what was signed": (
        acts.signed(lambda _, found: bundle.dump(replace(found, payload=acts.flip(found.payload)))),
        BYTES,
        "did not sign this",
    ),
    "another artifact's signature": (
        acts.signed(lambda scene, _: scene.body("dev", "artifacts", scene.key("signature", 2))),
        BYTES,
        "another artifact",
    ),
    "another model's signature": (
        acts.signed(lambda scene, _: acts.made_by(scene, "dev", "other", scene.sha256)),
        BYTES,
        "signed as model",
    ),
    "a later stage's key": (
        acts.signed(lambda scene, _: acts.made_by(scene, "production", MODEL, scene.sha256)),
        BYTES,
        "not trusted here",
    ),
    "another key under the right name": (
        acts.signed(lambda scene, found: acts.made_by(scene, "production", MODEL, scene.sha256, hint=found.hint)),
        BYTES,
        "did not sign this",
    ),
    "a signature of another kind": (acts.signed(lambda *_: b'{"mediaType":"x"}'), BYTES, "media type"),
    "a signature that is no JSON": (acts.signed(lambda *_: b"[" * 5000), BYTES, "signature"),
    "a signature of a megabyte": (acts.signed(lambda *_: b" " * 1024 * 1024), BYTES, "no signature is longer"),
    "the signature is overwritten": (acts.overwritten("signature", b"{}"), BYTES, "media type"),
}
DATA: Tampers = {
    "a data file is another": (acts.lake_object("file", lambda _: b"9"), BYTES, ""),
    "a data file is missing": (acts.lake_gone("file"), BYTES, ""),
    "the file list is another": (
        acts.lake_object("list", acts.listing({"a.csv": b"9", "b.csv": b"2"})),
        BYTES,
        "file list",
    ),
    "the file list has less": (acts.lake_object("list", acts.listing({"a.csv": b"1"})), BYTES, "file list"),
    "the file list has more": (
        acts.lake_object("list", acts.listing({"a.csv": b"1", "b.csv": b"2", "c": b""})),
        BYTES,
        "file list",
    ),
    "the file list is no gzip": (acts.lake_object("list", lambda _: b"x"), BYTES, "cannot be unpacked"),
    "the file list is missing": (acts.lake_gone("list"), BYTES, "is missing"),
    "the header is another": (
        acts.lake_object("header", lambda s: replace(s.commit, author="evil").to_json()),
        BYTES,
        "header",
    ),
    "the header is another commit's": (acts.lake_object("header", lambda _: b"{}"), BYTES, "header"),
    "the header is missing": (acts.lake_gone("header"), BYTES, "data"),
    "another file lies in the target": (acts.target_file, BYTES, ""),
    "another header lies in the target": (acts.target_header, BYTES, "header"),
    "the target's ref is no ref": (acts.target_ref, BYTES, "does not say where it points"),
    "the data test of another commit": (lambda scene: write_test(scene, commit="f" * 64), BYTES, "is about"),
    "the data test that failed was edited": (
        acts.tested(lambda body: body.replace(b'"passed":true', b'"passed":false')),
        BYTES,
        "contradicts itself",
    ),
    "the data test is no JSON": (acts.tested(lambda _: b"[" * 5000), BYTES, "cannot be read"),
}
LEDGER: Tampers = {
    "an event was edited": (records.edited_event(1, actor="arn:somebody-else"), BYTES, "chain breaks"),
    "the last event was edited": (records.edited_event(2, previous="f" * 64), BYTES, "chain breaks"),
    "an event was edited and the chain made anew": (records.forged, BYTES, "several versions"),
    "an event is missing": (records.event_gone(1), BYTES, "where event 1 should be"),
    "an event is hidden": (records.event_hidden(1), BYTES, "event"),
    "the last event is hidden": (records.event_hidden(2), BYTES, "event"),
    "events were put in another order": (records.reordered, BYTES, "holds another event"),
    "an event was added out of order": (records.inserted, BYTES, "where event 3 should be"),
    "an event of another ledger": (records.other_ledger, BYTES, "holds another event"),
    "an event with another field": (
        records.event_bytes(lambda body: b'{"x":1,' + body[1:]),
        BYTES,
        "not a ledger event",
    ),
    "an event with a key twice": (
        records.event_bytes(lambda body: b'{"actor":"x",' + body[1:]),
        BYTES,
        "not a ledger event",
    ),
    "an event with spaces": (records.event_bytes(lambda body: body + b" "), BYTES, "not a ledger event"),
    "an event that is cut off": (records.event_bytes(lambda body: body[:-9]), BYTES, "not a ledger event"),
    "an event rots": (records.event_rots, BYTES, ""),
    "the network's settings were edited": (
        lambda scene: scene.swap("staging", "artifacts", NETWORK_KEY, b'{"subnets":["subnet-evil"]}'),
        BYTES,
        "does not say where jobs run",
    ),
}
APPROVALS: Tampers = {
    "no approval": (records.only(lambda _: None), GATE, "0 of 1"),
    "an approval that was edited": (
        records.edited_approval(lambda said: {**said, "by": "arn:x"}),
        BYTES,
        "not the decision",
    ),
    "an approval for another target": (
        records.renamed_approval(target="production"),
        GATE,
        "0 of 1",
    ),
    "an approval of another artifact": (records.only(lambda s: approve(s, sha256=s.world.trained[1])), GATE, "0 of 1"),
    "an approval that was moved to another artifact": (records.only(records.moved_approval), BYTES, "not the decision"),
    "an approval of another model": (records.renamed_approval(model="other"), BYTES, "not the decision"),
    "an approval that expired": (records.only(lambda scene: approve(scene, hours=73)), GATE, "expired"),
    "an approval whose end was put off": (
        records.only(lambda s: (approve(s, hours=73), records.renamed_approval(expires="2027-01-01T00:00:00Z")(s))),
        GATE,
        "expired",
    ),
    "an approval of tomorrow": (records.only(lambda scene: approve(scene, hours=-24)), GATE, "yet to come"),
    "an approval by who promotes": (
        records.only(lambda s: approve(s, by=BOB.replace("bob", "alice"))),
        GATE,
        "who asks",
    ),
    "an approval that was overwritten": (records.approval_twice, BYTES, "overwritten or deleted"),
    "a rejection that was deleted": (records.approval_hidden, BYTES, "overwritten or deleted"),
    "a rejection": (lambda s: approve(s, "reject", by=BOB.replace("bob", "carol")), GATE, "rejected by"),
    "an approval that is no JSON": (records.edited_approval(lambda _: {"a": 1}), BYTES, "not the decision"),
}
PLANS: Tampers = {
    "something else lies where the plan belongs": (records.planned(b"{}"), BYTES, "is not the plan with this digest"),
    "an empty plan lies where it belongs": (records.planned(b""), BYTES, "is not the plan with this digest"),
}
EVERYTHING = {**ARTIFACT, **PACKAGE, **SIGNATURE, **DATA, **LEDGER, **APPROVALS, **PLANS}
"""What is done, how the promotion ends (7: bytes are not what they should be, 3: a gate refuses), and what it says."""

BEHIND: Tampers = {
    **{name: tamper for name, tamper in LEDGER.items() if "network" not in name},
    "a plan was edited": (records.plan_behind(lambda body: body + b" "), BYTES, "was edited"),
    "a plan is missing": (records.plan_behind(None), BYTES, "is missing"),
    "a plan was exchanged": (records.plan_behind(lambda _: b'{"format":1,"to":"x"}'), BYTES, "was edited"),
    "a plan was overwritten": (records.plan_twice, BYTES, "was overwritten"),
    "a plan was deleted": (records.plan_hidden, BYTES, "was deleted"),
    "a plan lies in another model's place": (records.plan_moved, BYTES, "is missing"),
    "an approval was edited": (records.edited_approval(lambda said: {**said, "by": "arn:x"}), BYTES, "was edited"),
    "an approval was overwritten": (records.approval_twice, BYTES, "overwritten"),
    "a rejection was deleted": (records.approval_hidden, BYTES, "deleted"),
    "something that does not belong there": (
        lambda s: s.world.put(s.name("staging", "ledger"), f"{MODEL}/notes.txt", b"x"),
        BYTES,
        "is no event",
    ),
}
"""What ``ledger verify`` has to find."""


def refusal(scene: Scene, name: str) -> list[str]:
    """Tamper with the scene, then promote: what is not as it has to be. Nothing is registered, changed or recorded."""
    tamper, code, says = EVERYTHING[name]
    tamper(scene)
    before = _of_sagemaker(scene)
    scene.world.aws.calls.clear()
    done = scene.world.cli(*PROMOTE)
    called = sorted(CHANGES_WHAT_RUNS & {call.operation for call in scene.world.aws.calls})
    found = {
        f"it ended with {done.code}, not {code}: {done.err}": done.code != code,
        f"it did not say {says!r}: {done.err}": says not in done.err,
        f"it printed {done.out!r}, which a script would take for a release": done.out != "",
        f"it called {', '.join(called)}": called != [],
        "something was registered or deployed": _of_sagemaker(scene) != before,
        "something was recorded": scene.bucket("staging", "ledger").newest(scene.event_key(3)) is not None,
    }
    return [problem for problem, there in found.items() if there]


def _of_sagemaker(scene: Scene) -> list[Any]:
    there = scene.world.aws.sagemaker.state["222222222222"]
    versions = {name: group.last for name, group in there.groups.items()}
    return [sorted(there.models), sorted(there.configs), versions, dict(there.endpoints)]
