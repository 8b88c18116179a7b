"""Docker for the tests that need it: a daemon (DOCKER_HOST) with the image TURNWISE_DOCKER_IMAGE, as .ci/docker provides them."""

import os

import pytest
from turnwise.envs.sandbox.daemon import client, labels
from turnwise.envs.sandbox.layer import archive_of
from turnwise.envs.sandbox.tree import File

IMAGE = os.environ.get("TURNWISE_DOCKER_IMAGE", "")
REPOSITORY = {
    "src/a.py": File(b"one = 1\n"),
    "src/b.py": File(b"two = 2\n"),
    "docs/index.md": File(b"text\r\n"),
    "docs/deep/page.md": File(b"page\n"),
    "data.bin": File(bytes(range(256))),
    "run.sh": File(b"echo run\n", executable=True),
    "link": File(link="src/a.py"),
}


@pytest.fixture(scope="session")
def docker_image():
    if not IMAGE:
        pytest.skip("TURNWISE_DOCKER_IMAGE is not set: run the tests by .ci/docker run -- make test")
    return IMAGE


@pytest.fixture(scope="session")
def repository(docker_image):
    """An image with a repository at /testbed, as benchmarks publish them."""
    api = client()
    made = api.create_container_from_config({"Image": docker_image, "Cmd": ["true"], "Labels": labels()})["Id"]
    api.put_archive(made, "/", archive_of(REPOSITORY, "/testbed", (0, 0)))
    image = api.commit(made)["Id"]
    api.remove_container(made)
    yield image
    api.remove_image(image, force=True)


@pytest.fixture(scope="session")
def base_tree():
    return REPOSITORY


@pytest.fixture
def nothing_left(docker_image):
    """What the test made is gone at its end."""

    def count():
        api = client()
        volumes = api.volumes()["Volumes"] or []
        mine = {"label": [f"{name}={value}" for name, value in labels().items()]}
        return len(api.containers(all=True, filters=mine)), len(api.images(all=True, filters=mine)), len(volumes)

    before = count()
    yield
    assert count() == before
