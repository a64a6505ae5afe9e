#!/usr/bin/env python3
"""Runs a command and writes the most memory that it has held, in bytes. usage: peak_memory.py FILE
COMMAND..."""
import resource
import subprocess
import sys

status = subprocess.run(sys.argv[2:], check=False).returncode
with open(sys.argv[1], "w") as out:
    out.write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024))
sys.exit(status)
