"""IPv4: datagrams, neighbours, groups, errors, and the routes between interfaces."""
