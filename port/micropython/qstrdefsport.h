// Names the port needs beyond those found in the sources: none.
