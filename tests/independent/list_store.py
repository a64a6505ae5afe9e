#!/usr/bin/env python3
"""What the second reader finds in a store.

    list_store.py STORE [FOLDER]    lists all tags as JSON; writes what they hold to FOLDER

Exit status: 0 all read, 1 not all: damage is named on stderr, an unknown encoding in the list;
2 usage.
"""

import hashlib
import json
import sys
from pathlib import Path
from urllib.parse import quote

from read_store import Store
from store_format import Damage


def listing(tag):
    """What a tag holds in words and digests, for JSON."""
    def described(data):
        is_read = not isinstance(data, Damage)
        return {"sha256": hashlib.sha256(data).hexdigest()} if is_read else {"error": str(data)}

    def section(number):
        return {key: value for (its, key), value in tag.metadata.items() if its == number}

    return {"manifest": tag.manifest, "step": tag.step,
            "metadata": section(0), "safetensors_metadata": section(1),
            "tensors": [{"name": t.name, "dtype": t.dtype, "shape": t.shape} | described(data)
                        for t, data in tag.tensors],
            "attachments": [{"name": name, "bytes": len(data)} | described(data)
                            for name, data in tag.attachments.items()]}


def write_out(folder, tag):
    """What was read, as files. Names are quoted, so that none leaves the folder."""
    tensors = [("tensors", t.name, data) for t, data in tag.tensors]
    for part, name, data in tensors + [("attachments", *held) for held in tag.attachments.items()]:
        if not isinstance(data, Damage):
            (folder / part).mkdir(parents=True, exist_ok=True)
            (folder / part / quote(name, safe="")).write_bytes(data)


def main():
    if len(sys.argv) not in (2, 3):
        print(__doc__, file=sys.stderr)
        return 2
    try:
        store = Store(sys.argv[1])
        tags = {name: store.read(name) for name in store.tags}
    except Damage as error:
        print(f"list_store: {sys.argv[1]}: {error}", file=sys.stderr)
        return 1
    print(json.dumps({name: listing(tag) for name, tag in tags.items()}, indent=1))
    for name, tag in tags.items() if len(sys.argv) == 3 else ():
        write_out(Path(sys.argv[2]) / quote(name, safe=""), tag)
    return int(any(isinstance(data, Damage) for tag in tags.values() for _, data in tag.tensors))


if __name__ == "__main__":
    sys.exit(main())
