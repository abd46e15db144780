# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A pull-through cache of another registry, and what else a registry's variables ask for.

Each test begins with the hosts as the former one left them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from ..conftest import Lab

SERVER, UPSTREAM, CLIENT = "mirror-server", "mirror-upstream", "mirror-client"
MIRROR, ORIGIN = "mirror.lab:5000", "upstream.lab:5000"
ANCHOR = Path(__file__).parents[2] / "build" / "lab" / "mirror" / "upstream" / "ca.crt"
CREDS = "moby:gordon"


def address(lab: Lab, host: str) -> str:
    """A host's address: its name means nothing to containers on other hosts of the lab."""
    return lab.on(host, "ip -4 -brief address show eth0").split()[2].partition("/")[0]


def upstream(lab: Lab, **variables: Any) -> Any:
    """The registry behind the cache, open to all, since a cache shows its password to who hands out tokens only."""
    given: dict[str, Any] = {
        "registry_endpoint_name": "upstream",
        "registry_endpoint_authentication": "none",
        "registry_tls_names": ["upstream.lab", address(lab, UPSTREAM)],
    }
    return lab.play("--limit", UPSTREAM, **{**given, **variables})


def mirror(lab: Lab, **variables: Any) -> Any:
    """The cache, open to all in the lab since Docker asks mirrors without a login, and its client."""
    given: dict[str, Any] = {
        "registry_endpoint_name": "registry",
        "registry_endpoint_authentication": "none",
        "registry_client_mirrored": [ORIGIN],
        "registry_server_delete_enabled": True,
        "registry_server_proxy_url": f"https://{address(lab, UPSTREAM)}:5000",
        "registry_server_proxy_username": "moby",
        "registry_server_proxy_password": "gordon",
        "registry_server_trusted_ca": ANCHOR.read_text(),
    }
    return lab.play("--limit", f"{SERVER},{CLIENT}", **{**given, **variables})


def push_upstream(lab: Lab, name: str) -> None:
    lab.on(
        UPSTREAM,
        f"cd $(mktemp -d); head -c 100000 /dev/urandom >random; tar -c random | docker import - 127.0.0.1:5000/{name};"
        f"docker push 127.0.0.1:5000/{name}",
    )


def test_images_are_pulled_through(lab: Lab) -> None:
    upstream(lab)
    push_upstream(lab, "team/app:1")
    mirror(lab)
    assert mirror(lab).changes == ()
    lab.on(CLIENT, f"docker pull {MIRROR}/team/app:1")
    # By the name of the upstream, which the client neither trusts nor has a login for.
    lab.on(CLIENT, f"podman pull {ORIGIN}/team/app:1")
    assert "unsupported" in lab.on(
        CLIENT, f"docker tag {MIRROR}/team/app:1 {MIRROR}/team/new:1; docker push {MIRROR}/team/new:1", fails=True
    )


def test_the_upstreams_password_is_in_nothing_but_the_configuration(lab: Lab) -> None:
    holders = "grep -rlI gordon /srv/registry /etc /root"
    assert lab.on(SERVER, holders) == "/srv/registry/config/config.yml"
    assert lab.on(SERVER, "stat --format '%a %u' /srv/registry/config/config.yml") == "400 65532"
    assert "gordon" not in lab.on(SERVER, "docker inspect registry; docker logs registry 2>&1")


def test_what_is_cached_is_pulled_while_the_upstream_is_down(lab: Lab) -> None:
    push_upstream(lab, "team/late:1")
    lab.on(UPSTREAM, "docker stop upstream")
    lab.on(CLIENT, f"docker rmi {MIRROR}/team/app:1; docker pull {MIRROR}/team/app:1")
    lab.on(CLIENT, f"podman rmi {ORIGIN}/team/app:1; podman pull {ORIGIN}/team/app:1")
    lab.on(CLIENT, f"docker pull {MIRROR}/team/late:1", fails=True)
    # Nothing to change, and no error: the cache serves.
    assert mirror(lab).changes == ()
    lab.on(UPSTREAM, "docker start upstream")
    lab.on(CLIENT, f"docker pull {MIRROR}/team/late:1")


def test_a_cache_is_not_collected(lab: Lab) -> None:
    refused = lab.play(
        "--limit",
        SERVER,
        playbook="garbage_collect",
        fails=True,
        registry_endpoint_name="registry",
        registry_endpoint_authentication="none",
    )
    assert "this is a pull-through cache (proxy)" in refused.output


def test_keys_of_version_3_are_refused_for_version_2(lab: Lab) -> None:
    refused = upstream(lab, fails=True, registry_server_proxy_ttl="24h")
    assert "proxy.ttl: the registry knows it from major version 3" in " ".join(refused.output.split())
    assert refused.changes == ()


HOOK = """
import http.server
class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open("/tmp/events", "ab") as file:
            file.write(self.headers.get("Authorization", "").encode() + b" " + body + b"\\n")
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("", 8080), Hook).serve_forever()
"""


def test_notifications_metrics_and_logs(lab: Lab) -> None:
    lab.on(CLIENT, f"cat >/root/hook.py <<'END'\n{HOOK}\nEND\nsystemd-run --unit hook python3 /root/hook.py")
    endpoint = {
        "name": "hook",
        "url": f"http://{address(lab, CLIENT)}:8080/",
        "headers": {"Authorization": ["Bearer of-secrets"]},
        "timeout": "5s",
        "threshold": 3,
        "backoff": "1s",
    }
    upstream(
        lab,
        registry_server_notifications=[endpoint],
        registry_server_metrics_address="127.0.0.1",
        registry_server_log_format="json",
    )
    push_upstream(lab, "team/told:1")
    events = lab.on(
        CLIENT, "for second in $(seq 20); do grep told /tmp/events && break; sleep 1; done; cat /tmp/events"
    )
    assert "Bearer of-secrets" in events
    assert '"action": "push"' in events
    metrics = lab.on(
        UPSTREAM,
        "python3 -c \"import urllib.request as u; print(u.urlopen('http://127.0.0.1:5001/metrics').read().decode())\"",
    )
    monitoring = Path(__file__).parents[2] / "docs" / "monitoring"
    wanted = {
        name.removesuffix("_bucket")
        for file in monitoring.iterdir()
        for name in re.findall(r"\bregistry_[a-z_]+", file.read_text())
        if name != "registry_server_metrics_address"
    }
    assert wanted
    assert {name for name in wanted if f"# TYPE {name} " not in metrics} == set()
    assert "Connection refused" in lab.on(
        CLIENT, "python3 -c \"import socket; socket.create_connection(('upstream.lab', 5001))\"", fails=True
    )
    lines = lab.on(UPSTREAM, "docker logs upstream 2>&1 | grep '^{' | tail -3").splitlines()
    assert {json.loads(line)["level"] for line in lines} <= {"info", "warning", "error"}


def test_the_least_version_of_tls(lab: Lab) -> None:
    upstream(lab, registry_server_tls_minimum="tls1.3")
    hello = f"openssl s_client -connect {ORIGIN} -brief {{}} </dev/null 2>&1"
    assert "TLSv1.3" in lab.on(CLIENT, hello.format("-tls1_3"))
    assert "alert protocol version" in lab.on(CLIENT, hello.format("-tls1_2"), fails=True)
    upstream(lab, registry_server_tls_ciphers=["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"])
    assert "ECDHE-ECDSA-AES256-GCM-SHA384" in lab.on(CLIENT, hello.format("-tls1_2"))
    assert lab.on(CLIENT, hello.format("-tls1_2 -cipher ECDHE-ECDSA-CHACHA20-POLY1305"), fails=True)


@pytest.mark.parametrize("read_only", [True, False])
def test_a_registry_that_is_read_only(lab: Lab, read_only: bool) -> None:
    upstream(lab, registry_server_read_only=read_only)
    pull = f"skopeo copy --src-tls-verify=false --src-creds {CREDS} docker://{ORIGIN}/team/app:1 dir:/tmp/copy"
    lab.on(CLIENT, f"rm -rf /tmp/copy; {pull}")
    push = f"skopeo copy --dest-tls-verify=false --dest-creds {CREDS} dir:/tmp/copy docker://{ORIGIN}/team/copy:1"
    lab.on(CLIENT, push, fails=read_only)


ASK = """
import http.client, ssl
blind = ssl._create_unverified_context()
connection = http.client.HTTPSConnection("upstream.lab", 5000, context=blind)
headers = {"Host": "proxy.example.com", "X-Forwarded-Proto": "https", "Authorization": "Basic bW9ieTpnb3Jkb24="}
connection.request("POST", "/v2/team/app/blobs/uploads/", headers=headers)
print(connection.getresponse().getheader("Location"))
"""


def test_a_proxy_in_front_of_it(lab: Lab) -> None:
    ask = f"python3 - <<'END'\n{ASK}\nEND"
    assert lab.on(CLIENT, ask).startswith("https://proxy.example.com/v2/team/app/blobs/uploads/")
    upstream(lab, registry_server_relative_urls=True)
    assert lab.on(CLIENT, ask).startswith("/v2/team/app/blobs/uploads/")
