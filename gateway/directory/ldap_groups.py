"""The groups of an LDAP user, also through groups that are members of groups; and the users of a group.

Whoever is in more groups than can be read in full is nobody: a rule may deny one that would be missing.
"""

from collections import deque
from collections.abc import Iterator, Sequence

from ldap3.utils.conv import escape_filter_chars
from ldap3.utils.dn import parse_dn

from gateway.config.schema import DirectoryLdap
from gateway.directory.ldap_entries import LdapEntry, group_name
from gateway.directory.ldap_servers import Incomplete, LdapServers

MOST = 1000
"""Groups of one user."""
DEEPEST = 20
"""Steps from a user to a group."""
_AT_ONCE = 50
"""Groups in one question."""
_CHAIN = ":1.2.840.113556.1.4.1941:"
"""LDAP_MATCHING_RULE_IN_CHAIN (MS-ADTS §3.1.1.3.4.4): Active Directory follows nested groups itself."""
_LOOKED_AT = 20
"""Entries looked at, for each user that is wanted of a group."""
_MEMBERS = ("member", "uniqueMember", "memberUid")


class TooManyGroups(Exception):
    """Somebody is in more groups than can be read."""


class LdapGroups:
    """Finds groups by the settings: from an attribute of the user, or by a search."""

    def __init__(self, settings: DirectoryLdap, servers: LdapServers) -> None:
        self._settings, self._servers = settings, servers

    def of(self, entry: LdapEntry) -> Sequence[str]:
        """DNs of the groups. Raises TooManyGroups, and what a search raises."""
        settings = self._settings
        if settings.group_base_dn is None:
            return self._named_in(entry)
        if settings.nested_groups == "matching_rule":
            return list(self._found(f"(member{_CHAIN}={escape_filter_chars(entry.dn)})").values())
        name = entry.text(settings.attributes.username)
        question = settings.group_filter.replace("{dn}", escape_filter_chars(entry.dn))
        found = self._found(question.replace("{username}", escape_filter_chars(name)))
        if settings.nested_groups == "search":
            self._add_groups_of_groups(found)
        return list(found.values())

    def _named_in(self, entry: LdapEntry) -> Sequence[str]:
        attribute = self._settings.attributes.groups
        ranged = (
            f"{attribute};range=".lower()
        )  # Active Directory gives the first 1500 only (MS-ADTS §3.1.1.3.1.3.3)
        if any(name.lower().startswith(ranged) for name in entry.raw):
            raise TooManyGroups
        return entry.texts(attribute)

    def _found(self, question: str) -> dict[str, str]:
        """DNs by what they are compared by."""
        found: dict[str, str] = {}
        try:
            for page in self._servers.pages(str(self._settings.group_base_dn), question, ("cn",)):
                found |= {one.dn.lower(): one.dn for one in page}
                if len(found) > MOST:
                    raise TooManyGroups
        except Incomplete:
            raise TooManyGroups from None
        return found

    def _add_groups_of_groups(self, found: dict[str, str]) -> None:
        """Each group is asked about once, so groups that are members of each other end, too."""
        new = list(found.values())
        for _ in range(DEEPEST):
            above: dict[str, str] = {}
            for begin in range(0, len(new), _AT_ONCE):
                above |= self._found(self._about(new[begin : begin + _AT_ONCE]))
            new = [dn for key, dn in above.items() if key not in found]
            found |= above
            if not new:
                return
            if len(found) > MOST:
                raise TooManyGroups
        raise TooManyGroups

    def _about(self, groups: Sequence[str]) -> str:
        each = self._settings.group_filter
        return f"(|{''.join(each.replace('{dn}', escape_filter_chars(dn)) for dn in groups)})"

    # -- the other way round ---------------------------------------------------------------------------------------

    def entries_in(self, names: Sequence[str], attributes: Sequence[str], limit: int) -> Iterator[LdapEntry]:
        """Yield entries that may be of users in any of these groups, after at most some lookups for each of `limit`."""
        settings = self._settings
        everyone = settings.user_filter.replace("{username}", "*")
        groups = self._named(names, limit)
        by_attribute = settings.group_base_dn is None
        if groups and (by_attribute or settings.nested_groups == "matching_rule"):
            rule = "" if by_attribute else _CHAIN
            key = settings.attributes.groups
            any_of = "".join(f"({key}{rule}={escape_filter_chars(one.dn)})" for one in groups)
            yield from self._servers.search(
                settings.base_dn, f"(&{everyone}(|{any_of}))", attributes, limit=limit * _LOOKED_AT
            )
            return
        for base, question in self._members(groups, everyone, limit * _LOOKED_AT):
            yield from self._servers.search(base, question, attributes, limit=1)

    def _named(self, names: Sequence[str], limit: int) -> Sequence[LdapEntry]:
        any_of = "".join(f"(cn={escape_filter_chars(name)})" for name in names)
        base = self._settings.group_base_dn or _domain_of(self._settings.base_dn)
        found = self._servers.search(base, f"(|{any_of})", ("cn", *_MEMBERS), limit=limit * _LOOKED_AT)
        return [one for one in found if group_name(one.dn) in names]

    def _members(self, groups: Sequence[LdapEntry], everyone: str, most: int) -> Iterator[tuple[str, str]]:
        """Where to search for the members of these groups, and of groups within them, and by which filter."""
        rest, seen = deque(groups), {one.dn.lower() for one in groups}
        name, base = self._settings.attributes.username, self._settings.base_dn
        while rest and most > 0:
            group = rest.popleft()
            uids = group.texts("memberUid")[:most]
            dns = [dn for key in ("member", "uniqueMember") for dn in group.texts(key)][: most - len(uids)]
            most -= len(uids) + len(dns)
            yield from ((base, f"(&{everyone}({name}={escape_filter_chars(uid)}))") for uid in uids)
            yield from ((dn, everyone) for dn in dns)
            if self._settings.nested_groups == "search":
                for dn in dns:
                    if dn.lower() not in seen:
                        seen.add(dn.lower())
                        rest += self._servers.search(dn, "(member=*)", ("cn", *_MEMBERS), limit=1)


def _domain_of(dn: str) -> str:
    """ "dc=example,dc=com" of "ou=people,dc=example,dc=com": where groups are, if that is not said."""
    parts = [f"{key}={value}" for key, value, _ in parse_dn(dn)]
    return ",".join(part for part in parts if part.lower().startswith("dc=")) or dn
