"""An image: what goes in (closure, cmodules, needs), its files (elf, disk), the report on it."""
