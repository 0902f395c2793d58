"""Lets a test call the vendor's own client: a JSON object a line, answered by one.

{"site": {...}, "call": "volume_collections.handover", "arguments": [...], "named": {...}}
"""

import json
import logging
import sys

from nimbleclient import NimOSClient
from nimbleclient.exceptions import NimOSClientError
from nimbleclient.resource import Resource

# The client logs every refusal itself, and the test looks at it.
logging.disable(logging.CRITICAL)

clients = {}


def client_of(site):
    key = json.dumps(site, sort_keys=True)
    if key not in clients:
        clients[key] = NimOSClient(
            site["hostname"], site["username"], site["password"], port=site["port"]
        )
    return clients[key]


def plain(value):
    if isinstance(value, Resource):
        return dict(value.attrs, id=value.id)
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def messages_of(error):
    told = error.args[0] if error.args else str(error)
    if isinstance(told, dict):
        told = told.get("messages", [])
    return told if isinstance(told, list) else [{"code": type(error).__name__, "text": str(told)}]


for line in sys.stdin:
    asked = json.loads(line)
    try:
        target = client_of(asked["site"])
        for name in asked["call"].split("."):
            target = getattr(target, name)
        answer = {"result": plain(target(*asked["arguments"], **asked["named"]))}
    except NimOSClientError as error:
        answer = {"refused": messages_of(error)}
    print(json.dumps(answer), flush=True)
