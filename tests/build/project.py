"""A project of a few files, in the shape the tools expect, for tests of what follows imports."""

from pathlib import Path

from tools.image import closure

MICROPYTHON = Path(__file__).resolve().parent / "no-micropython"


class Project:
    """`Project(folder, {"runtime/boot.py": "import image"})`: files below a folder."""

    def __init__(self, folder, files):
        self.folder = folder
        self.write("runtime/boot.py", "import image\n")
        for name, text in files.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def service(self, name="main"):
        return closure.find_service(name, self.folder)

    def follow(self, name="main", packages=(), settings=None, parts=()):
        service = self.service(name)
        image = f"NAME = 'x'\nSETTINGS = {settings or {}}\nimport {service.module} as service\n"
        micropython = self.folder / "micropython"
        return closure.follow(
            service, self.folder, micropython, {"image": image}, packages=packages, parts=parts
        )
