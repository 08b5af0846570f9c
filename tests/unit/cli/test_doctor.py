"""Twin of gateway/cli/doctor: what the gateway says of itself, and its surroundings, in plain words with a mend."""

import datetime
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.cli.doctor.outside import certificates, to_be_mended, twilio
from gateway.cli.doctor.symptoms import CHECKS, Symptom, of_metrics, of_readyz
from gateway.config.schema import Config
from gateway.stores.protocols.core import AuditRow

NOW = 1_800_000_000.0


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_each_check_that_fails_is_a_sentence_with_a_mend(name: str) -> None:
    report = {"status": "not ready", "checks": {"store": "ok", name: "unavailable"}}
    found = list(of_readyz(report))
    assert [one.where for one in found] == [f"readyz: {name}"]
    assert found[0].wrong
    assert found[0].mend


def test_a_gateway_that_is_well_or_stops_is_not_wrong() -> None:
    assert list(of_readyz({"status": "ready", "checks": {"store": "ok"}})) == []
    assert [one.wrong for one in of_readyz({"status": "draining", "checks": {}})] == [False]
    assert list(of_readyz("nonsense")) == []


METRICS = """
# TYPE auth_gateway_upstream_up gauge
auth_gateway_upstream_up{route="app",upstream="http://a"} 0.0
auth_gateway_upstream_up{route="app",upstream="http://b"} 1.0
# TYPE auth_gateway_sweep_held gauge
auth_gateway_sweep_held{what="sessions"} 1.0
# TYPE auth_gateway_fault gauge
auth_gateway_fault{fault="key_ring"} 1.0
auth_gateway_fault{fault="disk"} 0.0
# TYPE auth_gateway_redis_forgot_total counter
auth_gateway_redis_forgot_total 2.0
# TYPE auth_gateway_workers_lost_total counter
auth_gateway_workers_lost_total{how="ended"} 3.0
auth_gateway_workers_lost_total{how="hung"} 1.0
# TYPE auth_gateway_audit_archive_failing gauge
auth_gateway_audit_archive_failing 1.0
# TYPE auth_gateway_audit_rows_lost_total counter
auth_gateway_audit_rows_lost_total 9.0
# TYPE auth_gateway_log_lines_lost_total counter
auth_gateway_log_lines_lost_total 7.0
# TYPE auth_gateway_requests_total counter
auth_gateway_requests_total{route="app",status="200",verdict="allow"} 100.0
auth_gateway_requests_total{route="app",status="502",verdict="allow"} 40.0
# TYPE auth_gateway_codes_sent_total counter
auth_gateway_codes_sent_total{factor="sms",outcome="sent"} 1.0
auth_gateway_codes_sent_total{factor="sms",outcome="failed"} 5.0
# TYPE auth_gateway_sms_refused_total counter
auth_gateway_sms_refused_total{reason="hourly"} 30.0
"""


def test_metrics_are_read_aloud() -> None:
    said = {one.where: one for one in of_metrics(METRICS)}
    wrong = ["route app", "sweep", "fault: key_ring", "audit.archive"]
    assert set(said) == {*wrong, "storage.state_url", "workers", "audit", "log", "requests", "codes", "sms"}
    assert "http://a" in said["route app"].problem
    assert "3 workers ended by themselves, 1 of them hung" in said["workers"].problem
    assert [where for where, one in said.items() if one.wrong] == wrong
    quiet = METRICS.replace(" 0.0", " 1.0").replace('sessions"} 1.0', 'sessions"} 0.0')
    quiet = quiet.replace("failing 1.0", "failing 0.0").replace(" 40.0", " 4.0")
    quiet = quiet.replace("total 7.0", "total 0.0").replace("total 9.0", "total 0.0")
    quiet = quiet.replace('disk"} 1.0', 'disk"} 0.0').replace('key_ring"} 1.0', 'key_ring"} 0.0')
    quiet = quiet.replace("forgot_total 2.0", "forgot_total 0.0")
    quiet = quiet.replace('ended"} 3.0', 'ended"} 0.0').replace('hung"} 1.0', 'hung"} 0.0')
    quiet = quiet.replace(" 5.0", " 0.0").replace(" 30.0", " 3.0")
    assert list(of_metrics(quiet)) == []


def config(tmp_path: Path, **sections: object) -> Config:
    return Config.model_validate({"session": {"keys_file": str(tmp_path / "session.keys")}, **sections})


@pytest.mark.parametrize(("days", "wrong"), [(-1, [True]), (5, [False]), (60, [])])
def test_a_certificate_that_ends_is_told_of(tmp_path: Path, days: int, wrong: list[bool]) -> None:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    ends = datetime.datetime.fromtimestamp(NOW, datetime.UTC) + datetime.timedelta(days=days)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(ends - datetime.timedelta(days=90)).not_valid_after(ends)
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (tmp_path / "cert.pem").write_bytes(pem)
    file = str(tmp_path / "cert.pem")
    found = list(certificates(config(tmp_path, server={"tls": {"cert_file": file, "key_file": file}}), NOW))
    assert [one.wrong for one in found] == wrong


def test_what_the_audit_log_asks_to_be_mended_is_said_once_for_each_cause() -> None:
    bad = {"code": "21608", "cause": "unverified number", "mend": "upgrade the account"}
    rows = [
        AuditRow(NOW - 2 * 86400, "send_failed", "old", "", bad),
        AuditRow(NOW - 60, "send_failed", "alice", "", bad),
        AuditRow(NOW - 50, "send_failed", "bob", "", bad),
        AuditRow(NOW - 40, "login", "bob", "", {}),
    ]
    problem = "unverified number (2 times in the last day)"
    assert list(to_be_mended(rows, NOW)) == [
        Symptom("audit: send_failed", problem, "upgrade the account", wrong=False)
    ]


@pytest.mark.parametrize(
    ("status", "account", "said"),
    [
        (200, "active", ""),
        (200, "suspended", "is suspended"),
        (401, "", "20003"),
        (404, "", "no such account"),
    ],
)
async def test_twilio_is_asked_whether_it_takes_our_account(
    tmp_path: Path, status: int, account: str, said: str
) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("Basic ")
        return web.json_response({"status": account}, status=status)

    app = web.Application()
    app.router.add_get("/2010-04-01/Accounts/{sid}.json", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    sid = "AC" + "0" * 32
    sms = {"provider": "twilio", "account_sid": sid, "auth_token": "t", "from": "+15005550006"}
    try:
        found = await twilio(config(tmp_path, sms={**sms, "base_url": f"http://127.0.0.1:{port}"}))
    finally:
        await runner.cleanup()
    assert [said in one.problem for one in found] == ([True] if said else [])


async def test_a_twilio_out_of_reach_is_told_of(tmp_path: Path) -> None:
    sid = "AC" + "0" * 32
    sms = {"provider": "twilio", "account_sid": sid, "auth_token": "t", "from": "+15005550006"}
    found = await twilio(config(tmp_path, sms={**sms, "base_url": "http://127.0.0.1:9"}))
    assert [one.where for one in found] == ["sms.base_url"]
