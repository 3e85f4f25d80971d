"""Images in Glance: properties, upload, and knowing one's own again.

An image is known by its name, importos-SERVICE-VERSION: the version is a hash of its bytes and
properties, so the same image is uploaded once, and a changed one gets another name.  Glance says
which bytes it holds (os_hash_value, SHA-512; on clouds before 2018 an MD5), and these are compared
after an upload and before an image is used again.
Left out: import from elsewhere (clouds that disable uploads), volumes.
"""

import hashlib

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
PIECE = 1 << 20


def properties(service, changes):
    """The properties of a service's image: ours, changed by --property k=v (k= takes one away)."""
    made = {**PROPERTIES, SERVICE_TAG: service}
    for text in changes:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise UserError(f"--property {text}: expected NAME=VALUE")
        made[name] = value
    return {name: value for name, value in made.items() if value}


def min_ram(totals):
    """Megabytes for image and heap, from the totals of a build's report."""
    needed = MEGABYTE + totals["flat"] + totals["bss"] + SMALLEST_HEAP
    return -(-needed // MEGABYTE)


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
    def __init__(self, cloud):
        self.cloud = cloud

    def upload(self, described, tell):
        """The image that is described, and whether it was made now."""
        glance = self.cloud.sdk.image
        with self.cloud.errors("looking for the image"):
            found = [i for i in glance.images(name=described.name) if i.status != "deleted"]
        for image in found:
            if image.status == "active" and described.same_bytes(image):
                tell(f"image {image.name}: there already")
                return image, False
        for image in found:
            # Ours by its name and tag, and of no use: an upload that was interrupted.
            if image.status == "queued" and SERVICE_TAG in (image.properties or {}):
                with self.cloud.errors("removing an unfinished image"):
                    glance.delete_image(image.id)
        image = None
        try:
            with self.cloud.errors("uploading the image"):
                image = glance.create_image(
                    described.name,
                    disk_format=DISK_FORMAT,
                    container_format=CONTAINER_FORMAT,
                    disable_vendor_agent=False,
                    allow_duplicates=True,
                    md5=described.md5.hexdigest(),
                    filename=str(described.path),
                    min_disk=MIN_DISK,
                    min_ram=described.min_ram,
                    **described.properties,
                )
                image = glance.get_image(image.id)
            if image.status != "active" or not described.same_bytes(image):
                raise UserError(
                    f"{self.cloud.name}: image {image.name} is {image.status}"
                    " with other bytes than were sent"
                )
        except BaseException:
            if image is not None:
                self.delete(image)
            raise
        tell(f"image {image.name}: uploaded {image.size:,} bytes")
        return image, True

    def delete(self, image):
        with self.cloud.errors("deleting the image"):
            self.cloud.sdk.image.delete_image(image.id)
