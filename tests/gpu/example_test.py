"""The example of a step on a device says what changed: tests/gpu/gpu_step.cc."""
import subprocess
import sys

EXPECTED = """\
step 0: changed 0 at 0 1 at 65536 2 at 69632; 593920 of 593920 bytes to send
step 1: changed 1 at 0; 4096 of 593920 bytes to send
step 2: changed 2 at 0; 524288 of 593920 bytes to send
"""


def main(program):
    done = subprocess.run([program], capture_output=True, text=True)
    if done.returncode == 77:
        print(done.stdout, end="")
        return 77
    if done.returncode != 0 or done.stdout != EXPECTED:
        print(f"exit {done.returncode}: {done.stderr}\n{done.stdout}instead of\n{EXPECTED}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
