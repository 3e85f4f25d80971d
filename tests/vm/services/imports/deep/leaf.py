from .. import deep as upper  # noqa: F401 (the service looks at it)
from . import ORDER

ORDER.append("leaf")
