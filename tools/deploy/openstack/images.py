"""Images in Glance: properties, upload, knowing one's own again, and removing what nobody uses.

An image is known by its name, importos-SERVICE-VERSION: the version is a hash of its bytes and
properties, so the same image is uploaded once, and a changed one gets another name.  Glance says
which bytes it holds (os_hash_value, SHA-512; on clouds before 2018 an MD5), and these are compared
after an upload and before an image is used again.

An upload has two steps: the image is registered, then sent.  Of several who register the same name
at the same time, the first sends it and the others wait for it; what was registered and not sent
within LEFT_OVER seconds is what an upload that was interrupted has left, and is removed.
An image that was uploaded to stay (--image-only, --heat) has the tag KEPT.

Left out: import from elsewhere (clouds that disable uploads), volumes.
"""

import hashlib
import re
import time
from datetime import datetime

from tools.deploy.provider import SERVICE_TAG
from tools.errors import UserError

# What Nova makes of them: docs/openstack.md.
PROPERTIES = {
    "architecture": "x86_64",
    "hw_disk_bus": "virtio",
    "hw_vif_model": "virtio",
    "hw_cdrom_bus": "scsi",  # the config drive where there is a driver for it
    "hw_scsi_model": "virtio-scsi",
    "hw_rng_model": "virtio",
    "hw_watchdog_action": "reset",
    "hw_qemu_guest_agent": "yes",
    "hw_firmware_type": "bios",
    "hw_video_model": "none",
    "os_type": "linux",  # else some clouds set the clock to local time
    "os_shutdown_timeout": "15",  # the machine takes ten at most
}
DISK_FORMAT, CONTAINER_FORMAT = "qcow2", "bare"
MIN_DISK = 1  # GB: a flavor without a disk is not for us
MEGABYTE = 1 << 20
SMALLEST_HEAP = 4 * MEGABYTE
UEFI = "hw_firmware_type=uefi"  # --property: another disk (tools/image/formats/efi.py)
UEFI_RAM = 128  # MB: what the firmware itself takes
PIECE = 1 << 20
KEPT, RUN = "importos-kept", "importos-run-"  # tags of images
LEFT_OVER = 60  # seconds
POLL = 0.5
SENDING = ("queued", "saving", "uploading", "importing")


def properties(service, changes):
    """The properties of a service's image: ours, changed by --property k=v (k= takes one away)."""
    made = {**PROPERTIES, SERVICE_TAG: service}
    for text in changes:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UserError(f"--property {text}: expected NAME=VALUE")
        made[name] = value
    return {name: value for name, value in made.items() if value}


def min_ram(totals, wanted):
    """Megabytes for image and heap, from the totals of a build's report; and for the firmware."""
    needed = MEGABYTE + totals["flat"] + totals["bss"] + SMALLEST_HEAP
    least = UEFI_RAM if wanted.get("hw_firmware_type") == "uefi" else 0
    return max(-(-needed // MEGABYTE), least)


class Description:
    """An image to be: a file, and what Glance is told about it."""

    def __init__(self, service, path, wanted, ram):
        self.path, self.properties, self.min_ram = path, wanted, ram
        self.sha512, self.md5 = hashlib.sha512(), hashlib.md5(usedforsecurity=False)
        try:
            with path.open("rb") as file:
                while piece := file.read(PIECE):
                    self.sha512.update(piece)
                    self.md5.update(piece)
        except OSError as error:
            raise UserError(f"{path}: {error.strerror}; is it built?") from None
        told = repr((sorted(wanted.items()), ram, self.sha512.hexdigest()))
        self.version = hashlib.sha256(told.encode()).hexdigest()[:12]
        self.name = f"importos-{service}-{self.version}"

    def same_bytes(self, image):
        if image.hash_algo and image.hash_value:
            return (
                hashlib.new(image.hash_algo, self.path.read_bytes()).hexdigest() == image.hash_value
            )
        return image.checksum == self.md5.hexdigest()


class Images:
    def __init__(self, cloud, run):
        self.cloud, self.run = cloud, f"{RUN}{run}"

    def named(self, name):
        """Images of this name, the one that was registered first in front."""
        with self.cloud.errors("looking for the image"):
            found = [i for i in self.cloud.sdk.image.images(name=name) if i.status != "deleted"]
        return sorted(found, key=registered)

    def find(self, described):
        """The image that is described, if the cloud has it."""
        for image in self.named(described.name):
            if image.status == "active" and described.same_bytes(image):
                return image
        return None

    def upload(self, described, tell):
        """Register the image that is described, and send it unless somebody else just does."""
        from openstack import exceptions

        image = self._register(described)
        other = self._first(image, described, tell)
        if other is not None:
            self.delete(image.id)
            return other
        glance = self.cloud.sdk.image
        with self.cloud.errors("uploading the image"), described.path.open("rb") as file:
            exceptions.raise_from_response(image.upload(glance, data=file))
            image = glance.get_image(image.id)
        if image.status != "active" or not described.same_bytes(image):
            raise UserError(
                f"{self.cloud.name}: image {image.name} is {image.status}"
                " with other bytes than were sent"
            )
        tell(f"image {image.name}: uploaded {image.size:,} bytes")
        return image

    def _register(self, described):
        from openstack.image.v2.image import Image

        made = Image.new(
            name=described.name,
            disk_format=DISK_FORMAT,
            container_format=CONTAINER_FORMAT,
            min_disk=MIN_DISK,
            min_ram=described.min_ram,
            tags=[self.run],
            **described.properties,
        )
        with self.cloud.errors("uploading the image"):
            return made.create(self.cloud.sdk.image)

    def _first(self, mine, described, tell):
        """The same image of somebody who registered it before us, once it is there; or None."""
        waited = 0
        while True:
            before = [i for i in self.named(described.name) if registered(i) < registered(mine)]
            for image in before:
                if image.status == "active" and described.same_bytes(image):
                    tell(f"image {image.name}: there already")
                    return image
            sending = [i for i in before if i.status in SENDING and tagged(i)]
            for image in sending:
                if age(image, mine) + waited >= LEFT_OVER:
                    tell(f"image {image.name}: an upload that was interrupted is removed")
                    self.delete(image.id)
                    sending.remove(image)
                    break
            if not sending:
                return None
            if not waited:
                tell(f"image {mine.name}: another deployment is uploading it")
            time.sleep(POLL)
            waited += POLL

    def keep(self, image):
        """Mark an image as one to stay."""
        with self.cloud.errors("marking the image"):
            image.add_tag(self.cloud.sdk.image, KEPT)

    def of(self, service):
        """Our images of a service; not snapshots of its servers, which inherit the properties."""
        name = re.compile(rf"importos-{re.escape(service)}-[0-9a-f]{{12}}")
        with self.cloud.errors("looking for images"):
            known = list(self.cloud.sdk.image.images(owner=self.cloud.sdk.current_project_id))
        mine = [i for i in known if name.fullmatch(i.name or "") and tagged(i)]
        return [i for i in mine if (i.properties or {}).get("image_type") != "snapshot"]

    def delete(self, identity):
        from openstack import exceptions

        with self.cloud.errors("deleting the image"):
            try:
                self.cloud.sdk.image.delete_image(identity, ignore_missing=True)
            except exceptions.ConflictException:
                return False  # a disk is a clone of it
        return True

    def withdraw(self, name):
        """Delete what this run has registered under a name."""
        for image in self.named(name):
            if self.run in (image.tags or ()):
                self.delete(image.id)


def tagged(image):
    return SERVICE_TAG in (image.properties or {})


def registered(image):
    return (image.created_at or "", image.id)


def age(image, now):
    """Seconds between the registration of two images, by the cloud's clock."""
    try:
        times = [datetime.fromisoformat(i.created_at) for i in (image, now)]
    except (TypeError, ValueError):
        return 0
    return (times[1] - times[0]).total_seconds()
