"""The media type of a file, by the end of its name.  RFC 6838; the names that are in use.

Not Python's `mimetypes`: that reads what the host happens to have, and the same source has to make
the same image.
"""

TEXT = "; charset=utf-8"
TYPES = {
    "7z": "application/x-7z-compressed",
    "apng": "image/apng",
    "atom": "application/atom+xml",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "bz2": "application/x-bzip2",
    "css": "text/css" + TEXT,
    "csv": "text/csv" + TEXT,
    "flac": "audio/flac",
    "gif": "image/gif",
    "gz": "application/gzip",
    "htm": "text/html" + TEXT,
    "html": "text/html" + TEXT,
    "ico": "image/vnd.microsoft.icon",
    "ics": "text/calendar" + TEXT,
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript" + TEXT,
    "json": "application/json",
    "jsonld": "application/ld+json",
    "jxl": "image/jxl",
    "m4a": "audio/mp4",
    "map": "application/json",
    "md": "text/markdown" + TEXT,
    "mjs": "text/javascript" + TEXT,
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "rss": "application/rss+xml",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "ttf": "font/ttf",
    "txt": "text/plain" + TEXT,
    "wasm": "application/wasm",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xhtml": "application/xhtml+xml",
    "xml": "application/xml",
    "xz": "application/x-xz",
    "zip": "application/zip",
    "zst": "application/zstd",
}
UNKNOWN = "application/octet-stream"


def media_type(name):
    return TYPES.get(name.rpartition(".")[2].lower() if "." in name else "", UNKNOWN)
