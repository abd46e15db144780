# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import ipaddress
import string

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils._certificate_names import (
    Name,
    covers,
    describe_subject,
    from_general_names,
    from_x509_name,
    parse_name,
    parse_names,
    parse_subject,
    to_general_names,
    to_x509_name,
)
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from hypothesis import given
from hypothesis import strategies as st

LABELS = st.from_regex(r"[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?", fullmatch=True)
NAMES = st.builds(
    lambda labels, last: ".".join([*labels, last]),
    st.lists(LABELS, max_size=4),
    LABELS.filter(lambda label: not label.isdigit()),
)
ATTRIBUTES = ["CN", "ST", "L", "O", "OU"]
VALUES = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=64)


class TestName:
    @pytest.mark.parametrize(
        ("text", "kind", "value"),
        [
            ("registry.lab", "DNS", "registry.lab"),
            ("registry", "DNS", "registry"),
            ("Registry.LAB", "DNS", "registry.lab"),
            (" registry.lab ", "DNS", "registry.lab"),
            ("my_registry", "DNS", "my_registry"),
            ("xn--bcher-kva.example", "DNS", "xn--bcher-kva.example"),
            ("*.registry.lab", "DNS", "*.registry.lab"),
            ("DNS:registry.lab", "DNS", "registry.lab"),
            ("dns:registry.lab", "DNS", "registry.lab"),
            ("1.registry", "DNS", "1.registry"),
            ("a" * 63 + ".lab", "DNS", "a" * 63 + ".lab"),
            ("192.0.2.10", "IP", "192.0.2.10"),
            ("IP:192.0.2.10", "IP", "192.0.2.10"),
            ("2001:DB8:0:0::1", "IP", "2001:db8::1"),
            ("IP:::1", "IP", "::1"),
            ("::1", "IP", "::1"),
        ],
    )
    def test_names_and_addresses(self, text: str, kind: str, value: str) -> None:
        assert parse_name(text) == Name(kind, value)

    @pytest.mark.parametrize(
        "text",
        [
            *("", " ", ".", "DNS:", "IP:", "http://x", "https://registry.lab", "registry.lab/v2", "registry.lab:5000"),
            *("*", "*.*.lab", "a.*.lab", "reg*.lab", "**.lab", "-a.lab", "a-.lab", "a..lab", ".lab", "lab."),
            *("a b", "a\nb", "registry.lab\n.x", "bücher.example", "10.0.0.300", "10.0.0", "1", "12345", "10.0.0.1/24"),
            *("IP:registry.lab", "IP:300.0.0.1", "DNS:10.0.0.1", "DNS:::1", "[::1]", "fe80::1%eth0", "email:a@b.c"),
            *("a" * 64, ".".join(["a" * 60] * 5), "a@b", "$", "\u017f.lab", "registry\uff0elab"),
        ],
    )
    def test_neither(self, text: str) -> None:
        with pytest.raises(RegistryError, match=r"^names: '"):
            parse_name(text)

    @pytest.mark.parametrize("value", [None, 1, True, 10.5, ["a"], {}])
    def test_no_text(self, value: object) -> None:
        with pytest.raises(RegistryError, match="is not a text"):
            parse_name(value)

    @pytest.mark.parametrize("names", [None, "registry.lab", {"a": 1}, 3])
    def test_no_list(self, names: object) -> None:
        with pytest.raises(RegistryError, match="must be a list"):
            parse_names(names)

    def test_given_twice_counts_once_in_order(self) -> None:
        names = parse_names(["b.lab", "A.lab", "DNS:a.lab", "IP:::1", "0::1", "b.lab"])
        assert [str(name) for name in names] == ["DNS:b.lab", "DNS:a.lab", "IP:::1"]

    @given(NAMES)
    def test_any_name(self, text: str) -> None:
        assert parse_name(text) == parse_name(f"DNS:{text.upper()}") == Name("DNS", text)

    @given(st.ip_addresses())
    def test_any_address(self, address: ipaddress.IPv4Address) -> None:
        assert parse_name(str(address)) == parse_name(f"IP:{address.exploded}") == Name("IP", str(address))

    @given(st.text())
    def test_any_text_is_a_name_or_a_clear_error(self, text: str) -> None:
        try:
            name = parse_name(text)
        except RegistryError as error:
            assert str(error).startswith("names: ")  # noqa: PT017
        else:
            assert parse_name(name.short) == name
            assert from_general_names(list(to_general_names([name]))) == (name,)

    @given(st.lists(st.one_of(NAMES, st.ip_addresses().map(str)), min_size=1))
    def test_into_a_certificate_and_back(self, texts: list[str]) -> None:
        names = parse_names(texts)
        assert from_general_names(list(to_general_names(names))) == names

    def test_short_where_it_means_the_same(self) -> None:
        assert Name("DNS", "registry.lab").short == "registry.lab"
        assert Name("IP", "::1").short == "::1"
        assert Name("DNS", "10.0.0.1").short == "DNS:10.0.0.1"
        assert Name("email", "a@b.c").short == "email:a@b.c"


class TestCovers:
    @pytest.mark.parametrize(
        ("there", "wanted", "covered"),
        [
            ("registry.lab", "registry.lab", True),
            ("registry.lab", "REGISTRY.lab", True),
            ("*.lab", "registry.lab", True),
            ("*.lab", "a.registry.lab", False),
            ("*.lab", "lab", False),
            ("*.lab", "*.lab", True),
            ("*.registry.lab", "*.lab", False),
            ("registry.lab", "a.registry.lab", False),
            ("10.0.0.1", "10.0.0.1", True),
            ("10.0.0.1", "10.0.0.2", False),
            ("2001:db8::1", "2001:db8:0::1", True),
        ],
    )
    def test_as_clients_do(self, there: str, wanted: str, *, covered: bool) -> None:
        assert covers([parse_name(there)], parse_name(wanted)) is covered

    def test_address_as_a_dns_name_is_not_covered(self) -> None:
        assert not covers([Name("DNS", "10.0.0.1")], Name("IP", "10.0.0.1"))
        assert not covers([Name("DNS", "*.0.0.1")], Name("IP", "10.0.0.1"))


class TestSubject:
    def test_order_is_kept_and_nulls_are_left_out(self) -> None:
        given_subject = {"O": "Example", "C": "de", "OU": None, "CN": "registry.lab", "emailAddress": "a@b.c"}
        subject = parse_subject(given_subject)
        assert subject == (("O", "Example"), ("C", "DE"), ("CN", "registry.lab"), ("emailAddress", "a@b.c"))
        assert describe_subject(subject) == "O=Example, C=DE, CN=registry.lab, emailAddress=a@b.c"

    def test_number_is_a_text(self) -> None:
        assert parse_subject({"O": 42}) == (("O", "42"),)

    @pytest.mark.parametrize(
        ("subject", "message"),
        [
            ({"CN": ""}, "CN has 0 characters"),
            ({"CN": "a" * 65}, "CN has 65 characters; give 1 to 64"),
            ({"O": "a" * 65}, "O has 65"),
            ({"OU": "a" * 65}, "OU has 65"),
            ({"ST": "a" * 129}, "ST has 129"),
            ({"L": "a" * 129}, "L has 129"),
            ({"emailAddress": "a" * 256}, "emailAddress has 256"),
            ({"C": "D"}, "C has 1|two letters"),
            ({"C": "DEU"}, "C has 3"),
            ({"C": "D1"}, "two letters"),
            ({"C": "ÄÖ"}, "two letters"),
            ({"C": False}, "put it in quotes"),
            ({"O": ["a"]}, "put it in quotes"),
            ({"CN": "a\nb"}, "control characters"),
            ({"CN": "a\0b"}, "control characters"),
            ({"CN": " a"}, "white space at an end"),
            ({"emailAddress": "ä@b.c"}, "ASCII"),
            ({"cn": "a"}, "'cn' is not among its attributes"),
            ({"commonName": "a"}, "is not among"),
            ("/CN=a", "must be a mapping"),
            (["CN"], "must be a mapping"),
            (None, "must be a mapping"),
        ],
    )
    def test_refused(self, subject: object, message: str) -> None:
        with pytest.raises(RegistryError, match=message) as raised:
            parse_subject(subject)
        assert str(raised.value).startswith("subject")

    @given(st.dictionaries(st.sampled_from(ATTRIBUTES), VALUES, min_size=1))
    def test_into_a_certificate_and_back(self, subject: dict[str, str]) -> None:
        parsed = parse_subject(subject)
        assert parsed == tuple(subject.items())
        assert from_x509_name(to_x509_name(parsed)) == parsed

    @given(st.text(string.ascii_letters, min_size=2, max_size=2))
    def test_any_country(self, country: str) -> None:
        assert from_x509_name(to_x509_name(parse_subject({"C": country}))) == (("C", country.upper()),)

    @given(st.dictionaries(st.text(), st.one_of(st.none(), st.text(), st.integers(), st.booleans())))
    def test_anything_is_a_subject_or_a_clear_error(self, subject: dict[str, object]) -> None:
        try:
            to_x509_name(parse_subject(subject))
        except RegistryError as error:
            assert str(error).startswith("subject")  # noqa: PT017
