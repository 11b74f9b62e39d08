"""Moving an alias: the ledger decides by compare-and-set, the registry's alias follows.

Register first (nothing points at it yet), then the ledger entry, then the alias. Whoever comes next lets the alias follow the ledger
again, so a crash between the last two steps heals.
"""

from collections.abc import Sequence
from typing import Literal

from jupyter_mlprod.core.attach import renew
from jupyter_mlprod.core.errors import Code, MlprodError
from jupyter_mlprod.core.evidence import Evidence
from jupyter_mlprod.core.policy import RELEASE_POLICY, Policy
from jupyter_mlprod.core.ports import Ports
from jupyter_mlprod.core.record import digest, short
from jupyter_mlprod.core.release import CHAMPION, Release, holder
from jupyter_mlprod.core.resolve import find_bundle
from jupyter_mlprod.core.verdict import Verdict

Action = Literal["promote", "rollback"]


def release_policy(ports: Ports, name: str = RELEASE_POLICY) -> Policy:
    """The project's policy of that name.

    Raises
    ------
    MlprodError : ``no-policy``.
    """
    policy = ports.policies.get(name)
    if policy is None:
        known = ", ".join(sorted(ports.policies))
        raise MlprodError(
            Code.NO_POLICY, f"{ports.root / 'mlprod.toml'} has no policy {name!r} (there is {known})", hint="mlprod init writes one"
        )
    return policy


def passing_verdict(bundle: str, ports: Ports) -> Verdict:
    """The newest release verdict about exactly this digest, if it passes under the present policy and the present champion.

    Raises
    ------
    MlprodError : ``not-proven`` saying what is wanting.
    """
    policy = release_policy(ports)
    given = [verdict for verdict in ports.records.about(Verdict, bundle) if verdict.scope == "release" and verdict.policy == policy.name]
    hint = f"mlprod gate NOTEBOOK.ipynb, or mlprod gate {short(bundle)}"
    if not given:
        raise MlprodError(Code.NOT_PROVEN, f"{short(bundle)} has no release verdict", hint=hint)
    newest = max(given, key=lambda verdict: (verdict.decided_at, digest(verdict)))
    if newest.policy_digest != digest(policy):
        raise MlprodError(Code.NOT_PROVEN, f"the policy has changed since {short(bundle)} was judged", hint=hint)
    if newest.outcome != "pass":
        raise MlprodError(
            Code.NOT_PROVEN,
            f"the newest release verdict on {short(bundle)} is {newest.outcome}",
            hint=f"mlprod show {short(digest(newest))}",
        )
    later = [record for record in ports.records.about(Evidence, bundle) if record.taken_at > newest.decided_at]
    if any(record.kind in ("quality", "latency", "contract") for record in later):
        raise MlprodError(Code.NOT_PROVEN, f"{short(bundle)} has been measured again since it was judged", hint=hint)
    return newest


def check_comparison(verdict: Verdict, policy: Policy, ports: Ports, *, name: str, bundle: str) -> Sequence[Release]:
    """Refuse a verdict whose relative rules were judged against another champion than today's; the moves of today are given back.

    Raises
    ------
    MlprodError : ``not-proven``.
    """
    entries = ports.ledger.entries(name)
    if not any(rule.relative for rule in policy.rules):
        return entries
    held = holder(entries, CHAMPION)
    today = held.bundle if held else ""
    looked_at = [record for record in map(ports.records.get, verdict.evidence) if isinstance(record, Evidence)]
    by_runner = [record for record in looked_at if record.kind == "release" and record.taken_by == "runner"]
    if today not in {bundle, *(record.context.get("champion", "") for record in by_runner)}:
        what = f"{short(bundle)} was not compared with today's champion {short(today)}"
        raise MlprodError(Code.NOT_PROVEN, what, hint="evaluate and gate it again")
    return entries


def move_alias(
    entries: Sequence[Release], alias: str, bundle: str, ports: Ports, *, name: str, action: Action, verdict: str, why: str
) -> Release:
    """Let ``bundle`` hold the alias; a bundle that holds it already is left as it is.

    Parameters
    ----------
    entries : the moves of this name that the caller has decided on; when there are more by now, nothing moves

    Raises
    ------
    MlprodError : ``ledger-moved`` when somebody was faster, ``registry-away``.
    """
    held = holder(entries, alias)
    if held is not None and held.bundle == bundle:
        follow(name, alias, ports)
        ports.tell(f"{name}@{alias} is {short(bundle)} (version {held.version}) already")
        return held
    found = find_bundle(bundle, ports)
    if action == "promote":
        renew(found, ports)  # what goes to the registry has the card of today, with the verdict
    version = ports.registry.register(name, found.folder, bundle)
    entry = Release(
        name=name,
        alias=alias,
        bundle=bundle,
        state="held",
        action=action,
        actor=ports.machine.origin(notebook="", run="").actor,
        at=ports.now(),
        why=why,
        verdict=verdict,
        version=version,
        previous=held.bundle if held else "",
    )
    release = ports.ledger.append(entry, after=len(entries))
    follow(name, alias, ports)
    ports.records.put(release)
    return release


def follow(name: str, alias: str, ports: Ports) -> None:
    """Let the registry's alias follow the ledger. Whoever sets it looks again afterwards: somebody may have been faster in between."""
    version = 0
    while (held := holder(ports.ledger.entries(name), alias)) is not None and held.version != version:
        version = held.version
        ports.registry.set_alias(name, alias, version)
