#!/usr/bin/env python3
"""Completion in real shells. usage: completion_test.py CAIRN"""
import os
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
from file_servers import FileServer
from lying_proxy import LyingProxy
from program import Program, memory_folder, noise, write_safetensors

PROGRAM = ""


class Completion(unittest.TestCase):
    def setUp(self):
        self.temporary = tempfile.TemporaryDirectory(dir=memory_folder(), prefix="cairn-tab-")
        self.addCleanup(self.temporary.cleanup)
        self.folder = Path(self.temporary.name)
        (self.folder / "bin").mkdir()
        os.symlink(PROGRAM, self.folder / "bin" / "cairn")
        self.cairn = Program(PROGRAM, self.folder / "store")
        self.cairn.run("init", self.cairn.store)
        file = write_safetensors(self.folder / "weights.safetensors", {"w": noise(100)})
        for tag in ("run/one", "run/two", "lr=3/last"):
            self.cairn.run("import", tag, file)
        self.environment = {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
                            "HOME": str(self.folder), "TERM": "dumb",
                            "CAIRN_STORE": str(self.cairn.store)}

    def need(self, shell):
        if shutil.which(shell) is None:
            self.skipTest(f"{shell} is not installed")

    def run_shell(self, *words):
        done = subprocess.run(words, env=self.environment, cwd=self.folder, capture_output=True,
                              text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()

    def expect_all(self, complete):
        """complete(line) -> the words offered behind a line; the same in every shell."""
        self.assertIn("import", complete("cairn im"))
        self.assertNotIn("__index", complete("cairn "))
        self.assertEqual(sorted(complete("cairn show run/")), ["run/one", "run/two"])
        self.assertEqual(complete("cairn show --tens"), ["--tensors"])
        self.assertEqual(sorted(complete("cairn ls --sort n")), ["name", "new", "newest"])
        self.assertEqual(complete("cairn --json repair t"), ["tags"])
        self.assertEqual(complete("cairn import x weights.s"), ["weights.safetensors"])
        self.assertEqual(complete("cairn help pi"), ["pin"])
        self.environment["CAIRN_STORE"] = "/nonexistent"
        self.assertEqual(complete(f"cairn -s {self.cairn.store} pin run/t"), ["run/two"])
        self.assertEqual(complete("cairn pin run/t"), [])
        self.assertEqual(complete(f"cairn pull {self.cairn.store} run/t"), ["run/two"])
        server = FileServer(self.cairn.store)
        self.addCleanup(server.stop)
        self.assertEqual(complete(f"cairn pull {server.url} run/t"), ["run/two"])
        self.assertEqual(complete(f"cairn --store {server.url} show run/t"), ["run/two"])

    def test_bash(self):
        self.need("bash")

        def complete(line):
            # What bash does at a TAB: words broken at COMP_WORDBREAKS, then the function; where it
            # leaves file names to bash, compgen makes them.
            return self.run_shell("bash", "--norc", "-c", """
                source <(cairn completion bash)
                compopt() { [[ $2 == default ]] && paths=1; }
                COMP_LINE=$1
                line=${1//=/ = }
                read -ra COMP_WORDS <<< "${line//:/ : }"
                [[ $1 == *" " || $1 == *[=:] ]] && COMP_WORDS+=("")
                COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
                _cairn
                [[ $paths ]] && COMPREPLY+=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}"))
                ((${#COMPREPLY[@]})) && printf '%s\\n' "${COMPREPLY[@]}" || true
            """, "bash", line)

        self.expect_all(complete)
        self.environment["CAIRN_STORE"] = str(self.cairn.store)
        self.assertEqual(complete("cairn show lr=3/l"), ["3/last"], "bash breaks words at '='")
        self.assertEqual(complete("cairn ls --sort=ol"), ["oldest"])

    def test_fish(self):
        self.need("fish")

        def complete(line):
            offered = self.run_shell("fish", "--no-config", "-c",
                                     "cairn completion fish | source; complete -C $argv[1]", line)
            return [word.split("\t")[0] for word in offered]

        self.expect_all(complete)

    def test_zsh(self):
        self.need("zsh")

        def complete(line):
            return Terminal(self, line).offered()

        self.expect_all(complete)

    def typed(self, *words):
        """What is offered, and how long that took."""
        begin = time.monotonic()
        return self.run_shell("cairn", "__complete", "--", *words), time.monotonic() - begin

    def test_tags_of_a_remote_are_kept_for_a_while(self):
        server = FileServer(self.cairn.store)
        self.addCleanup(server.stop)
        proxy = LyingProxy(server.url)
        self.addCleanup(proxy.stop)
        url = proxy.url.replace("//", "//me:hush@")
        expected = sorted(["run/one", "run/two", "lr=3/last"])
        self.assertEqual(self.typed("pull", url, "")[0], expected)
        asked = len(proxy.log)
        self.assertGreater(asked, 0)
        self.assertEqual(self.typed("pull", url, "run/one", "run/")[0], ["run/one", "run/two"])
        self.assertEqual(len(proxy.log), asked)
        kept = list((self.folder / ".cache/cairn").iterdir())
        self.assertEqual(len(kept), 1)
        self.assertNotIn("hush", kept[0].name + kept[0].read_text())
        os.utime(kept[0], (time.time() - 60, time.time() - 60))
        self.cairn.run("tag", "new", "run/one")
        self.assertIn("new", self.typed("pull", url, "")[0])
        self.assertEqual(len(list((self.folder / ".cache/cairn").iterdir())), 1)

    def test_nobody_waits_long_for_a_remote(self):
        proxy = LyingProxy("http://127.0.0.1:9", "* * * hang")
        self.addCleanup(proxy.stop)
        offered, seconds = self.typed("pull", proxy.url, "")
        self.assertEqual(offered, [])
        self.assertLess(seconds, 10)
        self.assertLess(self.typed("pull", proxy.url, "r")[1], seconds)
        self.assertEqual(len(proxy.log), 1)

    def test_unknown_shell(self):
        self.assertIn("fish", self.cairn.error("completion", "tcsh", expect=2)["hint"])


class Terminal:
    """A zsh in a terminal of its own, which lists what it would complete."""

    SETUP = ("autoload -Uz compinit; compinit -u -D; source <(cairn completion zsh); "
             "LISTMAX=0; PS1=; ")

    def __init__(self, test, line):
        self.test, self.line = test, line

    def offered(self):
        # compadd is what hands words to the shell: here it writes them down as well.
        script = self.SETUP + (
            "compadd() { local -a got; builtin compadd -O got \"$@\"; print -rl -- $got >> $OUT; "
            "builtin compadd \"$@\" }; _probe() { _cairn; print -r -- @@ >> $OUT }; "
            "compdef _probe cairn; echo rea''dy")
        out = self.test.folder / "offered"
        out.unlink(missing_ok=True)
        process, terminal = self.spawn({**self.test.environment, "OUT": str(out)})
        try:
            os.write(terminal, (script + "\n").encode())
            self.wait_for(terminal, lambda screen: "ready" in screen)
            os.write(terminal, self.line.encode() + b"\t")
            self.wait_for(terminal, lambda _: out.exists() and "@@" in out.read_text())
        finally:
            process.kill()
            process.wait()
            os.close(terminal)
        return sorted(set(out.read_text().split()) - {"@@"})

    def spawn(self, environment):
        mine, theirs = pty.openpty()
        process = subprocess.Popen(["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs,
                                   env=environment, cwd=self.test.folder, start_new_session=True)
        os.close(theirs)
        return process, mine

    def wait_for(self, terminal, is_there):
        seen, end = "", time.monotonic() + 30
        while not is_there(seen):
            self.test.assertLess(time.monotonic(), end, f"on the screen: {seen!r}")
            ready, _, _ = select.select([terminal], [], [], 0.05)
            if ready:
                seen += os.read(terminal, 4096).decode(errors="replace")


if __name__ == "__main__":
    PROGRAM = str(Path(sys.argv.pop(1)).resolve())
    unittest.main()
