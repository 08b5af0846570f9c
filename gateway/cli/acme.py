"""`auth-gateway acme …`: which certificate was got, when it is renewed, what went wrong; and asking for a new one."""

from pathlib import Path
from typing import Any

import click

from gateway.cli.context import Opened, config_option, json_option, moment, print_json, run
from gateway.errors import GatewayError
from gateway.server.tls.acme.build import acme_records
from gateway.server.tls.acme.records import AcmeRecords


@click.group()
def acme() -> None:
    """See and renew the certificate that is got by ACME."""


@acme.command()
@json_option
@config_option
def status(as_json: bool, config_file: Path) -> None:
    """Say for which names there is a certificate, when it ends and is renewed, and why it could not be."""
    facts = run(config_file, _facts)
    if as_json:
        print_json(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name}\t{', '.join(value) if isinstance(value, list) else value or '-'}")


@acme.command()
@config_option
def renew(config_file: Path) -> None:
    """Have the running gateway order a new certificate within two minutes, also after failures."""

    async def work(opened: Opened) -> None:
        records = _records(opened)
        await records.want(opened.clock())
        await opened.record("certificate_wanted")

    run(config_file, work)
    click.echo("the gateway orders a new certificate within two minutes; see `auth-gateway acme status`")


async def _facts(opened: Opened) -> dict[str, Any]:
    records = _records(opened)
    bundle, state, account = await records.certificate(), await records.state(), await records.account()
    tls = opened.config.server.tls
    section = tls.acme if tls is not None else None
    assert section is not None
    facts: dict[str, Any] = {
        "directory": section.directory,
        "account": account[1] if account else "",
        "hosts": list(section.hosts),
        "certificate": "",
    }
    if bundle is not None:
        good = bundle.is_for(section.hosts) and opened.clock() < bundle.not_after
        facts["certificate"] = bundle.serial
        facts["names"] = list(bundle.names)
        facts["good"] = "yes" if good else "no"
        facts["since"] = moment(bundle.not_before)
        facts["ends"] = moment(bundle.not_after)
        facts["renewed"] = moment(state.renew_at(bundle))
        facts["renewal_window"] = [moment(one) for one in state.window or ()]
    if await records.wanted_at() > max(state.ordered_at, state.failed_at):
        facts["wanted"] = "a new certificate was asked for"
    if state.failures:
        facts["failures"] = str(state.failures)
        facts["cause"] = state.cause
        facts["next_try"] = moment(state.retry_at)
    return facts


def _records(opened: Opened) -> AcmeRecords:
    tls = opened.config.server.tls
    if tls is None or tls.acme is None:
        raise GatewayError("there is no `server.tls.acme` in this configuration (docs/certificates.md)")
    return acme_records(tls.acme, opened.engine, opened.keys, opened.state.ledger)
