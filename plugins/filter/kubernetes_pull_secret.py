# Copyright (c) 2026, the stronghold.registry authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter kubernetes_pull_secret: see DOCUMENTATION."""

from __future__ import annotations

DOCUMENTATION = r"""
name: kubernetes_pull_secret
short_description: A secret with which Kubernetes pulls from a registry
version_added: 1.0.0
author:
  - the stronghold.registry authors (@stronghold)
description:
  - Makes the manifest of a secret of the type V(kubernetes.io/dockerconfigjson), as
    C(kubectl create secret docker-registry) does.
  - It holds the password, encoded but not encrypted.
positional: _input, username, password, name
options:
  _input:
    description:
      - The registry as image references name it, V(host) or V(host:port).
    type: str
    required: true
  username:
    description:
      - The user of the registry.
    type: str
    required: true
  password:
    description:
      - The password of O(username).
    type: str
    required: true
  name:
    description:
      - The name of the secret, which C(imagePullSecrets) of a pod or service account then mentions.
    type: str
    required: true
  namespace:
    description:
      - The namespace of the secret. Left out, it is the one that C(kubectl) is used with.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Make a secret
  kubernetes.core.k8s:
    definition: >-
      {{ 'registry.lab:5000' | stronghold.registry.kubernetes_pull_secret('moby', moby_password, 'registry') }}
"""

RETURN = r"""
_value:
  description: The manifest.
  type: dict
"""

import base64
import json
import re
from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

# RFC 1123 as Kubernetes has it for names of objects; a namespace is one label.
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")


def kubernetes_pull_secret(
    registry: str, username: str, password: str, name: str, namespace: str = ""
) -> dict[str, Any]:
    from ansible_collections.stronghold.registry.plugins.module_utils._address import registry_problems
    from ansible_collections.stronghold.registry.plugins.module_utils._registry_client import Credentials

    problems = registry_problems(registry)
    if problems:
        raise AnsibleFilterError(f"registry: {' '.join(problems)}")
    if not username or not password:
        raise AnsibleFilterError("username and password: give both, a secret without a login is of no use.")
    if ":" in username:
        raise AnsibleFilterError("username: has a colon, which no user of a registry can have.")
    if not _NAME.fullmatch(name):
        raise AnsibleFilterError(f"name: '{name}' is no name in Kubernetes: lower case letters, digits, '-' and '.'.")
    if namespace and not re.fullmatch(_LABEL, namespace):
        raise AnsibleFilterError(f"namespace: '{namespace}' is no namespace: lower case letters, digits and '-'.")
    login = {
        "username": username,
        "password": password,
        "auth": Credentials(username, password).header.removeprefix("Basic "),
    }
    config = json.dumps({"auths": {registry: login}}, separators=(",", ":"), ensure_ascii=False)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, **({"namespace": namespace} if namespace else {})},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config.encode()).decode("ascii")},
    }


class FilterModule:
    def filters(self) -> dict[str, Callable[..., dict[str, Any]]]:
        return {"kubernetes_pull_secret": kubernetes_pull_secret}
