"""Have Heat's own engine look at a template: python3 validate_heat.py MAIN OTHER ...

It runs on Debian's interpreter with Debian's Heat, and without a cloud: names, types and values of
every property, every reference, and the nested template; what only a cloud knows (does that
image exist?) it does not ask.
"""

import subprocess
import sys
from pathlib import Path


def run(*files):
    """Run this file where Heat is."""
    command = ["/usr/bin/python3", "-P", __file__, *files]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def main(name, *others):
    from heat.common import config, context, template_format
    from heat.engine import environment, resource, resources, stack, template
    from oslo_config import cfg

    cfg.CONF([], project="heat")
    config.set_config_defaults()
    resources.initialise()
    # Every service is there, as far as this is concerned.
    resource.Resource.is_service_available = classmethod(lambda *_: (True, None))
    files = {Path(other).name: Path(other).read_text() for other in others}
    cloud = context.RequestContext(project_id="project", user_id="user", roles=["member"])
    for path in (name, *others):
        # Heat makes a dictionary of the text: it knows YAML as others do.
        parsed = template_format.parse(Path(path).read_text())
        known = {"flavor": "f", "network": "n", "subnet": "s", "image": "i"}
        known |= {n: "x" for n, p in parsed["parameters"].items() if "default" not in p}
        known = {n: v for n, v in known.items() if n in parsed["parameters"]}
        made = template.Template(parsed, files=files, env=environment.Environment(known))
        made.validate()
        checked = stack.Stack(cloud, "checked", made, strict_validate=False)
        checked.validate(validate_res_tmpl_only=True)
        for one in checked.resources.values():
            # What is resolved against nothing: references stay, values are checked.
            one.properties.validate(with_value=False)
        print(Path(path).name, "has", len(checked.resources), "resources")


if __name__ == "__main__":
    main(*sys.argv[1:])
