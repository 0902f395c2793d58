"""Lets a test call the vendor's own client: a JSON object a line, answered by one.

{"site": {...}, "call": "protection.pause_replication_session", "arguments": [...], "named": {...}}
"""

import json
import sys

from PyPowerStore.powerstore_conn import PowerStoreConn
from PyPowerStore.utils.exception import PowerStoreException

clients = {}


def client_of(site):
    key = json.dumps(site, sort_keys=True)
    if key not in clients:
        clients[key] = PowerStoreConn(
            site["username"],
            site["password"],
            site["hostname"],
            verify=site["caFile"],
            application_type="conformance",
            port_no=site["port"],
        )
    return clients[key]


for line in sys.stdin:
    asked = json.loads(line)
    try:
        target = client_of(asked["site"])
        for name in asked["call"].split("."):
            target = getattr(target, name)
        answer = {"result": target(*asked["arguments"], **asked["named"])}
    except PowerStoreException as error:
        answer = {"refused": {"status": error.status_code, "text": str(error)}}
    print(json.dumps(answer), flush=True)
