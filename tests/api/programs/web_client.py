"""An ordinary CPython program: urllib, with and without a body."""

import sys
import urllib.error
import urllib.request

base = sys.argv[1]
with urllib.request.urlopen(f"{base}/hello", timeout=5) as answer:
    print(answer.status, answer.read().decode())
with urllib.request.urlopen(f"{base}/", data=b"x" * 200_000, timeout=5) as answer:
    print(len(answer.read()))
try:
    urllib.request.urlopen("http://10.0.0.1:81/", timeout=5)
except urllib.error.URLError as error:
    print(type(error.reason).__name__)
