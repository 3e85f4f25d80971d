ORDER = ["deep"]
