"""Walks python-cinderclient, as it comes from its registry, through what it needs of a site.

Reads from standard input where the site is and whom to be; prints what it saw as JSON.
"""

import json
import sys
import time

from cinderclient import client
from cinderclient import exceptions
from keystoneauth1 import session
from keystoneauth1.identity import v3

LIMIT_SECONDS = 60


def wait_for(condition, what):
    end = time.monotonic() + LIMIT_SECONDS
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.1)
    raise SystemExit(f"{what}: not within {LIMIT_SECONDS} s")


def gone(cinder, volume_id):
    try:
        cinder.volumes.get(volume_id)
        return False
    except exceptions.NotFound:
        return True


def refused(call):
    try:
        call()
    except exceptions.ClientException as error:
        return error.code
    return None


def connect(asked, password):
    auth = v3.Password(
        auth_url=asked["identity"],
        username=asked["username"],
        password=password,
        project_name="baton",
        user_domain_name="Default",
        project_domain_name="Default",
    )
    return client.Client("3", session=session.Session(auth=auth, verify=asked["caFile"]))


def main():
    asked = json.load(sys.stdin)
    cinder = connect(asked, asked["password"])
    zones = [zone.zoneName for zone in cinder.availability_zones.list()]
    made = [
        cinder.volumes.create(1, name=f"cinder-{zone}", availability_zone=zone) for zone in zones
    ]
    for volume in made:
        wait_for(
            lambda v=volume: cinder.volumes.get(v.id).status == "available",
            f"{volume.name} is available",
        )
    pages = []
    marker = None
    while True:
        page = cinder.volumes.list(limit=1, marker=marker, sort="name:asc")
        if not page:
            break
        pages += [v.name for v in page]
        marker = page[-1].id
    found = cinder.volumes.list(search_opts={"name": made[0].name})
    seen = {
        "zones": zones,
        "placed": [cinder.volumes.get(v.id).availability_zone for v in made],
        "pages": pages,
        "found": [v.id == made[0].id for v in found],
        "findByName": cinder.volumes.find(name=made[1].name).id == made[1].id,
        "types": [t.name for t in cinder.volume_types.list()],
        "limits": {limit.name: limit.value for limit in cinder.limits.get().absolute}[
            "totalVolumesUsed"
        ],
        "unknownZone": refused(lambda: cinder.volumes.create(1, availability_zone="berlin")),
        "unknownVolume": refused(lambda: cinder.volumes.get("none")),
        "takenName": refused(lambda: cinder.volumes.create(1, name=made[0].name)),
        "noSuchAction": refused(lambda: cinder.volumes.extend(made[0].id, 2)),
        "afterRefusals": len(cinder.volumes.list()),
    }
    for volume in made:
        cinder.volumes.delete(volume.id)
    for volume in made:
        wait_for(lambda v=volume: gone(cinder, v.id), f"{volume.name} is gone")
    seen["left"] = len(cinder.volumes.list())
    print(json.dumps(seen))


main()
