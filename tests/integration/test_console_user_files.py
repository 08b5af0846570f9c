"""Administrators take users in from CSV, seeing first what it would do, and give out those of a filter."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path

from tests.admin_rig import ADMIN, act, administered, shown

TEXT = """username,email,groups
bob,new@example.test,staff;wiki
alice,,admins
nina,nina@example.test,
no such name!,,
nina,again@example.test,
short,x
"""


async def test_an_import_says_first_what_it_would_do(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        assert "Users as CSV" in await shown(browser, "/users/import")
        status, page = await act(browser, "/users/import", "preview", text=TEXT)
        assert status == 200
        numbers = re.findall(r"<dd>(\d+)</dd>", page)
        assert numbers == ["1", "1", "1", "3"]
        assert [re.search(rf"Line {line}</b>", page) is not None for line in (2, 4, 5, 6, 7)] == [
            False,
            False,
            True,
            True,
            True,
        ]
        assert await rig.directory.get("nina") is None
        status, page = await act(browser, "/users/import", "import", text=TEXT)
        assert "2 users were imported" in page
        bob, nina = await rig.directory.get("bob"), await rig.directory.get("nina")
        assert bob
        assert nina
        assert (bob.email, bob.groups, bob.name) == ("new@example.test", ("staff", "wiki"), "Bob")
        assert nina.email == "nina@example.test"
        await rig.gateway.services.audit.flush()
        events = [(row.event, row.username) for row in await rig.gateway.stores.audit_log.tail(3)]
        assert events == [("user_changed", "bob"), ("user_added", "nina"), ("users_imported", "")]


async def test_an_import_locks_nobody_out_and_changes_no_password(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        text = "username,groups,password\nalice,staff,\nbob,,a long new password\n"
        status, page = await act(browser, "/users/import", "import", text=text)
        assert status == 200
        assert "take yourself out of the administrators" in page
        assert "whose password no import changes" in page
        alice = await rig.directory.get("alice")
        assert alice
        assert alice.groups == ("admins",)
        many = "username\n" + "\n".join(f"user{number}" for number in range(501))
        assert (await act(browser, "/users/import", "preview", text=many))[0] == 422
        assert (await browser.post(f"{ADMIN}/users/import", {"do": "import", "text": text})).status == 403


async def test_what_a_filter_finds_is_exported_harmless_and_imported_again(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        await rig.add_user("eve", name="=cmd()", groups=("staff", "wiki"))
        answer = await browser.get(f"{ADMIN}/users.csv?group=staff", Accept="*/*")
        assert answer.content_type == "text/csv"
        text = await answer.text()
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [row["username"] for row in rows] == ["bob", "eve"]
        assert (rows[1]["name"], rows[1]["phone"][:2], rows[1]["groups"]) == ("'=cmd()", "'+", "staff;wiki")
        page = (await act(browser, "/users/import", "preview", text=text))[1]
        assert re.findall(r"<dd>(\d+)</dd>", page) == ["0", "0", "2", "0"]


async def test_attributes_travel_in_columns_of_their_own(tmp_path: Path) -> None:
    async with administered(tmp_path) as (rig, browser):
        bob = await rig.directory.get("bob")
        assert bob
        await rig.directory.replace(replace(bob, attributes=(("site", ("Kiel",)), ("team", ("a", "b")))))
        out = await (await browser.get(f"{ADMIN}/users.csv")).text()
        rows = {row["username"]: row for row in csv.DictReader(io.StringIO(out))}
        assert (rows["bob"]["attribute.site"], rows["bob"]["attribute.team"]) == ("Kiel", "a;b")
        assert rows["alice"]["attribute.team"] == ""
        text = "username,attribute.team,attribute.floor\nbob,,3\nnina,ops;dev,\n"
        assert (await act(browser, "/users/import", "import", text=text))[0] == 200
        bob, nina = await rig.directory.get("bob"), await rig.directory.get("nina")
        assert bob
        assert nina
        assert bob.attributes == (("floor", ("3",)), ("site", ("Kiel",))), (
            "columns that are not there change nothing"
        )
        assert nina.attributes == (("team", ("ops", "dev")),)
        assert "would" not in (await act(browser, "/users/import", "preview", text=out))[1]
