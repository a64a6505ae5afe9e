"""The built program as users and scripts meet it. usage: program_test.py PATH_OF_CAIRN"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

PROGRAM = ""
PAGES = pathlib.Path(__file__).resolve().parents[2] / "docs" / "cli"


def call(*words, stdout=subprocess.PIPE, **variables):
    """Runs the program in an environment without settings of the machine."""
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, **variables}
        return subprocess.run([PROGRAM, *words], stdout=stdout, stderr=subprocess.PIPE, text=True,
                              env=environment, timeout=60, check=False)


class ProgramTest(unittest.TestCase):
    def test_version(self):
        self.assertRegex(call("version").stdout, r"^cairn \d+\.\d+\.\d+ \(store format 1\)\n$")
        self.assertEqual(call("--version").stdout, call("version").stdout)
        self.assertEqual(json.loads(call("--version", "--json").stdout)["format"], 1)
        self.assertRegex(call("version", "-q").stdout, r"^\d+\.\d+\.\d+\n$")
        document = json.loads(call("--json", "version").stdout)
        self.assertEqual(document["format"], 1)
        self.assertEqual(json.loads(call("version", CAIRN_JSON="1").stdout), document)

    def test_help_has_a_page_for_every_command(self):
        for page in sorted(PAGES.glob("*.md")):
            if page.stem == "cairn":
                continue
            with self.subTest(page.stem):
                shown = call("help", page.stem)
                self.assertEqual((shown.returncode, shown.stderr), (0, ""))
                self.assertTrue(shown.stdout.startswith(f"cairn {page.stem}: "))
                self.assertNotIn("`", shown.stdout)
                self.assertIn("Exit status:", shown.stdout)
        self.assertEqual(call("version", "--help").stdout, call("help", "version").stdout)
        self.assertEqual(call("version", "-h").stdout, call("help", "version").stdout)

    def test_overview(self):
        shown = call("--help")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        self.assertIn("Commands:", shown.stdout)
        self.assertEqual(call("help").stdout, shown.stdout)
        alone = call()
        self.assertEqual((alone.returncode, alone.stdout), (2, ""))
        self.assertIn("Commands:", alone.stderr)

    def test_exit_codes_are_a_topic(self):
        shown = call("help", "exit-codes")
        self.assertEqual((shown.returncode, shown.stderr), (0, ""))
        self.assertTrue(shown.stdout.startswith("Exit status:"), shown.stdout)
        self.assertIn("143", shown.stdout)
        self.assertNotIn("cairn help COMMAND", shown.stdout)
        self.assertIn("'exit-codes'", call("help", "exit").stderr)

    def test_misspelt(self):
        for words, hint in [(["verison"], "'version'"), (["help", "imprt"], "'import'"),
                            (["version", "--jsn"], "'--json'")]:
            with self.subTest(words):
                ran = call(*words)
                self.assertEqual((ran.returncode, ran.stdout), (2, ""))
                self.assertIn(f"did you mean {hint}?", ran.stderr)

    def test_settings_that_no_command_knows(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "cairn", "config.toml")
            path.parent.mkdir()
            path.write_text("stoer = 'x'\n[imprt]\nbase = 'none'\n")
            said = call("ls", "-s", folder, XDG_CONFIG_HOME=folder).stderr
            self.assertIn("no command has a flag 'stoer'; did you mean 'store'?", said)
            self.assertIn("there is no command 'imprt'; did you mean 'import'?", said)
            self.assertEqual(call("--version", XDG_CONFIG_HOME=folder).stderr, "")

    def test_names_of_other_programs(self):
        for theirs, ours in (("rm", "forget"), ("prune", "gc"), ("restore", "export"),
                             ("list", "ls"), ("snapshots", "ls")):
            ran = call(theirs, "x")
            self.assertEqual(ran.returncode, 2)
            self.assertIn(f"it is called '{ours}'", ran.stderr)

    def test_completion_as_json(self):
        found = json.loads(call("completion", "bash", "--json").stdout)
        self.assertEqual((found["shell"], found["script"]),
                         ("bash", call("completion", "bash").stdout))

    def test_commands_of_later_versions_are_unknown(self):
        for name in ["forget", "gc", "pin", "repair", "push", "pull", "remote", "completion"]:
            self.assertEqual(call(name, "x").returncode, 2, name)

    def test_broken_settings_do_not_break_help(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "cairn", "config.toml")
            path.parent.mkdir()
            path.write_text("progress = \n")
            self.assertEqual(call("help", XDG_CONFIG_HOME=folder).returncode, 0)
            self.assertEqual(call("--version", XDG_CONFIG_HOME=folder).stdout,
                             call("--version").stdout)
            self.assertEqual(call("completion", "bash", XDG_CONFIG_HOME=folder).returncode, 0)
            ran = call("ls", "-s", folder, "--json", XDG_CONFIG_HOME=folder)
            self.assertEqual(ran.returncode, 2)
            self.assertIn("line 1", json.loads(ran.stderr)["error"]["message"])

    def test_closed_pipe(self):
        reader, writer = os.pipe()
        os.close(reader)
        ran = call("help", stdout=writer)
        os.close(writer)
        self.assertEqual((ran.returncode, ran.stderr), (0, ""))

    def test_full_device(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            ran = call("help", stdout=full)
        self.assertEqual(ran.returncode, 13)
        self.assertIn("cannot write to stdout: No space left on device", ran.stderr)

    def test_no_colours_in_a_pipe(self):
        self.assertNotIn("\x1b", call("verison", TERM="xterm").stderr)


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=2)
