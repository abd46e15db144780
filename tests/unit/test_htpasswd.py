# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._htpasswd import (
    User,
    bcrypt_cost,
    describe,
    explain,
    foreign_lines,
    parse_file,
    parse_users,
    preview_lines,
    render,
    updated_lines,
)
from hypothesis import given
from hypothesis import strategies as st

# "gordon" at cost 4, made by Apache's htpasswd -nbB -C 4.
GORDON = "$2y$04$8zUqCbc59uq6PkfIEdySyOOhiep8fsRcI0deye7VdLTfQ8p0uOG6q"
FILLER = "." * 53


def hash_at(cost: int, variant: str = "2y") -> str:
    return f"${variant}${cost:02d}${FILLER}"


class TestCost:
    @pytest.mark.parametrize("variant", ["2a", "2b", "2x", "2y"])
    def test_all_variants_that_the_registry_accepts(self, variant: str) -> None:
        assert bcrypt_cost(hash_at(12, variant)) == 12

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "gordon",
            "$apr1$abc$def",
            "{SHA}abc",
            "$2y$3$" + FILLER,
            "$2y$03$" + FILLER,
            "$2y$32$" + FILLER,
            "$2y$10$" + FILLER[:-1],
            "$2y$10$" + FILLER + ".",
            "$2c$10$" + FILLER,
            " " + hash_at(10),
        ],
    )
    def test_anything_else_is_none(self, text: str) -> None:
        assert bcrypt_cost(text) is None

    @given(st.text())
    def test_no_text_raises(self, text: str) -> None:
        assert bcrypt_cost(text) in (None, *range(4, 32))


class TestUsers:
    def test_password_and_default_cost(self) -> None:
        assert parse_users([{"name": "moby", "password": "gordon"}], 10) == (User("moby", "gordon", None, 10),)

    def test_a_cost_of_its_own(self) -> None:
        assert parse_users([{"name": "robot", "password": "x", "cost": 5}], 10)[0].cost == 5

    def test_a_ready_hash(self) -> None:
        assert parse_users([{"name": "moby", "hash": hash_at(5)}], 10)[0].hash == hash_at(5)

    def test_absent_needs_no_password(self) -> None:
        assert parse_users([{"name": "moby", "state": "absent"}], 10)[0].absent

    def test_a_number_is_a_password_too(self) -> None:
        assert parse_users([{"name": "moby", "password": 12345}], 10)[0].password == "12345"

    def test_none_stands_for_not_given(self) -> None:
        user = {"name": "moby", "password": "gordon", "hash": None, "cost": None, "state": "present"}
        assert parse_users([user], 7)[0].cost == 7

    @pytest.mark.parametrize("password", ["x" * 72, "ü" * 36])
    def test_72_bytes_are_accepted(self, password: str) -> None:
        assert parse_users([{"name": "moby", "password": password}], 10)[0].password == password

    @pytest.mark.parametrize(
        ("users", "message"),
        [
            ("moby:gordon", "must be a list"),
            ({"name": "moby"}, "must be a list"),
            (None, "must be a list"),
            (7, "must be a list"),
            (["moby"], "entry 1 is not a mapping"),
            ([{"name": "a", "password": "b"}, 7], "entry 2 is not a mapping"),
            ([{"password": "gordon"}], "entry 1 has no name"),
            ([{"name": "", "password": "gordon"}], "entry 1 has no name"),
            ([{"name": "mo:by", "password": "gordon"}], "colon"),
            ([{"name": "mo\nby", "password": "gordon"}], "control character"),
            ([{"name": "moby\x7f", "password": "gordon"}], "control character"),
            ([{"name": " moby", "password": "gordon"}], "white space at an end"),
            ([{"name": "#moby", "password": "gordon"}], "'#' in front"),
            ([{"name": "m" * 256, "password": "gordon"}], "255 bytes"),
            ([{"name": "moby"}], "'moby' has no password"),
            ([{"name": "moby", "password": ""}], "'moby' has no password"),
            ([{"name": "moby", "password": "g" * 73}], "73 bytes"),
            ([{"name": "moby", "password": "ü" * 37}], "74 bytes"),
            ([{"name": "moby", "password": "gordon\n"}], "control character"),
            ([{"name": "moby", "password": "a", "hash": hash_at(5)}], "already fixes"),
            ([{"name": "moby", "hash": hash_at(5), "cost": 5}], "already fixes"),
            ([{"name": "moby", "hash": "$apr1$x$y"}], "not bcrypt"),
            ([{"name": "moby", "password": "a", "cost": 3}], "cost of 'moby'"),
            ([{"name": "moby", "password": "a", "cost": 32}], "cost of 'moby'"),
            ([{"name": "moby", "password": "a", "cost": "many"}], "cost of 'moby'"),
            ([{"name": "moby", "password": "a", "state": "gone"}], "state of 'moby'"),
            ([{"name": "moby", "passwd": "a"}], "unknown key 'passwd'"),
            ([{"name": "moby", "password": "a"}, {"name": "moby", "password": "b"}], "more than once"),
        ],
    )
    def test_refused_with_a_reason(self, users: object, message: str) -> None:
        with pytest.raises(RegistryError, match=message) as caught:
            parse_users(users, 10)
        assert "gordon" not in str(caught.value)

    @pytest.mark.parametrize("cost", [-1, 0, 3, 32, 100])
    def test_default_cost_out_of_range(self, cost: int) -> None:
        with pytest.raises(RegistryError, match="cost is"):
            parse_users([], cost)

    @given(st.text(min_size=1), st.text(min_size=1))
    def test_no_message_and_no_repr_holds_the_password(self, name: str, password: str) -> None:
        secret = "s3cret-" + password
        try:
            shown = repr(parse_users([{"name": name, "password": secret}], 10))
        except RegistryError as error:
            shown = str(error)
        assert secret not in shown


class TestFile:
    def test_entries_comments_and_blank_lines(self) -> None:
        lines = parse_file(f"# users\n\nmoby:{GORDON}\n", "f")
        assert [line.name for line in lines] == [None, None, "moby"]
        assert lines[2].hash == GORDON
        assert lines[2].cost == 4

    @pytest.mark.parametrize(("text", "number"), [("moby\n", 1), ("a:b\n:x\n", 2), ("a:b\n\nnonsense\n", 3)])
    def test_a_line_that_is_no_entry_is_named(self, text: str, number: int) -> None:
        with pytest.raises(RegistryError, match=f"users.txt: line {number} is not an entry"):
            parse_file(text, "users.txt")

    def test_foreign_lines_are_told(self) -> None:
        assert foreign_lines(parse_file(f"# c\nmoby:{GORDON}\nold:$apr1$x$y\n", "f")) == [
            "line 1: comment",
            "line 3: user old is not bcrypt, the registry will refuse this user",
        ]

    @given(
        st.lists(
            st.one_of(
                st.just(""),
                st.text(alphabet="abc #", max_size=5).map(lambda text: f"# {text}"),
                st.text(alphabet="abcxyz", min_size=1, max_size=5).map(lambda name: f"{name}:{GORDON}"),
            )
        )
    )
    def test_rendering_gives_the_file_back(self, lines: list[str]) -> None:
        text = "".join(f"{line}\n" for line in lines)
        assert render(parse_file(text, "f")) == text


def change(text: str, users: list[dict[str, Any]], purge: bool = False, cost: int = 4) -> tuple[dict[str, str], str]:
    current, desired = parse_file(text, "f"), parse_users(users, cost)
    reasons = explain(current, desired, purge)
    return reasons, render(updated_lines(current, desired, reasons, purge))


class TestExplain:
    @pytest.mark.parametrize(
        ("line", "user", "reason"),
        [
            ("", {"password": "gordon"}, "added"),
            (f"moby:{GORDON}", {"password": "gordon", "cost": 5}, "cost 4, wanted 5"),
            (f"moby:{GORDON}", {"password": "flash"}, "another password"),
            (f"moby:{GORDON}", {"hash": hash_at(4)}, "another hash"),
            (f"moby:{GORDON}", {"state": "absent"}, "removed"),
            ("moby:$apr1$x$y", {"password": "gordon"}, "not bcrypt"),
            (f"moby:{hash_at(4, '2x')}", {"password": "gordon"}, "another password"),
            (f"moby:$apr1$x$y\nmoby:{GORDON}", {"password": "gordon"}, "listed more than once"),
        ],
    )
    def test_each_reason(self, line: str, user: dict[str, Any], reason: str) -> None:
        assert change(line, [{"name": "moby", **user}])[0] == {"moby": reason}

    @pytest.mark.parametrize("user", [{"password": "gordon"}, {"hash": GORDON}])
    def test_no_reason_where_all_is_right(self, user: dict[str, Any]) -> None:
        assert change(f"moby:{GORDON}\n", [{"name": "moby", **user}]) == ({}, f"moby:{GORDON}\n")

    def test_absent_and_not_there_is_no_reason(self) -> None:
        assert change("", [{"name": "moby", "state": "absent"}])[0] == {}

    def test_unlisted_users_stay_without_purge_and_go_with_it(self) -> None:
        text = f"moby:{GORDON}\nbob:{GORDON}\n"
        users = [{"name": "moby", "password": "gordon"}]
        assert change(text, users) == ({}, text)
        assert change(text, users, purge=True) == (
            {"bob": "removed, not among the users"},
            f"moby:{GORDON}\n",
        )


class TestUpdate:
    def test_comments_and_order_are_kept(self) -> None:
        text = f"# ours\nmoby:{GORDON}\nbob:{GORDON}\n"
        _reasons, after = change(text, [{"name": "eve", "hash": hash_at(5)}, {"name": "moby", "hash": hash_at(6)}])
        assert after == f"# ours\nmoby:{hash_at(6)}\nbob:{GORDON}\neve:{hash_at(5)}\n"

    def test_of_several_lines_the_last_stays_as_the_registry_reads_it(self) -> None:
        reasons, after = change(f"moby:{hash_at(5)}\nbob:{GORDON}\nmoby:{GORDON}\n", [])
        assert reasons == {"moby": "listed more than once"}
        assert after == f"bob:{GORDON}\nmoby:{GORDON}\n"

    @given(
        st.dictionaries(
            st.text(alphabet="abcdefgh", min_size=1, max_size=4),
            st.one_of(st.none(), st.integers(4, 31)),
            max_size=6,
        ),
        st.dictionaries(st.text(alphabet="abcdefgh", min_size=1, max_size=4), st.integers(4, 31), max_size=6),
        st.booleans(),
    )
    def test_the_second_run_has_no_reason(
        self, wanted: dict[str, int | None], there: dict[str, int], purge: bool
    ) -> None:
        users: list[dict[str, Any]] = [
            {"name": name, "hash": hash_at(cost)} if cost else {"name": name, "state": "absent"}
            for name, cost in wanted.items()
        ]
        text = "".join(f"{name}:{hash_at(cost)}\n" for name, cost in there.items())
        reasons, after = change(text, users, purge)
        assert (after != text) == bool(reasons)
        assert change(after, users, purge) == ({}, after)
        names = {line.name for line in parse_file(after, "f")}
        kept = set() if purge else set(there)
        assert names == (kept - set(wanted)) | {name for name, cost in wanted.items() if cost}

    def test_the_preview_has_the_users_and_costs_of_the_real_thing(self) -> None:
        current = parse_file(f"moby:{GORDON}\nbob:{GORDON}\n", "f")
        desired = parse_users([{"name": "moby", "password": "x", "cost": 5}, {"name": "bob", "state": "absent"}], 10)
        reasons = explain(current, desired, False)
        preview = preview_lines(current, desired, reasons, False)
        assert describe(preview, reasons) == describe(updated_lines(current, desired, reasons, False), reasons)
        assert describe(preview, reasons) == "moby: bcrypt, cost 5 (cost 4, wanted 5)\n"
