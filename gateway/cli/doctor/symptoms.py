"""What the doctor finds, and what the running gateway's own answers (readyz, metrics) mean. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite

from prometheus_client.parser import text_string_to_metric_families

from gateway.clock import TOLERANCE


@dataclass(frozen=True, slots=True)
class Symptom:
    """Something that is wrong, or (`wrong` False) that somebody should look at. `where` is a key or a part."""

    where: str
    problem: str
    mend: str
    wrong: bool = True


FAULTS: Mapping[str, tuple[str, str]] = {
    "descriptors": (
        "hardly any file descriptor is left: new connections will fail",
        "raise the limit (systemd LimitNOFILE, ulimit -n), or lower server.limits.connections",
    ),
    "database_file": (
        "the SQLite file was deleted or replaced under the gateway: what is written is lost",
        "restore the file and restart",
    ),
    "disk": (
        "hardly any room is left on the disk of the database",
        "make room; nothing needs to be started again",
    ),
    "key_ring": (
        "the key ring can't be read: the keys in memory are used until the gateway is stopped",
        "restore session.keys_file from a backup, or copy it from another replica (docs/backup.md)",
    ),
}
"""By the label of auth_gateway_fault."""
CHECKS: Mapping[str, tuple[str, str]] = {
    "store": ("the database does not answer", "start it, or mend storage.url; the log has its error"),
    "state": ("Redis does not answer", "start it, or mend storage.state_url; nobody can sign in meanwhile"),
    "writes": (
        "the stores answer but take no writes: nobody can sign in",
        "look for a full disk, a read-only replica, a locked SQLite file, or a Redis at maxmemory",
    ),
    "clock": (f"this machine's clock is more than {TOLERANCE:.0f} s off", "mend its time service (NTP)"),
    "directory": ("the directory does not answer", "start the LDAP server, or mend `directory`"),
    "certificate": (
        "there is no certificate by ACME, or it has ended: browsers refuse the gateway",
        "`auth-gateway acme status` says why",
    ),
    "engine": ("Envoy, which carries the traffic, does not serve", "see its lines in the log"),
}
"""By the names of readyz."""


def of_readyz(said: object) -> Iterator[Symptom]:
    """Translate the report of readyz."""
    report = said if isinstance(said, dict) else {}
    if report.get("status") == "draining":
        yield Symptom("readyz", "the gateway is stopping or reloading", "wait, then ask again", wrong=False)
    checks = report.get("checks", {})
    for name, outcome in checks.items() if isinstance(checks, dict) else ():
        if outcome != "ok":
            problem, mend = CHECKS.get(str(name), (f"{name} is {outcome}", "the log names the cause"))
            yield Symptom(f"readyz: {name}", problem, mend)


def of_metrics(text: str) -> Iterator[Symptom]:
    """Translate what the metrics of all workers say since their start."""
    values = _values(text)
    for labels, value in values.get("auth_gateway_upstream_up", []):
        if value == 0:
            problem = f"the app {labels.get('upstream', '')} does not answer"
            yield Symptom(f"route {labels.get('route', '')}", problem, "start it, or mend `upstream`")
    for labels, value in values.get("auth_gateway_sweep_held", []):
        if value:
            problem = f"more than half of all {labels.get('what', 'rows')} have expired at once; they are kept for now"
            yield Symptom("sweep", problem, "look at the clock of the database; if it is right, do nothing")
    for labels, value in values.get("auth_gateway_fault", []):
        if value:
            name = labels.get("fault", "")
            problem, mend = FAULTS.get(name, (f"fault: {name}", "the log names the cause"))
            yield Symptom(f"fault: {name}", problem, mend)
    if forgot := _sum(values, "auth_gateway_redis_forgot_total"):
        problem = f"Redis has lost what it kept, {forgot:.0f} times: attempts, locks and used codes are gone"
        yield Symptom(
            "storage.state_url", problem, "docs/replicas.md says how it must be set up", wrong=False
        )
    if _sum(values, "auth_gateway_workers_lost_total"):
        each = {labels.get("how"): value for labels, value in values["auth_gateway_workers_lost_total"]}
        problem = (
            f"{each.get('ended', 0):.0f} workers ended by themselves, {each.get('hung', 0):.0f} of them hung"
        )
        yield Symptom("workers", problem, "each was replaced; see what the log says before", wrong=False)
    if _sum(values, "auth_gateway_audit_archive_failing"):
        problem = "the audit log can't be archived, so none of it is deleted"
        yield Symptom("audit.archive", problem, "look at the folder, its disk and its key file")
    if lost := _sum(values, "auth_gateway_audit_rows_lost_total"):
        problem = f"{lost:.0f} rows of the audit log were not stored: the database took none for long"
        yield Symptom("audit", problem, "mend the database; the log has every event", wrong=False)
    if _sum(values, "auth_gateway_certificate_overdue"):
        problem = "the certificate by ACME is missing or ends soon, and was not renewed"
        yield Symptom("server.tls.acme", problem, "`auth-gateway acme status` says why", wrong=False)
    if lost := _sum(values, "auth_gateway_log_lines_lost_total"):
        problem = f"{lost:.0f} lines of the log were lost: whatever reads standard output is too slow"
        yield Symptom("log", problem, "look at the journal or the container's log driver", wrong=False)
    yield from _answers(values)
    yield from _codes(values)


_Values = dict[str, list[tuple[dict[str, str], float]]]
_MANY, _SHARE = 20, 0.05


def _answers(values: _Values) -> Iterator[Symptom]:
    counted = values.get("auth_gateway_requests_total", [])
    every = sum(value for _, value in counted)
    failed = sum(value for labels, value in counted if labels.get("status", "").startswith("5"))
    if failed >= _MANY and failed > every * _SHARE:
        problem = f"{failed:.0f} of {every:.0f} requests since the start were answered with an error (5xx)"
        mend = "502 and 504 are the app, 503 a store: the lines `request ID: CAUSE` in the log say which"
        yield Symptom("requests", problem, mend, wrong=False)


def _codes(values: _Values) -> Iterator[Symptom]:
    sent = values.get("auth_gateway_codes_sent_total", [])
    failed = sum(value for labels, value in sent if labels.get("outcome") != "sent")
    if failed and failed * 2 > sum(value for _, value in sent):
        problem = f"{failed:.0f} codes could not be handed to a provider since the start"
        yield Symptom(
            "codes", problem, "`auth-gateway audit tail --event send_failed` has cause and mend", wrong=False
        )
    refused = values.get("auth_gateway_sms_refused_total", [])
    for labels, value in refused:
        if value >= _MANY:
            problem = f"{value:.0f} SMS were not allowed: {labels.get('reason', '')}"
            yield Symptom(
                "sms", problem, "`auth-gateway sms status`; docs/sms.md has the runbook", wrong=False
            )


def _values(text: str) -> _Values:
    found: _Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if isfinite(sample.value):
                found.setdefault(sample.name, []).append((dict(sample.labels), float(sample.value)))
    return found


def _sum(values: _Values, name: str) -> float:
    return sum(value for _, value in values.get(name, []))
