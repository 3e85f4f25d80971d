"""Zone files at build time: the compiler, and the generator of the benchmark's zone."""
