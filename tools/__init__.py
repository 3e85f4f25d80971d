"""Everything that runs on the host: how an image is made, started, measured and tested."""
