"""./importos deploy openstack against a real Keystone and Glance: what is uploaded, and what is
said when something is wrong.
"""

import hashlib
import json

import pytest

from tests.support import images
from tools.deploy.openstack.images import PROPERTIES

pytestmark = pytest.mark.glance
UPLOAD = ("deploy", "openstack", "hello", "--image-only", "--no-build")


@pytest.fixture(scope="module")
def hello():
    """The qcow2 that is uploaded."""
    with images.lock("images"):
        images.importos("build", "--cloud", "hello")
        return (images.ROOT / "build/hello-cloud/hello-cloud.qcow2").read_bytes()


@pytest.fixture(scope="module")
def uploaded(glance, hello):
    """What ./importos said, and what Glance says then."""
    done = glance.run(*UPLOAD)
    assert done.returncode == 0, done
    return done.stdout, glance.image_called("importos-hello-")


def one_line(done):
    assert done.returncode == 1, done
    assert done.stderr.startswith("importos: ") and done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_glance_has_the_bytes(uploaded, hello):
    said, image = uploaded
    assert image.id in said and f"{len(hello):,} bytes" in said
    assert (image.status, image.size) == ("active", len(hello))
    assert image.hash_algo == "sha512"
    assert image.hash_value == hashlib.sha512(hello).hexdigest()
    assert image.checksum == hashlib.md5(hello).hexdigest()


def test_the_format_inspector_knows_it_as_qcow2(uploaded):
    # Glance reads the header of what it is sent; what is no qcow2 has no virtual size.
    image = uploaded[1]
    assert (image.disk_format, image.container_format) == ("qcow2", "bare")
    assert image.virtual_size and image.virtual_size % 512 == 0


def test_properties(uploaded):
    image = uploaded[1]
    assert image.min_disk == 1 and 4 < image.min_ram < 32
    known = {**image.properties, **image.to_dict()}
    # The SDK has names of its own for some of them: what Glance says counts.
    raw = uploaded[1]._body.attributes
    for name, value in PROPERTIES.items():
        assert raw.get(name, known["properties"].get(name)) == value, name
    assert known["properties"]["importos_service"] == "hello"


def test_the_same_upload_has_no_effect(glance, uploaded):
    before = glance.image_ids()
    done = glance.run(*UPLOAD)
    assert done.returncode == 0 and "there already" in done.stdout, done
    assert uploaded[1].id in done.stdout
    assert glance.image_ids() == before


def test_other_properties_make_another_image(glance, uploaded):
    before = glance.image_ids()
    done = glance.run(*UPLOAD, "--property", "hw_machine_type=q35", "--property", "os_type=")
    assert done.returncode == 0, done
    (made,) = glance.image_ids() - before
    image = glance.inside(lambda: glance.sdk().image.get_image(made))
    assert image.hw_machine_type == "q35" and image.os_type is None
    assert image.hash_value == uploaded[1].hash_value


def test_a_member_of_a_project_may_upload(glance, uploaded):
    done = glance.run(*UPLOAD, cloud="maria")
    assert done.returncode == 0 and "uploaded" in done.stdout, done  # her project's, not admin's


def test_what_cannot_be_deployed_leaves_no_image(glance, uploaded):
    # There is no Nova in this cloud.
    before = glance.image_ids()
    words = ["deploy", "openstack", "hello", "--no-build", "--property", "hw_machine_type=pc"]
    assert "the cloud does not offer that" in one_line(glance.run(*words))
    assert glance.image_ids() == before


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"password": "not-the-password"}, "wrong user name, password or project (401)"),
        ({"username": "nobody"}, "wrong user name, password or project (401)"),
        ({"project_name": "none"}, "wrong user name, password or project (401)"),
        ({"auth_url": "http://127.0.0.1:1/v3"}, "cannot connect (http://127.0.0.1:1/v3"),
        ({"auth_url": "http://127.0.0.1:9292"}, "leads to no Keystone"),
    ],
)
def test_wrong_credentials_are_one_line(glance, hello, wrong, message):
    clouds = json.loads(glance.clouds.read_text())
    entry = json.loads(json.dumps(clouds["clouds"]["test"]))
    entry["auth"] |= wrong
    clouds["clouds"]["wrong"] = entry
    glance.clouds.write_text(json.dumps(clouds))
    done = glance.run(*UPLOAD, cloud="wrong")
    assert message in one_line(done)
    assert entry["auth"]["password"] not in done.stdout + done.stderr


def test_which_cloud(glance):
    assert "clouds.yaml: it has" in one_line(glance.run("list", "openstack", cloud="tset"))
    assert "--os-cloud NAME" in one_line(glance.run("list", "openstack", cloud=None))
