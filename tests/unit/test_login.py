# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Logins: what is asked, what a file with logins means, and how it is merged."""

from __future__ import annotations

import base64
import json
import os
import pwd
import stat
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.stronghold.registry.plugins.module_utils import _login as login
from ansible_collections.stronghold.registry.plugins.module_utils import _login_files as files
from ansible_collections.stronghold.registry.plugins.module_utils._accounts import Account
from ansible_collections.stronghold.registry.plugins.module_utils._client_certificate import check_client_pair
from ansible_collections.stronghold.registry.plugins.module_utils._credential_helper import Helper
from ansible_collections.stronghold.registry.plugins.module_utils._errors import RegistryError
from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import Credentials
from hypothesis import given
from hypothesis import strategies as st

if TYPE_CHECKING:
    from pathlib import Path

REGISTRY = "registry.lab:5000"
MOBY = Credentials("moby", "a whale of a password")
AUTH = files.encode_auth(MOBY)
URLS = [
    f"https://{REGISTRY}",
    f"https://{REGISTRY}/",
    f"http://{REGISTRY}/v1/",
    f"https://{REGISTRY}/v2/",
    f"{REGISTRY}/",
]
OTHERS = [
    "registry.lab",
    "registry.lab:50001",
    "xregistry.lab:5000",
    f"{REGISTRY}/team",
    f"{REGISTRY}/team/app",
    f"ftp://{REGISTRY}",
    f"https://user@{REGISTRY}",
    f"https://registry.lab/{REGISTRY}",
    f"://{REGISTRY}",
    "https://index.docker.io/v1/",
    "",
]


def desired(**changes: Any) -> login.Desired:
    return login.parse_desired(
        {
            "registry": REGISTRY,
            "state": "present",
            "username": MOBY.username,
            "password": MOBY.password,
            "security": "tls",
            "ca_certificate": "",
            "client_certificate": "",
            "client_key": "",
            "address": None,
            "verify": True,
            "timeout": 30,
            **changes,
        }
    )


def place(home: Path, name: str = "config.json", **changes: Any) -> files.Place:
    return files.Place(myself(home), str(home / ".docker" / name), **{"has_store": True, **changes})


def myself(home: Path) -> Account:
    return Account(pwd.getpwuid(os.getuid()).pw_name, os.getuid(), os.getgid(), str(home))


def put(where: files.Place, document: object, mode: int = 0o600) -> None:
    os.makedirs(os.path.dirname(where.path), exist_ok=True)
    with open(where.path, "w") as stream:
        stream.write(document if isinstance(document, str) else json.dumps(document))
    os.chmod(where.path, mode)


def content(where: files.Place) -> Any:
    with open(where.path) as stream:
        return json.load(stream)


def perform(plan: files.Plan) -> None:
    for action in plan.actions:
        action()


def reasons(plan: files.Plan) -> list[str]:
    return [reason.replace(f"{plan.place.path}: ", "") for reason in plan.reasons]


# What is asked


def test_what_is_asked() -> None:
    asked = desired(registry="[fd00::1]:5001", address="[::1]", timeout=5)
    assert (asked.credentials, asked.timeout, asked.verify) == (MOBY, 5.0, True)
    assert (asked.endpoint.host, asked.endpoint.port, asked.endpoint.address) == ("fd00::1", 5001, "::1")
    assert desired(state="absent", username=None, password=None).credentials is None
    assert desired(state="absent").credentials is None


@pytest.mark.parametrize(
    ("changes", "port", "tls"),
    [
        ({}, 5000, True),
        ({"registry": "registry.lab"}, 443, True),
        ({"registry": "registry.lab", "security": "insecure"}, 80, False),
        ({"registry": "192.0.2.1"}, 443, True),
    ],
)
def test_where_the_registry_is_asked(changes: dict[str, Any], port: int, tls: bool) -> None:
    endpoint = desired(**changes).endpoint
    assert (endpoint.port, endpoint.tls) == (port, tls)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"registry": "https://registry.lab"}, "registry: The host .* has a scheme"),
        ({"registry": "registry"}, "registry: .* neither a dot nor a port"),
        ({"username": None}, "username and password: give both"),
        ({"password": ""}, "username and password: give both"),
        ({"username": "mo:by"}, "username: has a colon"),
        ({"address": "http://h"}, "address: The host .* has a scheme"),
        ({"timeout": 0}, "timeout: is 0, wanted seconds above 0"),
        ({"ca_certificate": "ca.crt"}, "ca_certificate: it holds no certificate"),
        ({"client_key": "x"}, "client_certificate and client_key: give both or none"),
        ({"client_certificate": "x", "client_key": "y", "security": "insecure"}, "client_certificate: nothing asks"),
        ({"client_certificate": "x", "client_key": "y"}, "client_certificate: it holds no certificate"),
    ],
)
def test_what_is_wrong_is_told(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(RegistryError, match=f"^{told}") as error:
        desired(**changes)
    assert MOBY.password not in str(error.value)


def test_secrets_are_not_in_what_python_shows() -> None:
    shown = repr(desired(client_certificate="", client_key=""))
    assert MOBY.password not in shown
    current = files.Current({"auths": {REGISTRY: {"auth": AUTH}}}, {REGISTRY: {"auth": AUTH}}, None, MOBY)
    assert AUTH not in repr(current)
    assert MOBY.password not in repr(current)


def test_a_key_is_not_told_in_what_is_wrong_with_it() -> None:
    with pytest.raises(RegistryError, match=r"^client_certificate: it holds a private key") as error:
        check_client_pair("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----", "x")
    assert "c2VjcmV0" not in str(error.value)


# Which clients and files


def test_the_files_of_a_user() -> None:
    builder = Account("builder", 1001, 1001, "/home/builder")
    assert [(p.path, p.has_store, p.transient) for p in login.places_of(builder, "docker")] == [
        ("/home/builder/.docker/config.json", True, False)
    ]
    assert [(p.path, p.has_store, p.transient) for p in login.places_of(builder, "podman")] == [
        ("/home/builder/.config/containers/auth.json", False, False),
        ("/run/user/1001/containers/auth.json", False, True),
    ]
    root = [p.path for p in login.places_of(Account("root", 0, 0, "/root"), "podman")]
    assert "/run/containers/0/auth.json" in root


def test_named_clients_need_not_be_there(tmp_path: Path) -> None:
    def chosen(*names: str) -> list[str]:
        return login.chosen_clients(names, [], absent=False, root=str(tmp_path))

    assert chosen("podman", "docker") == ["docker", "podman"]
    with pytest.raises(RegistryError, match=r"^clients: there is none on this host"):
        chosen("auto")
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/skopeo").touch(mode=0o755)
    assert chosen("auto") == ["podman"]


def test_to_log_out_clients_need_a_file(tmp_path: Path) -> None:
    assert login.chosen_clients(["auto"], [myself(tmp_path)], absent=True) == []
    put(place(tmp_path), {})
    assert login.chosen_clients(["auto"], [myself(tmp_path)], absent=True) == ["docker"]


# What a file means


@pytest.mark.parametrize("key", [REGISTRY, *URLS])
def test_keys_that_mean_the_registry(key: str) -> None:
    assert files.means(key, REGISTRY)
    document = {"auths": {"a.lab": 1, key: {"auth": "x"}, "b.lab": 2}}
    assert files.with_entry(document, REGISTRY, {"auth": AUTH}) == {
        "auths": {"a.lab": 1, REGISTRY: {"auth": AUTH}, "b.lab": 2}
    }
    assert list(files.with_entry(document, REGISTRY, {})["auths"]) == ["a.lab", REGISTRY, "b.lab"]
    assert files.with_entry(document, REGISTRY, None) == {"auths": {"a.lab": 1, "b.lab": 2}}


@pytest.mark.parametrize("key", OTHERS)
def test_keys_that_do_not(key: str) -> None:
    assert not files.means(key, REGISTRY)
    document = {"auths": {key: {"auth": "x"}}}
    assert files.with_entry(document, REGISTRY, None) == document


def test_the_plain_key_goes_before_urls() -> None:
    document = {"auths": {URLS[0]: {"auth": "a"}, REGISTRY: {"auth": "b"}}}
    assert list(files.entries_of(document, REGISTRY, "f")) == [REGISTRY, URLS[0]]


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ({"auths": []}, "f: auths is no object"),
        ({"auths": "x"}, "f: auths is no object"),
        ({"auths": {REGISTRY: "c2VjcmV0"}}, f"f: the entry of {REGISTRY} is no object"),
        ({"auths": {URLS[0]: ["c2VjcmV0"]}}, f"f: the entry of {URLS[0]} is no object"),
    ],
)
def test_what_is_no_object_is_told(document: files.Object, told: str) -> None:
    with pytest.raises(RegistryError, match=told) as error:
        files.entries_of(document, REGISTRY, "f")
    assert "c2VjcmV0" not in str(error.value)


@pytest.mark.parametrize("document", [{}, {"auths": None}, {"auths": {}}, {"auths": {"other.lab": "x"}}])
def test_no_entries(document: files.Object) -> None:
    assert files.entries_of(document, REGISTRY, "f") == {}


def encoded(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("entry", "found"),
    [
        ({"auth": AUTH}, MOBY),
        ({"auth": encoded(b"moby:a:b:c")}, Credentials("moby", "a:b:c")),
        ({"auth": encoded("größe:пароль".encode())}, Credentials("größe", "пароль")),
        ({"auth": encoded(b"moby:")}, Credentials("moby", "")),
        ({"auth": encoded(b":password")}, None),
        ({"auth": encoded(b"no colon")}, None),
        ({"auth": encoded(b"\xff\xfe:x")}, None),
        ({"auth": "%%%"}, None),
        ({"auth": "bW9ieTo"}, None),
        ({"auth": ""}, None),
        ({"auth": None}, None),
        ({"auth": 1}, None),
        ({}, None),
    ],
)
def test_logins_are_read(entry: files.Object, found: Credentials | None) -> None:
    assert files.decode_auth(entry) == found


@given(st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1), st.text())
def test_any_login_survives(username: str, password: str) -> None:
    wanted = Credentials(username, password)
    assert files.decode_auth({"auth": files.encode_auth(wanted)}) == wanted


@pytest.mark.parametrize(
    ("document", "store", "name"),
    [
        ({}, True, ""),
        ({"credsStore": "pass"}, True, "pass"),
        ({"credsStore": "pass"}, False, ""),
        ({"credHelpers": {REGISTRY: "ecr"}}, True, "ecr"),
        ({"credHelpers": {REGISTRY: "ecr"}}, False, "ecr"),
        ({"credHelpers": {REGISTRY: "ecr"}, "credsStore": "pass"}, True, "ecr"),
        ({"credHelpers": {REGISTRY: ""}, "credsStore": "pass"}, True, ""),
        ({"credHelpers": {"other.lab": "ecr"}, "credsStore": "pass"}, True, "pass"),
        ({"credHelpers": {URLS[0]: "ecr"}}, True, ""),
        ({"credHelpers": None, "credsStore": None}, True, ""),
    ],
)
def test_which_helper_is_meant(document: files.Object, store: bool, name: str, tmp_path: Path) -> None:
    assert files.helper_name(document, REGISTRY, place(tmp_path, has_store=store)) == name


@pytest.mark.parametrize("document", [{"credsStore": 1}, {"credHelpers": []}, {"credHelpers": {REGISTRY: {}}}])
def test_what_is_no_helper_is_told(document: files.Object, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"config\.json: "):
        files.helper_name(document, REGISTRY, place(tmp_path))


@pytest.mark.parametrize("name", ["../sh", "a/b", "", " ", "a b", "-x", "a\0b", "é"])
def test_a_helper_with_a_strange_name_is_not_run(name: str, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match=r"^f: '.*' is no name of a credential helper"):
        Helper(name, myself(tmp_path), "f").get(REGISTRY)


def test_a_helper_that_is_missing_is_told(tmp_path: Path) -> None:
    helper = Helper("no-such", myself(tmp_path), "f")
    with pytest.raises(RegistryError, match=r"docker-credential-no-such of user '.*' fails to store") as error:
        helper.store(REGISTRY, MOBY)
    assert "install it" in str(error.value)
    assert MOBY.password not in str(error.value)


# What has to change and why


def current(entries: files.Object, helper: str = "", kept: Credentials | None = None) -> files.Current:
    found = kept if helper else next(map(files.decode_auth, entries.values()), None)
    keeper = Helper(helper, Account("builder", 1, 1, "/h"), "f") if helper else None
    return files.Current({"auths": entries}, entries, keeper, found)


RIGHT = {"auth": AUTH}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (current({REGISTRY: RIGHT}), []),
        (current({REGISTRY: {**RIGHT, "email": "m@lab"}}), []),
        (current({}), [f"user moby is not logged in to {REGISTRY}"]),
        (current({REGISTRY: {}}), [f"user moby is not logged in to {REGISTRY}"]),
        (current({REGISTRY: {"auth": "x"}}), [f"user moby is not logged in to {REGISTRY}"]),
        (
            current({REGISTRY: {"auth": encoded(b"robot:x")}}),
            [f"logs in to {REGISTRY} as robot, wanted moby"],
        ),
        (current({REGISTRY: {"auth": encoded(b"moby:x")}}), [f"user moby has another password for {REGISTRY}"]),
        (
            current({REGISTRY: {**RIGHT, "identitytoken": "t"}}),
            [f"logs in to {REGISTRY} with a token, wanted moby's password"],
        ),
        (
            current({REGISTRY: {"registrytoken": "t"}}),
            [f"logs in to {REGISTRY} with a token, wanted moby's password"],
        ),
        (current({URLS[0]: RIGHT}), [f"names {REGISTRY} as {URLS[0]}"]),
        (current({REGISTRY: RIGHT, URLS[0]: {}}), [f"names {REGISTRY} as {URLS[0]}"]),
        (current({REGISTRY: {}}, "pass", MOBY), []),
        (
            current({}, "pass", MOBY),
            [f"does not name {REGISTRY}, whose password docker-credential-pass keeps"],
        ),
        (
            current({REGISTRY: RIGHT}, "pass", MOBY),
            [f"shows a secret for {REGISTRY}, which is for docker-credential-pass to keep"],
        ),
        (current({}, "pass"), [f"user moby is not logged in to {REGISTRY}"]),
        (
            current({REGISTRY: {}}, "pass", Credentials("moby", "old")),
            [f"user moby has another password for {REGISTRY}"],
        ),
        (
            current({REGISTRY: {}}, "pass", Credentials("robot", "old")),
            [f"logs in to {REGISTRY} as robot, wanted moby"],
        ),
    ],
)
def test_reasons(found: files.Current, told: list[str]) -> None:
    assert files.explain(found, REGISTRY, MOBY) == told
    entry = files.wanted_entry(found, REGISTRY, MOBY)
    after = files.with_entry(found.document, REGISTRY, entry)
    settled = files.Current(after, files.entries_of(after, REGISTRY, "f"), found.helper, MOBY)
    assert files.explain(settled, REGISTRY, MOBY) == []
    # There is a reason exactly where something is to be written.
    assert (after != found.document or found.login != MOBY) == bool(told)


@pytest.mark.parametrize("secret", ["auth", "identitytoken", "registrytoken", "username", "password"])
def test_no_secret_stays_beside_a_helper(secret: str) -> None:
    found = current({REGISTRY: {secret: "x", "email": "m@lab"}}, "pass", MOBY)
    assert files.wanted_entry(found, REGISTRY, MOBY) == {"email": "m@lab"}


# Merging, whatever is in the file

KEYS = st.text(max_size=12) | st.sampled_from([REGISTRY, *URLS, *OTHERS])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.fixed_dictionaries({}, optional={"auth": st.sampled_from([AUTH, "x", ""]), "email": st.text(max_size=8)})


@st.composite
def documents(draw: st.DrawFn) -> files.Object:
    """Any object; its entries of the registry are objects."""
    document: files.Object = draw(st.dictionaries(st.text(max_size=12), VALUES, max_size=4))
    auths = draw(st.none() | st.dictionaries(KEYS, VALUES, max_size=5))
    if auths is not None:
        document["auths"] = {key: draw(ENTRIES) if files.means(key, REGISTRY) else auths[key] for key in auths}
        return dict(draw(st.permutations(list(document.items()))))
    return {key: value for key, value in document.items() if key != "auths"}


def without_ours(document: files.Object) -> list[Any]:
    """All that is none of ours, in order; an empty auths says nothing."""
    auths = [item for item in (document.get("auths") or {}).items() if not files.means(item[0], REGISTRY)]
    rest = [(key, value) for key, value in document.items() if key != "auths"]
    return [rest, auths]


@given(documents())
def test_others_are_untouched_and_once_is_enough(document: files.Object) -> None:
    before = json.dumps(document)
    once = files.with_entry(document, REGISTRY, RIGHT)
    assert files.entries_of(once, REGISTRY, "f") == {REGISTRY: RIGHT}
    assert without_ours(once) == without_ours(document)
    assert json.dumps(files.with_entry(once, REGISTRY, RIGHT)) == json.dumps(once)
    assert json.dumps(document) == before


@given(documents())
def test_a_logout_leaves_what_was_there_before_the_login(document: files.Object) -> None:
    cleared = files.with_entry(document, REGISTRY, None)
    assert files.with_entry(files.with_entry(document, REGISTRY, RIGHT), REGISTRY, None) == cleared
    assert files.entries_of(cleared, REGISTRY, "f") == {}
    assert without_ours(cleared) == without_ours(document)
    if "auths" not in document or (document["auths"] and not files.entries_of(document, REGISTRY, "f")):
        assert json.dumps(cleared) == json.dumps(document)


@given(documents())
def test_what_is_written_means_the_same(document: files.Object) -> None:
    assert json.loads(files.render(document)) == document


def test_lone_surrogates_survive() -> None:
    document = json.loads(r'{"k": "\ud800"}')
    assert json.loads(files.render(document)) == document


# Files


def test_a_login_makes_a_private_file_and_the_logout_removes_it(tmp_path: Path) -> None:
    where = place(tmp_path)
    plan = files.plan_login(where, REGISTRY, MOBY)
    assert reasons(plan) == [f"user moby is not logged in to {REGISTRY}"]
    assert (plan.before, plan.after, plan.holds) == ("", f"{where.path}: {REGISTRY} as moby\n", True)
    assert not (tmp_path / ".docker").exists()
    perform(plan)
    assert content(where) == {"auths": {REGISTRY: {"auth": AUTH}}}
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (where.path, tmp_path / ".docker")]
    assert modes == [0o600, 0o700]
    again = files.plan_login(where, REGISTRY, MOBY)
    assert (again.reasons, again.actions, again.holds) == ((), (), True)

    plan = files.plan_logout(where, REGISTRY)
    assert reasons(plan) == [f"logs in to {REGISTRY} as moby, wanted absent"]
    assert (plan.before, plan.after, plan.holds) == (f"{where.path}: {REGISTRY} as moby\n", "", False)
    perform(plan)
    assert list(tmp_path.iterdir()) == []
    assert files.plan_logout(where, REGISTRY).reasons == ()


def test_a_file_with_other_logins_stays(tmp_path: Path) -> None:
    where = place(tmp_path)
    before = {"HttpHeaders": {"X": "y"}, "auths": {"other.lab": {"auth": "eDp5"}}, "psFormat": "table"}
    put(where, before)
    perform(files.plan_login(where, REGISTRY, MOBY))
    assert list(content(where)) == list(before)
    assert list(content(where)["auths"]) == ["other.lab", REGISTRY]
    perform(files.plan_logout(where, REGISTRY))
    assert content(where) == before


def test_files_of_others_in_the_directory_keep_it(tmp_path: Path) -> None:
    where = place(tmp_path)
    perform(files.plan_login(where, REGISTRY, MOBY))
    (tmp_path / ".docker" / "contexts").mkdir()
    perform(files.plan_logout(where, REGISTRY))
    assert os.listdir(tmp_path / ".docker") == ["contexts"]


@pytest.mark.parametrize(
    ("mode", "after", "told"),
    [
        (0o644, 0o600, ["mode is 0644, wanted 0600"]),
        (0o660, 0o600, ["mode is 0660, wanted 0600"]),
        (0o700, 0o600, ["mode is 0700, wanted 0600"]),
        (0o600, 0o600, []),
        (0o400, 0o400, []),
    ],
)
def test_a_file_is_narrowed(mode: int, after: int, told: list[str], tmp_path: Path) -> None:
    where = place(tmp_path)
    put(where, {"auths": {REGISTRY: RIGHT}}, mode)
    plan = files.plan_login(where, REGISTRY, MOBY)
    assert reasons(plan) == told
    perform(plan)
    assert stat.S_IMODE(os.stat(where.path).st_mode) == after
    assert content(where) == {"auths": {REGISTRY: RIGHT}}


@pytest.mark.parametrize("entries", [{}, {"other.lab": {"auth": "eDp5"}}])
def test_a_transient_file_that_does_not_know_the_registry_is_left(entries: files.Object, tmp_path: Path) -> None:
    where = place(tmp_path, "auth.json", transient=True)
    assert files.plan_login(where, REGISTRY, MOBY) == files.Plan(where)
    put(where, {"auths": entries}, 0o644)
    assert files.plan_login(where, REGISTRY, MOBY) == files.Plan(where)
    assert files.plan_logout(where, REGISTRY) == files.Plan(where)


def test_a_transient_file_that_knows_it_is_set_right(tmp_path: Path) -> None:
    where = place(tmp_path, "auth.json", transient=True)
    put(where, {"auths": {REGISTRY: {"auth": encoded(b"moby:old")}}})
    plan = files.plan_login(where, REGISTRY, MOBY)
    assert reasons(plan) == [f"user moby has another password for {REGISTRY}"]
    assert plan.before == f"{where.path}: {REGISTRY} as moby, with another password\n"
    perform(plan)
    assert content(where) == {"auths": {REGISTRY: RIGHT}}
    perform(files.plan_logout(where, REGISTRY))
    assert not os.path.exists(where.path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ('{"auths": NaN}', "is not JSON"),
        ("[]", "holds a list, not an object"),
        ('"auths"', "holds a string, not an object"),
        ('{"auths": []}', "auths is no object"),
    ],
)
def test_a_file_that_cannot_be_parsed_is_an_error(text: str, told: str, tmp_path: Path) -> None:
    where = place(tmp_path)
    put(where, text)
    with pytest.raises(RegistryError, match=told) as error:
        files.plan_login(where, REGISTRY, MOBY)
    assert where.path in str(error.value)
    with pytest.raises(RegistryError, match=told):
        files.plan_logout(where, REGISTRY)


def test_an_empty_file_is_one_without_logins(tmp_path: Path) -> None:
    where = place(tmp_path)
    put(where, " \n")
    perform(files.plan_login(where, REGISTRY, MOBY))
    assert content(where) == {"auths": {REGISTRY: RIGHT}}


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    where = place(tmp_path)
    os.makedirs(where.path)
    with pytest.raises(RegistryError, match="Is a directory"):
        files.plan_login(where, REGISTRY, MOBY)
    os.rmdir(where.path)
    os.mkfifo(where.path)
    with pytest.raises(RegistryError, match="is no regular file"):
        files.plan_login(where, REGISTRY, MOBY)


def test_a_link_of_the_user_is_followed_and_stays(tmp_path: Path) -> None:
    where = place(tmp_path)
    put(where, {"auths": {REGISTRY: {"auth": "x"}}})
    kept = tmp_path / "dotfiles.json"
    os.rename(where.path, kept)
    os.symlink(kept, where.path)
    perform(files.plan_login(where, REGISTRY, MOBY))
    assert json.loads(kept.read_text()) == {"auths": {REGISTRY: RIGHT}}
    perform(files.plan_logout(where, REGISTRY))
    assert (os.path.islink(where.path), kept.read_text()) == (True, "{}\n")
    assert files.plan_logout(where, REGISTRY).reasons == ()
