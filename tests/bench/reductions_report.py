"""The figures of tests/bench/reductions_bench.py as Markdown.

    reductions_report.py FILE.json
"""
import json
import statistics
import sys
from pathlib import Path

import reductions_cases as cases
from report import heading, row


def short(value):
    """About three digits, whatever the size."""
    if value is None:
        return ""
    return f"{value:.4f}" if value < 0.1 else f"{value:.3f}" if value < 10 else f"{value:.1f}"


def asked(results):
    yield heading("series", "figure", "must", "aim", "measured", "")
    for result in results:
        for case in result["cases"]:
            for each in case["asked"]:
                sign = "≥ " if each["at_least"] else "≤ "
                aim = "" if each["aim"] is None else sign + f"{each['aim']:g}"
                yield row(case["case"], each["figure"], sign + f"{each['must']:g}", aim,
                          short(case["figures"][each["figure"]]), each["verdict"])
            yield row(case["case"], "every tensor of every tag comes back exactly", "", "",
                      "yes" if case["exact"] else "no", "ok" if case["exact"] else "**short**")


def sizes(results):
    yield heading("series", "tags", "first tag, bytes a parameter", "usual later tag",
                  "largest later tag", "series", "times smaller", "save, s", "load first, s",
                  "load last, s", "to the disk, s", "check last, s", "cat of the largest tensor, s", "exact")
    for result in results:
        for case in result["cases"]:
            each = [tag["disk_bytes"] / result["parameters"] for tag in case["tags"]]
            figures, loads = case["figures"], case["loads"]
            yield row(case["case"], str(len(each)), short(each[0]), short(figures[cases.LEAN]),
                      short(max(each[1:], default=None)), short(figures[cases.SERIES]),
                      short(figures[cases.TIMES]), short(figures["save, median seconds"]),
                      *(short(loads[key]) for key in ("first", "last", "export_last", "check_last",
                                                      "cat_largest")),
                      "yes" if case["exact"] else "**no**")


def beside_peers(results):
    """Over the tags that the peers saved, Cairn's the same: times smaller than raw; seconds."""
    results = [result for result in results if result["peers"]]
    names = list(dict.fromkeys(name for result in results for name in result["peers"]))
    if not names:
        return
    yield heading("times smaller than the raw tags (median seconds a save)", "tags", "Cairn", *names)
    for result in results:
        count = result["peer_tags"]
        raw = count * result["tag_bytes"]
        case = result["cases"][0]
        mine = case["tags"][:count]
        cells = [f"{raw / sum(tag['disk_bytes'] for tag in mine):.2f} "
                 f"({statistics.median(tag['seconds'] for tag in mine):.2f} s)"]
        for name in names:
            peer = result["peers"].get(name)
            cells.append("" if peer is None else f"{raw / peer['bytes']:.2f} "
                         f"({statistics.median(peer['seconds']):.2f} s)")
        yield row(case["case"], str(count), *cells)


def classes(results):
    yield heading("series, last tag", "class", "MB", "stored MB", "times smaller", "encodings",
                  "changed elements", "entropy, bytes an element: alone", "of the difference")
    for result in results:
        for case in result["cases"]:
            for name, each in case["last_by_class"].items():
                facts = result["entropies"].get(name)
                beside = ("", "", "") if facts is None else (
                    f"{100 * facts['changed']:.2f} %", short(facts["raw"]),
                    short(facts["difference"]))
                shares = ", ".join(f"{encoding} {100 * part / max(1, each['bytes']):.0f} %"
                                   for encoding, part in sorted(each["encodings"].items()))
                smaller = each["bytes"] / each["stored_bytes"] if each["stored_bytes"] else None
                yield row(case["case"], name, f"{each['bytes'] / 1e6:.2f}",
                          f"{each['stored_bytes'] / 1e6:.3f}", short(smaller), shares, *beside)


def encodings(results):
    yield heading("series, all tags", "encoding", "chunks", "decoded MB", "stored MB",
                  "times smaller")
    for result in results:
        for case in result["cases"]:
            for name, each in sorted(case["stats"]["by_encoding"].items()):
                stored = each["stored_bytes"]
                yield row(case["case"], name, f"{each['chunks']:,}",
                          f"{each['decoded_bytes'] / 1e6:.2f}", f"{stored / 1e6:.3f}",
                          short(each["decoded_bytes"] / stored) if stored else "")


PARTS = {"Asked and measured": asked, "Sizes and times": sizes, "Beside the peers": beside_peers,
         "By class": classes, "By encoding": encodings}


def markdown(results):
    """Headings below the one that the report gives this section."""
    parts = [f"#### {title}\n\n" + "\n".join(part(results)) for title, part in PARTS.items()]
    series = [f"- {result['regime']}: {result['what']}; {result['parameters'] / 1e6:.2f} M "
              f"parameters, {result['tag_bytes'] / 1e6:.1f} MB a tag" for result in results]
    return "\n\n".join(["\n".join(series), *parts])


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text())))
