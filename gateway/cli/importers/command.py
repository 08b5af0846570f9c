"""`auth-gateway import`: users, second factors and rules of other gateways. `--apply` does what it tells."""

from dataclasses import replace
from pathlib import Path

import click

from gateway.cli.context import config_option
from gateway.cli.importers import tinyauth, vouch
from gateway.cli.importers.apply import take_over
from gateway.cli.importers.authelia import storage as authelia_storage
from gateway.cli.importers.authelia import users_and_hosts
from gateway.cli.importers.environment import read_environment
from gateway.cli.importers.findings import Found, joined
from gateway.cli.importers.oauth2_proxy.options import read_options
from gateway.cli.importers.oauth2_proxy.upstreams import read_configuration, read_people
from gateway.cli.importers.pomerium import routes as pomerium
from gateway.directory.user_files import ImportedUser, read_htpasswd

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
apply_option = click.option("--apply", is_flag=True, help="Do it; without, only tell what would be done.")
output_option = click.option(
    "--output", type=click.Path(path_type=Path), help="Write the configuration there instead of printing it."
)
only_group_option = click.option(
    "--only-group",
    default="",
    metavar="NAME",
    help="A group that stands in for limits on who may pass that can't be said here.",
)


@click.group("import")
def import_from() -> None:
    """Take over users, second factors and rules from another gateway."""


@import_from.command("authelia")
@click.option("--users", type=_FILE, help="users_database.yml")
@click.option("--configuration", type=_FILE, help="configuration.yml")
@click.option("--storage", type=_FILE, help="db.sqlite3, for authenticator apps.")
@click.option("--storage-url", default="", help="postgresql://… instead of a SQLite file.")
@click.option("--encryption-key-file", type=_FILE, help="storage.encryption_key, in a file.")
@click.option(
    "--ignore-queries", is_flag=True, help="Let rules that also look at queries decide by path alone."
)
@output_option
@apply_option
@config_option
def from_authelia(
    users: Path | None,
    configuration: Path | None,
    storage: Path | None,
    storage_url: str,
    encryption_key_file: Path | None,
    ignore_queries: bool,
    output: Path | None,
    apply: bool,
    config_file: Path,
) -> None:
    """Users with their hashes, access rules, and authenticator apps of Authelia."""
    if (storage or storage_url) and encryption_key_file is None:
        raise click.UsageError("--storage needs --encryption-key-file.")
    if not (users or configuration or storage or storage_url):
        raise click.UsageError("Nothing to read: say --users, --configuration or --storage.")

    async def read() -> Found:
        parts = [users_and_hosts.read_users(_text(users))] if users else []
        if configuration:
            options = users_and_hosts.Options(ignore_queries=ignore_queries)
            parts.append(users_and_hosts.read_configuration(_text(configuration), options))
        if encryption_key_file and (storage or storage_url):
            parts.append(
                await _from_storage(storage, storage_url, _text(encryption_key_file).strip().encode())
            )
        return joined(parts)

    take_over("authelia", read, output, config_file, apply=apply)


async def _from_storage(storage: Path | None, url: str, passphrase: bytes) -> Found:
    if storage:
        stored = authelia_storage.from_sqlite(storage)
    else:
        stored = await authelia_storage.from_postgres(url)
    return authelia_storage.read_storage(stored, passphrase)


@import_from.command("oauth2-proxy")
@click.option("--cfg", type=_FILE, help="oauth2-proxy.cfg")
@click.option("--flags", type=_FILE, help="A file with its command line.")
@click.option("--env-file", type=_FILE, help="A file with its OAUTH2_PROXY_… variables.")
@click.option("--htpasswd", type=_FILE, help="The file of --htpasswd-file.")
@click.option("--emails", type=_FILE, help="The file of --authenticated-emails-file.")
@only_group_option
@output_option
@apply_option
@config_option
def from_oauth2_proxy(
    cfg: Path | None,
    flags: Path | None,
    env_file: Path | None,
    htpasswd: Path | None,
    emails: Path | None,
    only_group: str,
    output: Path | None,
    apply: bool,
    config_file: Path,
) -> None:
    """Upstreams, exceptions and users of oauth2-proxy."""

    async def read() -> Found:
        environment = read_environment(_text(env_file))
        options = read_options(_text(cfg), _text(flags), environment)
        people = read_people(_text(htpasswd), _text(emails), options)
        rules = read_configuration(options, people, emails=emails is not None, only_group=only_group)
        return joined([people, rules])

    take_over("oauth2-proxy", read, output, config_file, apply=apply)


@import_from.command("tinyauth")
@click.option("--env-file", type=_FILE, required=True, help="A file with its variables, USERS among them.")
@click.option("--users-file", type=_FILE, help="The file of USERS_FILE.")
@output_option
@apply_option
@config_option
def from_tinyauth(
    env_file: Path, users_file: Path | None, output: Path | None, apply: bool, config_file: Path
) -> None:
    """Users of TinyAuth with their hashes and authenticator apps."""

    async def read() -> Found:
        return tinyauth.read_configuration(read_environment(_text(env_file)), _text(users_file))

    take_over("tinyauth", read, output, config_file, apply=apply)


@import_from.command("vouch")
@click.option("--configuration", type=_FILE, required=True, help="config.yml")
@only_group_option
@output_option
@apply_option
@config_option
def from_vouch(
    configuration: Path, only_group: str, output: Path | None, apply: bool, config_file: Path
) -> None:
    """Hosts and who may pass of Vouch Proxy."""

    async def read() -> Found:
        return vouch.read_configuration(_text(configuration), only_group)

    take_over("vouch", read, output, config_file, apply=apply)


@import_from.command("pomerium")
@click.option("--configuration", type=_FILE, required=True, help="config.yaml")
@output_option
@apply_option
@config_option
def from_pomerium(configuration: Path, output: Path | None, apply: bool, config_file: Path) -> None:
    """Routes and policies of Pomerium."""

    async def read() -> Found:
        return pomerium.read_configuration(_text(configuration))

    take_over("pomerium", read, output, config_file, apply=apply)


@import_from.command("htpasswd")
@click.argument("file", type=_FILE)
@click.option("--group", "groups", multiple=True, help="Put all of them into this group.")
@apply_option
@config_option
def from_htpasswd(file: Path, groups: tuple[str, ...], apply: bool, config_file: Path) -> None:
    """Users of an htpasswd file with their hashes."""

    async def read() -> Found:
        lines = read_htpasswd(_text(file))
        people = (
            replace(one, user=replace(one.user, groups=groups)) if isinstance(one, ImportedUser) else one
            for one in lines
        )
        return Found(people=tuple(people))

    take_over("htpasswd", read, None, config_file, apply=apply)


def _text(file: Path | None) -> str:
    return file.read_text(encoding="utf-8-sig") if file else ""
