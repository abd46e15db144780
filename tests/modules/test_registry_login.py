# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module registry_login, judged by docker, podman, buildah and skopeo, real users and a real credential helper."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import pwd
import secrets
import shutil
import subprocess
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .conftest import RunModule
from .registry import (
    HOST,
    LOOPBACK,
    PASSWORD,
    USER,
    Authority,
    Registry,
    RegistryFactory,
    authority,
    free_port,
    registry_binary,
    start_registry,
)

__all__ = ["authority", "registry_binary", "start_registry"]

ROOT = Path(__file__).parents[2]
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
AUTH = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
OTHER = "other.lab:5000"
REFUSED_PASSWORD = "not the one"

MakeUser = Callable[[], "User"]
Login = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class User:
    """A user of this host, with a runtime directory as a login session has one."""

    name: str
    uid: int
    home: Path

    @property
    def docker(self) -> Path:
        return self.home / ".docker/config.json"

    @property
    def podman(self) -> Path:
        return self.home / ".config/containers/auth.json"

    @property
    def runtime(self) -> Path:
        return Path(f"/run/user/{self.uid}")

    @property
    def environment(self) -> dict[str, str]:
        session = {"XDG_RUNTIME_DIR": str(self.runtime)} if self.runtime.is_dir() else {}
        return {"HOME": str(self.home), "PATH": PATH, **session}

    def run(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a program as the user."""
        return subprocess.run(
            ["runuser", "-u", self.name, "--", *command],
            env=self.environment,
            cwd=self.home,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def has(self, path: Path, content: object, mode: int = 0o600) -> None:
        """Have a file of the user's own."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        path.chmod(mode)
        for part in (path, *path.parents):
            if self.home in part.parents:
                os.chown(part, self.uid, self.uid)


@pytest.fixture
def make_user() -> Iterator[MakeUser]:
    """Make users of this host, each gone after the test."""
    with contextlib.ExitStack() as stack:

        def make() -> User:
            name = f"login-{secrets.token_hex(4)}"
            subprocess.run(["useradd", "--create-home", "--user-group", name], check=True)
            stack.callback(_remove_user, name)
            found = pwd.getpwnam(name)
            user = User(name, found.pw_uid, Path(found.pw_dir))
            user.runtime.mkdir(mode=0o700, parents=True)
            os.chown(user.runtime, user.uid, found.pw_gid)
            return user

        yield make


def _remove_user(name: str) -> None:
    found = pwd.getpwnam(name)
    # An agent of the user may still be about to end, and to remove its sockets.
    subprocess.run(["userdel", "--force", name], check=True)
    for directory in (found.pw_dir, f"/run/user/{found.pw_uid}"):
        shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def user(make_user: MakeUser) -> User:
    return make_user()


@pytest.fixture
def registry(start_registry: RegistryFactory, authority: Authority) -> Registry:
    """A registry with TLS that only lets moby in."""
    authority.sign("leaf", f"DNS:{HOST},IP:{LOOPBACK}")
    return start_registry(certificate="leaf", users=True)


@pytest.fixture
def login(run_module: RunModule, registry: Registry, user: User) -> Login:
    """Run the module for the user and the registry."""

    def run(**changes: Any) -> dict[str, Any]:
        return run_module("registry_login", **{**parameters(registry, user), **changes})

    return run


def parameters(registry: Registry, *users: User) -> dict[str, Any]:
    return {
        "registry": name_of(registry),
        "username": USER,
        "password": PASSWORD,
        "ca_certificate": Authority(registry.directory).pem,
        "users": [user.name for user in users],
    }


def name_of(registry: Registry) -> str:
    return f"{LOOPBACK}:{registry.port}"


def image_in(registry: Registry, run_module: RunModule) -> str:
    """Push an image, and return its reference."""
    digest = run_module("registry_probe", **registry.probe)["pushed"]
    return f"{name_of(registry)}/stronghold/probe@{digest}"


def who_is_logged_in(user: User, registry: str) -> list[str]:
    """Whom the clients of Podman's kind take the user for, and Podman itself, which would leave a process behind."""
    asked = [user.run(program, "login", "--get-login", registry) for program in ("skopeo", "buildah")]
    podman = ["podman", "login", "--get-login", registry]
    asked.append(subprocess.run(podman, env=user.environment, capture_output=True, text=True, check=False))
    return [done.stdout.strip() if done.returncode == 0 else "nobody" for done in asked]


def can_pull(user: User, image: str) -> list[bool]:
    """Whether the user's docker and skopeo get at an image with the logins that they find."""
    asked = [
        user.run("docker", "manifest", "inspect", "--insecure", image),
        user.run("skopeo", "inspect", "--raw", "--tls-verify=false", f"docker://{image}"),
    ]
    return [done.returncode == 0 for done in asked]


def files_of(user: User) -> dict[str, tuple[bytes, int, int]]:
    """Content, mode and owner of all that is in a home."""
    return {
        str(path): (path.read_bytes() if path.is_file() else b"", path.lstat().st_mode, path.lstat().st_uid)
        for path in user.home.rglob("*")
    }


def test_users_are_logged_in_for_all_their_clients(
    run_module: RunModule, registry: Registry, make_user: MakeUser
) -> None:
    users = [make_user(), make_user()]
    image = image_in(registry, run_module)
    assert [can_pull(user, image) for user in users] == [[False, False]] * 2
    before = [files_of(user) for user in users]
    predicted = run_module("registry_login", check=True, **parameters(registry, *users))
    assert [files_of(user) for user in users] == before

    result = run_module("registry_login", **parameters(registry, *users))
    assert result == predicted
    files = [str(path) for user in users for path in (user.docker, user.podman)]
    assert result["files"] == files
    assert result["reasons"] == [f"{path}: user moby is not logged in to {name_of(registry)}" for path in files]
    assert (result["changed"], result["clients"], result["verified"]) == (True, ["docker", "podman"], True)
    for user in users:
        assert who_is_logged_in(user, name_of(registry)) == [USER] * 3
        assert can_pull(user, image) == [True, True]
        for path in (user.docker, user.podman):
            found = path.stat()
            assert (found.st_mode & 0o7777, found.st_uid, found.st_gid) == (0o600, user.uid, user.uid)
            assert (path.parent.stat().st_mode & 0o7777, path.parent.stat().st_uid) == (0o700, user.uid)

    again = run_module("registry_login", **parameters(registry, *users))
    assert (again["changed"], again["reasons"], again["files"], again["verified"]) == (False, [], files, True)


def test_users_are_logged_out_as_if_they_never_were_in(
    run_module: RunModule, registry: Registry, make_user: MakeUser
) -> None:
    users = [make_user(), make_user()]
    users[1].has(users[1].docker, {"auths": {OTHER: {"auth": "eDp5"}}, "psFormat": "table"})
    before = [files_of(user) for user in users]
    run_module("registry_login", **parameters(registry, *users))
    away: dict[str, Any] = {"registry": name_of(registry), "users": [user.name for user in users], "state": "absent"}
    predicted = run_module("registry_login", check=True, **away)
    result = run_module("registry_login", **away)
    assert result == predicted
    assert (result["changed"], result["files"], result["verified"]) == (True, [], None)
    assert result["reasons"][0] == f"{users[0].docker}: logs in to {name_of(registry)} as moby, wanted absent"
    for user in users:
        assert who_is_logged_in(user, name_of(registry)) == ["nobody"] * 3
    assert json.loads(users[1].docker.read_text()) == {"auths": {OTHER: {"auth": "eDp5"}}, "psFormat": "table"}
    assert [set(files_of(user)) - {str(user.home / ".config")} for user in users] == [set(files) for files in before]
    assert run_module("registry_login", **away)["changed"] is False


def test_root_is_logged_in_unless_others_are_named(run_module: RunModule, registry: Registry) -> None:
    root = User("root", 0, Path("/root"))
    before = {path: json.loads(path.read_text()) for path in (root.docker, root.podman) if path.exists()}
    params = {key: value for key, value in parameters(registry).items() if key != "users"}
    try:
        assert run_module("registry_login", **params)["files"][:2] == [str(root.docker), str(root.podman)]
        assert run_module("registry_login", **params)["changed"] is False
        assert can_pull(root, image_in(registry, run_module)) == [True, True]
    finally:
        run_module("registry_login", registry=name_of(registry), state="absent")
    after = {path: json.loads(path.read_text()) for path in (root.docker, root.podman) if path.exists()}
    assert after == before


@pytest.mark.parametrize("client", ["docker", "podman"])
def test_one_kind_of_client_alone(login: Login, registry: Registry, user: User, client: str) -> None:
    result = login(clients=[client])
    assert result["clients"] == [client]
    assert [user.docker.exists(), user.podman.exists()] == [client == "docker", client == "podman"]
    assert login(clients=[client], state="absent")["changed"] is True
    assert login(state="absent")["changed"] is False


def test_docker_itself_writes_the_same(login: Login, registry: Registry, user: User, tmp_path: Path) -> None:
    # Where the file names no store Docker takes one that it finds on the host.
    user.has(user.docker, {"auths": {OTHER: {}}})
    shutil.copytree(user.docker.parent, tmp_path / "docker")
    told = subprocess.run(
        ["docker", "--config", tmp_path / "docker", "login", "--username", USER, "--password-stdin", name_of(registry)],
        input=PASSWORD,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    login()
    assert json.loads(user.docker.read_text()) == json.loads((tmp_path / "docker/config.json").read_text())


def test_a_refused_password_writes_nothing(login: Login, registry: Registry, user: User) -> None:
    before = files_of(user)
    failed = login(password=REFUSED_PASSWORD, fails=True)
    assert f"{name_of(registry)} refuses the password of user {USER}" in failed["msg"]
    assert REFUSED_PASSWORD not in json.dumps(failed)
    assert files_of(user) == before
    predicted = login(password=REFUSED_PASSWORD, check=True)
    assert (predicted["verified"], predicted["changed"]) == (False, True)
    assert "refuses the password" in json.dumps(predicted["warnings"])


def test_a_login_that_no_longer_works_is_noticed(login: Login, registry: Registry, user: User, command: Any) -> None:
    login()
    before = files_of(user)
    htpasswd = registry.directory / "htpasswd"
    command("htpasswd", "-B", "-b", "-C", "4", htpasswd, USER, "changed")
    os.utime(htpasswd, (0, 0))
    assert "refuses the password" in login(fails=True)["msg"]
    noticed = login(check=True)
    assert (noticed["verified"], noticed["changed"]) == (False, False)
    assert files_of(user) == before
    assert login(verify=False)["changed"] is False
    changed = login(password="changed")
    assert changed["reasons"] == [
        f"{path}: user moby has another password for {name_of(registry)}" for path in (user.docker, user.podman)
    ]
    assert changed["diff"]["before"].count(", with another password\n") == 2
    assert "auth" not in changed["diff"]["before"].replace("auth.json", "")


def test_a_registry_that_cannot_be_reached(login: Login, user: User) -> None:
    nowhere = {"registry": f"{LOOPBACK}:{free_port()}", "timeout": 1}
    assert "Nothing listens on" in login(**nowhere, fails=True)["msg"]
    assert not user.docker.exists()
    predicted = login(**nowhere, check=True)
    assert (predicted["verified"], predicted["changed"]) == (False, True)
    assert login(**nowhere, verify=False)["verified"] is None


def test_a_certificate_of_another_authority_is_not_trusted(login: Login, user: User) -> None:
    assert "is not signed by a CA of this system" in login(ca_certificate="", fails=True)["msg"]
    assert not user.docker.exists()


def test_a_registry_by_its_name_at_an_address(login: Login, registry: Registry, user: User) -> None:
    name = f"{HOST}:{registry.port}"
    assert login(registry=name, address=LOOPBACK)["verified"] is True
    assert list(json.loads(user.docker.read_text())["auths"]) == [name]


def test_a_registry_that_asks_nobody(run_module: RunModule, start_registry: RegistryFactory, user: User) -> None:
    open_to_all = start_registry()
    asked = {**parameters_without_tls(open_to_all), "users": [user.name]}
    result = run_module("registry_login", **asked)
    assert (result["changed"], result["verified"]) == (True, None)


def parameters_without_tls(registry: Registry) -> dict[str, Any]:
    return {"registry": name_of(registry), "username": USER, "password": PASSWORD, "security": "insecure"}


def test_a_registry_that_asks_for_a_certificate(
    run_module: RunModule, start_registry: RegistryFactory, authority: Authority, user: User, command: Any
) -> None:
    authority.sign("leaf", f"IP:{LOOPBACK}")
    at = authority.directory
    tls = {"certificate": f"{at}/leaf.crt", "key": f"{at}/leaf.key", "clientcas": [f"{at}/ca.crt"]}
    guarded = start_registry(certificate="leaf", users=True, http={"tls": tls})
    pair = client_pair(at, command)

    def run(**changes: Any) -> dict[str, Any]:
        return run_module("registry_login", **{**parameters(guarded, user), **changes})

    assert run(**pair)["verified"] is True
    assert "asks its clients for a certificate and got none" in run(fails=True)["msg"]
    stranger = client_pair(at, command, name="stranger")
    assert "does not accept client_certificate" in run(**stranger, fails=True)["msg"]
    failed = run(client_certificate=pair["client_certificate"], client_key=stranger["client_key"], fails=True)
    assert failed["msg"] == "client_key: it is not the key of client_certificate."
    assert stranger["client_key"].splitlines()[1] not in json.dumps(failed)
    assert run(client_key=pair["client_key"], fails=True)["msg"].startswith("client_certificate and client_key: ")


def client_pair(directory: Path, command: Any, name: str = "client") -> dict[str, str]:
    """A client's certificate, by the CA, or by itself for a stranger."""
    own = ["-keyout", directory / f"{name}.key", "-out", directory / f"{name}.crt"]
    issuer = [] if name == "stranger" else ["-CA", directory / "ca.crt", "-CAkey", directory / "ca.key"]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command(
        "openssl",
        "req",
        "-x509",
        *curve,
        "-subj",
        f"/CN={name}",
        "-addext",
        "extendedKeyUsage=clientAuth",
        *issuer,
        *own,
    )
    return {
        "client_certificate": (directory / f"{name}.crt").read_text(),
        "client_key": (directory / f"{name}.key").read_text(),
    }


# Files that are there already


def test_a_login_by_hand_of_podman_s_kind_does_not_outrank(login: Login, registry: Registry, user: User) -> None:
    login()
    by_hand = user.run(
        "skopeo", "login", "--tls-verify=false", "-u", USER, "--password-stdin", name_of(registry), stdin=PASSWORD
    )
    assert by_hand.returncode == 0, by_hand.stderr
    transient = user.runtime / "containers/auth.json"
    assert login()["changed"] is False
    entry = {"auth": base64.b64encode(b"robot:old").decode()}
    user.has(transient, {"auths": {OTHER: {"auth": "eDp5"}, name_of(registry): entry}})
    os.chown(transient, user.uid, user.uid)
    assert who_is_logged_in(user, name_of(registry)) == ["robot"] * 3
    result = login()
    assert result["reasons"] == [f"{transient}: logs in to {name_of(registry)} as robot, wanted moby"]
    assert str(transient) in result["files"]
    assert who_is_logged_in(user, name_of(registry)) == [USER] * 3
    login(state="absent")
    assert who_is_logged_in(user, name_of(registry)) == ["nobody"] * 3
    assert json.loads(transient.read_text()) == {"auths": {OTHER: {"auth": "eDp5"}}}


def test_registries_in_one_file_stay_apart(login: Login, registry: Registry, user: User) -> None:
    others = {OTHER: {"auth": "eDp5"}, f"{name_of(registry)}/team": {"auth": "eDp5"}}
    former = {f"https://{name_of(registry)}/v1/": {"identitytoken": "t", "email": "m@lab"}}
    user.has(user.docker, {"auths": {**others, **former}, "detachKeys": "ctrl-q"}, mode=0o644)
    result = login(clients=["docker"])
    assert [reason.removeprefix(f"{user.docker}: ") for reason in result["reasons"]] == [
        f"logs in to {name_of(registry)} with a token, wanted moby's password",
        f"names {name_of(registry)} as https://{name_of(registry)}/v1/",
        "mode is 0644, wanted 0600",
    ]
    auths = {**others, name_of(registry): {"auth": AUTH}}
    assert json.loads(user.docker.read_text()) == {"auths": auths, "detachKeys": "ctrl-q"}
    assert user.docker.stat().st_mode & 0o7777 == 0o600
    login(registry=OTHER, state="absent")
    assert list(json.loads(user.docker.read_text())["auths"]) == [f"{name_of(registry)}/team", name_of(registry)]


@pytest.mark.parametrize("content", ["{", "[]", '{"auths": []}', "auths:\n  other.lab: {}\n"])
def test_a_file_that_cannot_be_parsed_stops_everything(
    run_module: RunModule, registry: Registry, make_user: MakeUser, content: str
) -> None:
    users = [make_user(), make_user()]
    users[1].has(users[1].podman, content)
    before = [files_of(user) for user in users]
    for state in ("present", "absent"):
        message = run_module("registry_login", **parameters(registry, *users), state=state, fails=True)["msg"]
        assert str(users[1].podman) in message
    assert [files_of(user) for user in users] == before


def test_users_without_a_home_of_their_own(run_module: RunModule, registry: Registry, make_user: MakeUser) -> None:
    users = [make_user(), make_user()]
    users[1].home.chmod(0o000)
    message = run_module("registry_login", **parameters(registry, *users), fails=True)["msg"]
    assert message.startswith(f"users: the home of user '{users[1].name}', {users[1].home}, is not there or closed")
    assert not users[0].docker.exists()
    unknown = {**parameters(registry), "users": [users[0].name, "login-nobody"]}
    assert "users: there is no user 'login-nobody'" in run_module("registry_login", **unknown, fails=True)["msg"]


@pytest.mark.parametrize("mode", [0o600, 0o644])
@pytest.mark.parametrize("link", [".docker/config.json", ".docker"])
def test_links_lead_nobody_to_what_is_root_s(
    run_module: RunModule, registry: Registry, make_user: MakeUser, mode: int, link: str
) -> None:
    users = [make_user(), make_user()]
    # What pytest makes is closed to others; this is open but for what its mode says.
    with contextlib.ExitStack() as stack:
        secret = Path(f"/etc/stronghold-{users[1].name}")
        secret.mkdir(mode=0o755)
        stack.callback(shutil.rmtree, secret)
        target = secret / "config.json"
        target.write_text('{"auths": {}}')
        target.chmod(mode)
        place = users[1].home / link
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(target if place.suffix else secret)
        for check in (True, False):
            message = run_module("registry_login", **parameters(registry, *users), check=check, fails=True)["msg"]
            assert str(users[1].docker) in message
        assert (target.read_text(), target.stat().st_uid, target.stat().st_mode & 0o7777) == ('{"auths": {}}', 0, mode)
        assert os.listdir(secret) == ["config.json"]
        assert not users[0].docker.exists()


def test_a_file_of_root_s_in_a_home(login: Login, user: User) -> None:
    user.has(user.docker, {"auths": {OTHER: {"auth": "eDp5"}}})
    os.chown(user.docker, 0, 0)
    assert f"{user.docker} cannot be read by user '{user.name}'" in login(fails=True)["msg"]
    user.docker.chmod(0o644)
    result = login()
    assert f"{user.docker}: owner is 0, wanted {user.uid}" in result["reasons"]
    assert (user.docker.stat().st_uid, user.docker.stat().st_mode & 0o7777) == (user.uid, 0o600)


# Credential helpers


@pytest.fixture
def keeper(user: User) -> Iterator[User]:
    """A user with a password store, for docker-credential-pass."""
    made = [
        user.run("gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", "moby@lab", "default", "default"),
        user.run("pass", "init", "moby@lab"),
    ]
    assert [done.returncode for done in made] == [0, 0], made
    yield user
    user.run("gpgconf", "--kill", "all")


def kept(user: User, registry: str) -> dict[str, str]:
    done = user.run("docker-credential-pass", "get", stdin=registry)
    answer: dict[str, str] = json.loads(done.stdout)
    return answer


def test_a_credential_helper_keeps_the_password(
    login: Login, run_module: RunModule, registry: Registry, keeper: User, command: Any
) -> None:
    name = name_of(registry)
    keeper.has(keeper.docker, {"auths": {name: {"auth": AUTH}}, "credsStore": "pass"})
    keeper.has(keeper.podman, {"credHelpers": {name: "pass"}})
    predicted = login(check=True)
    result = login()
    assert result == predicted
    assert result["reasons"] == [
        f"{keeper.docker}: user moby is not logged in to {name}",
        f"{keeper.docker}: shows a secret for {name}, which is for docker-credential-pass to keep",
        f"{keeper.podman}: user moby is not logged in to {name}",
    ]
    assert json.loads(keeper.docker.read_text()) == {"auths": {name: {}}, "credsStore": "pass"}
    assert json.loads(keeper.podman.read_text()) == {"credHelpers": {name: "pass"}, "auths": {name: {}}}
    assert kept(keeper, name) == {"ServerURL": name, "Username": USER, "Secret": PASSWORD}
    assert can_pull(keeper, image_in(registry, run_module)) == [True, True]
    assert who_is_logged_in(keeper, name)[:1] == [USER]
    assert login()["changed"] is False

    command("htpasswd", "-B", "-b", "-C", "4", registry.directory / "htpasswd", USER, "changed")
    os.utime(registry.directory / "htpasswd", (0, 0))
    result = login(password="changed")
    assert result["reasons"][0] == f"{keeper.docker}: user moby has another password for {name}"
    assert kept(keeper, name)["Secret"] == "changed"

    predicted = login(state="absent", check=True)
    assert login(state="absent") == predicted
    assert kept(keeper, name)["Secret"] == ""
    assert json.loads(keeper.docker.read_text()) == {"credsStore": "pass"}
    assert json.loads(keeper.podman.read_text()) == {"credHelpers": {name: "pass"}}
    assert login(state="absent")["changed"] is False


def test_a_login_of_docker_s_with_a_helper_is_right_already(login: Login, registry: Registry, keeper: User) -> None:
    name = name_of(registry)
    keeper.has(keeper.docker, {"auths": {name: {}}, "credsStore": "pass"})
    stored = keeper.run(
        "docker-credential-pass",
        "store",
        stdin=json.dumps({"ServerURL": name, "Username": USER, "Secret": PASSWORD}),
    )
    assert stored.returncode == 0, stored.stdout
    assert login(clients=["docker"])["changed"] is False


def test_a_store_that_was_never_set_up_is_told(login: Login, registry: Registry, user: User) -> None:
    user.has(user.docker, {"auths": {}, "credsStore": "pass"})
    failed = login(fails=True)
    assert f"{user.docker}: the credential helper docker-credential-pass of user '{user.name}' fails" in failed["msg"]
    assert "pass not initialized" in failed["msg"]
    assert json.loads(user.docker.read_text()) == {"auths": {}, "credsStore": "pass"}


def test_a_helper_that_is_missing_is_told(login: Login, registry: Registry, user: User) -> None:
    user.has(user.docker, {"credHelpers": {name_of(registry): "no-such"}})
    for params in ({}, {"check": True}, {"state": "absent"}):
        assert "docker-credential-no-such of user" in login(**params, fails=True)["msg"]
    assert login(registry=OTHER, verify=False)["changed"] is True


def script(user: User, name: str, text: str) -> None:
    """A helper of the user's own."""
    user.has(user.home / f".local/bin/docker-credential-{name}", textwrap.dedent(text).lstrip(), mode=0o755)


def test_a_helper_gets_the_users_rights_and_nothing_more(login: Login, registry: Registry, user: User) -> None:
    """No real helper tells what it was given, so a script does."""
    script(
        user,
        "spy",
        """
        #!/bin/sh
        { echo "$@"; pwd; grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status; env | cut -d= -f1 | sort
          cat /proc/$PPID/environ; } >>~/seen 2>&1
        cat >>~/stdin
        echo '{"Username": "", "Secret": ""}'
        """,
    )
    user.has(user.docker, {"credsStore": "spy"})
    login(clients=["docker"])
    seen = (user.home / "seen").read_text()
    assert [line for line in seen.splitlines() if line in ("get", "store", "erase")] == ["get", "store"]
    assert f"Uid:\t{user.uid}\t{user.uid}\t{user.uid}\t{user.uid}\n" in seen
    assert f"Gid:\t{user.uid}\t{user.uid}\t{user.uid}\t{user.uid}\n" in seen
    assert f"Groups:\t{user.uid} \n" in seen
    assert "CapEff:\t0000000000000000\n" in seen
    assert f"\n{user.home}\n" in seen
    names = {line for line in seen.splitlines() if line.isupper() and line.isidentifier()}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {"HOME", "LC_ALL", "LOGNAME", "PATH", "USER", "XDG_RUNTIME_DIR"}
    assert "Permission denied" in seen
    assert PASSWORD not in seen
    assert json.loads((user.home / "stdin").read_text().removeprefix(name_of(registry))) == {
        "ServerURL": name_of(registry),
        "Username": USER,
        "Secret": PASSWORD,
    }


def test_a_helper_that_repeats_the_secret_is_not_repeated(login: Login, user: User) -> None:
    script(
        user, "parrot", """#!/bin/sh\n[ "$1" = get ] && echo '{"Username": "", "Secret": ""}' && exit\ncat; exit 1\n"""
    )
    user.has(user.docker, {"credsStore": "parrot"})
    quoted = 'it"s a secret'
    failed = login(password=quoted, verify=False, fails=True)
    assert f"docker-credential-parrot of user '{user.name}' fails to store credentials. Mend it" in failed["msg"]
    assert "a secret" not in json.dumps(failed)


def test_a_helper_that_answers_nonsense_is_told(login: Login, user: User) -> None:
    script(user, "odd", "#!/bin/sh\necho '[\"hush\"]'\n")
    user.has(user.docker, {"credsStore": "odd"})
    failed = login(fails=True)
    assert "docker-credential-odd" in failed["msg"]
    assert "hush" not in json.dumps(failed)


def test_a_helper_that_answers_without_end_is_ended(login: Login, user: User) -> None:
    script(user, "endless", "#!/bin/sh\nyes '[\"hush\"]' &\nyes\n")
    user.has(user.docker, {"credsStore": "endless"})
    failed = login(fails=True)
    assert "docker-credential-endless" in failed["msg"]
    assert "it answers more than 65536 bytes" in failed["msg"]
    assert "hush" not in json.dumps(failed)
    # Nothing of it runs on; what is dead may still wait for its parent.
    assert subprocess.run(["pgrep", "--runstates=RSDT", "-u", user.name], check=False).returncode == 1


# Together with the trust, by client_trust


@pytest.fixture
def use(run_module: RunModule, registry: Registry, user: User, tmp_path: Path) -> Login:
    """Run client_trust for the user and the registry, with the engines' files in directories of the test's own."""
    places = {
        "docker_directory": str(tmp_path / "docker"),
        "docker_socket": str(tmp_path / "docker.sock"),
        "containers_directory": str(tmp_path / "containers"),
        "engines": ["docker", "podman"],
    }

    def run(**changes: Any) -> dict[str, Any]:
        return run_module("client_trust", **{**parameters(registry, user), **places, "login": "present", **changes})

    return run


def anchors_below(directory: Path) -> list[str]:
    return sorted(path.parts[-4] for path in directory.glob("*/certs.d/*/ca.crt"))


def test_trust_and_login_in_one_task(
    use: Login, run_module: RunModule, registry: Registry, user: User, tmp_path: Path
) -> None:
    image = image_in(registry, run_module)
    predicted = use(check=True)
    assert (predicted["verified"], anchors_below(tmp_path), user.docker.exists()) == (None, [], False)
    done = use()
    assert done["reasons"] == predicted["reasons"]
    assert (done["changed"], done["verified"]) == (True, True)
    assert done["login_files"] == [str(user.docker), str(user.podman)]
    assert anchors_below(tmp_path) == ["containers", "docker"]
    assert can_pull(user, image) == [True, True]
    again = use()
    assert (again["changed"], again["reasons"], again["verified"]) == (False, [], True)
    assert use(check=True, password="another")["verified"] is False
    assert use(login="untouched", username="", password="")["changed"] is False

    logged_out = use(login="absent", username="", password="")
    assert (logged_out["changed"], logged_out["login_files"], logged_out["verified"]) == (True, [], None)
    assert anchors_below(tmp_path) == ["containers", "docker"]
    assert can_pull(user, image) == [False, False]

    use()
    away: dict[str, Any] = {"state": "absent", "login": "absent", "username": "", "password": "", "ca_certificate": ""}
    predicted = use(check=True, **away)
    gone = use(**away)
    assert gone["reasons"] == predicted["reasons"]
    assert (anchors_below(tmp_path), user.docker.exists(), user.podman.exists()) == ([], False, False)
    assert use(**away)["changed"] is False


def test_engines_that_are_not_named_are_not_logged_in(use: Login, user: User) -> None:
    assert use(engines=["podman"])["login_files"] == [str(user.podman)]
    assert not user.docker.exists()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"password": REFUSED_PASSWORD}, "refuses the password of user moby"),
        ({"password": ""}, "username and password: give both"),
        ({"state": "absent"}, "login: is present, while state is absent"),
        ({"users": ["nobody-of-this-name"]}, "users: there is no user 'nobody-of-this-name' on this host"),
    ],
)
def test_a_login_that_cannot_be_leaves_the_trust_alone(
    use: Login, user: User, tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    before = files_of(user)
    assert told in use(**changes, fails=True)["msg"]
    assert (anchors_below(tmp_path), files_of(user)) == ([], before)


# What is seen of a run


@pytest.mark.parametrize("password", [PASSWORD, REFUSED_PASSWORD])
def test_no_secret_in_the_output_of_a_play(registry: Registry, user: User, tmp_path: Path, password: str) -> None:
    task = {"stronghold.registry.registry_login": {**parameters(registry, user), "password": "{{ password }}"}}
    variables = {"ansible_python_interpreter": "{{ ansible_playbook_python }}"}
    play = {"hosts": "localhost", "connection": "local", "vars": variables, "gather_facts": False, "tasks": [task]}
    (tmp_path / "play.json").write_text(json.dumps([play]))
    (tmp_path / "secrets.json").write_text(json.dumps({"password": password}))
    user.has(user.docker, {"auths": {name_of(registry): {"auth": base64.b64encode(b"moby:former one").decode()}}})
    done = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-vvv", "--diff", "-e", f"@{tmp_path}/secrets.json", "play.json"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / "build/collections"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert (done.returncode == 0) == (password == PASSWORD), output
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in output
    for secret in (password, "former one"):
        assert secret not in output
        assert base64.b64encode(f"{USER}:{secret}".encode()).decode() not in output
    if password == PASSWORD:
        assert f"-{user.docker}: {name_of(registry)} as moby, with another password" in output
