"""A folder of files becomes the bytes that services/http serves.

compile.py  files, their variants and fields, the table
mime.py     the type of a file by its name
"""
