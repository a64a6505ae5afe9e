// Pickles that Python wrote, and that are written here; what is malformed ends in an error.
#include "lib/formats/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "lib/formats/pickle_names.h"

namespace cairn {
namespace {

using namespace std::literals;
using ::testing::HasSubstr;
using Kind = PickleNode::Kind;

Bytes bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

/// The object in few words.
std::string shown(const PickleGraph& graph, PickleId id) {
  const PickleNode& node = graph.at(id);
  const auto all = [&](const std::vector<PickleId>& ids) {
    std::string text;
    for (const PickleId each : ids) text += (text.empty() ? "" : " ") + shown(graph, each);
    return text;
  };
  switch (node.kind) {
    case Kind::kNone:
      return "None";
    case Kind::kBool:
      return node.integer != 0 ? "True" : "False";
    case Kind::kInt:
      return std::to_string(node.integer);
    case Kind::kLong:
      return "long" + std::to_string(node.text.size());
    case Kind::kFloat:
      return std::to_string(node.real);
    case Kind::kText:
      return "'" + node.text + "'";
    case Kind::kBytes:
      return "b'" + node.text + "'";
    case Kind::kByteArray:
      return "array'" + node.text + "'";
    case Kind::kTuple:
      return "(" + all(node.items) + ")";
    case Kind::kList:
      return "[" + all(node.items) + "]";
    case Kind::kDict:
      return "{" + all(node.pairs) + "}";
    case Kind::kSet:
      return "set(" + all(node.items) + ")";
    case Kind::kFrozenSet:
      return "frozenset(" + all(node.items) + ")";
    case Kind::kGlobal:
      return node.text;
    case Kind::kPersistent:
      return "@" + all(node.items);
    case Kind::kCall: {
      std::string text = shown(graph, node.callable) + shown(graph, node.args);
      if (!node.items.empty()) text += "[" + all(node.items) + "]";
      if (!node.pairs.empty()) text += "{" + all(node.pairs) + "}";
      if (node.state != kNoPickle) text += "|" + shown(graph, node.state);
      return text;
    }
  }
  return "?";
}

std::string read(ByteSpan pickle) {
  PickleGraph graph;
  const auto read = read_pickle(pickle, graph);
  return read ? shown(graph, read->root) : "error: " + read.error().message;
}

struct Written {
  std::string_view pickle, object;
};

// Made by pickle.dumps(object, protocol).
const Written kWritten[] = {
    {"(dp0\nVa\np1\nI1\nsVb\np2\nF2.5\ns."sv, "error"},
    {"(lp0\nI1\naI01\naNa."sv, "[1 True None]"},
    {"\x80\x02]q\x00(K\x01M\x00\x01J\xff\xff\xff\xffG?\xf8\x00\x00\x00\x00\x00\x00"
     "e."sv,
     "[1 256 -1 1.500000]"},
    {"\x80\x02\x8a\x05\x00\x00\x00\x00\x01."sv, "4294967296"},
    {"\x80\x02\x8a\x02\x00\xff."sv, "-256"},
    {"\x80\x02K\x01K\x02\x86q\x00."sv, "(1 2)"},
    {"\x80\x03"
     "C\x02hiq\x00."sv,
     "b'hi'"},
    {"\x80\x04\x8f\x94(K\x01K\x02\x90."sv, "set(1 2)"},
    {"\x80\x05\x96\x02\x00\x00\x00\x00\x00\x00\x00xy\x94."sv, "array'xy'"},
    {"\x80\x02"
     "ccollections\nOrderedDict\nq\x00)Rq\x01X\x01\x00\x00\x00"
     "aq\x02K"
     "\x01s."sv,
     "collections.OrderedDict(){'a' 1}"},
    {"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02ls\x85R."sv, "posix.system('ls')"},
};

TEST(Pickle, WhatPythonWrote) {
  for (const auto& [pickle, object] : kWritten) {
    EXPECT_THAT(read(as_bytes(pickle)), HasSubstr(object));
  }
}

TEST(Pickle, SeveralInARow) {
  const Bytes two = bytes_of("\x80\x02K\x01.\x80\x02K\x07.");
  PickleGraph graph;
  const auto first = read_pickle(two, graph);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->bytes, 5U);
  EXPECT_EQ(read(ByteSpan(two).subspan(first->bytes)), "7");
}

TEST(Pickle, WhatIsMalformed) {
  const std::pair<std::string_view, const char*> kCases[] = {{"", "cut off"},
                                                             {"\x80\x02", "cut off"},
                                                             {"K", "cut off"},
                                                             {".", "one object"},
                                                             {"NN.", "one object"},
                                                             {"e.", "mark"},
                                                             {"a.", "empty"},
                                                             {"Na.", "empty"},
                                                             {"K\x01K\x02"
                                                              "a.",
                                                              "added"},
                                                             {"h\x05.", "not kept"},
                                                             {"(K\x01"
                                                              "d.",
                                                              "no value"},
                                                             {"\xff.", "not known"},
                                                             {"Nb.", "empty"},
                                                             {"]Nb.", "state"},
                                                             {"K\x01K\x02\x93.", "no text"},
                                                             {"X\xff\xff\xff\x7f"
                                                              "ab.",
                                                              "cut off"},
                                                             {"I1x\n.", "malformed"}};
  for (const auto& [pickle, why] : kCases) {
    EXPECT_THAT(read(as_bytes(pickle)), HasSubstr(why)) << pickle;
  }
}

TEST(Pickle, NoBytesCrashTheReader) {
  std::mt19937 random(7);
  const std::string_view opcodes =
      "NIJKMGXTBCU(tl]}dsuaeqrhjcRbiopgQ.0123\x80\x81\x85\x86\x87\x88"
      "\x8a\x8b\x8c\x8f\x90\x91\x93\x94\x95\x96";
  for (int i = 0; i < 20000; ++i) {
    std::string pickle;
    for (int j = 0; j < 30; ++j) {
      pickle +=
          random() % 3 != 0 ? opcodes[random() % opcodes.size()] : static_cast<char>(random());
    }
    PickleGraph graph;
    const auto read = read_pickle(as_bytes(pickle), graph);
    if (read) (void)write_pickle(graph, read->root).has_value();
  }
}

PickleId every_kind(PickleGraph& graph) {
  const PickleId shared = graph.list({graph.integer(1)});
  std::vector<PickleId> items = {
      graph.none(),
      graph.boolean(true),
      graph.boolean(false),
      graph.real(-0.25),
      graph.tuple({}),
      graph.tuple({shared}),
      graph.tuple({shared, shared}),
      graph.tuple({shared, shared, shared, shared}),
      graph.text("läuft"),
      graph.text("läuft"),
      graph.global("torch.Size"),
      graph.call(graph.global("torch.device"), {graph.text("cpu")}),
      graph.persistent(graph.tuple({graph.text("storage")})),
      graph.add({.kind = Kind::kLong, .text = std::string(9, '\x01')}),
      graph.dict({graph.text("a"), graph.integer(1), graph.text("b"), graph.none()})};
  for (const int64_t value :
       {int64_t{0}, int64_t{255}, int64_t{256}, int64_t{65535}, int64_t{65536}, int64_t{-1},
        int64_t{INT32_MAX}, int64_t{INT32_MIN}, int64_t{INT64_MAX}, int64_t{INT64_MIN}}) {
    items.push_back(graph.integer(value));
  }
  return graph.list(std::move(items));
}

TEST(Pickle, WhatIsWrittenIsRead) {
  PickleGraph graph;
  const PickleId root = every_kind(graph);
  const auto written = write_pickle(graph, root);
  ASSERT_TRUE(written);
  EXPECT_EQ(read(*written), shown(graph, root));
  PickleGraph again;
  const auto back = read_pickle(*written, again);
  ASSERT_TRUE(back);
  EXPECT_EQ(write_pickle(again, back->root).value(), *written);
}

TEST(Pickle, BytesAreTextsOfProtocolTwo) {
  PickleGraph graph;
  const auto written =
      write_pickle(graph, graph.add({.kind = Kind::kBytes, .text = std::string("a\0\x80\xff", 4)}));
  ASSERT_TRUE(written);
  EXPECT_EQ(read(*written), "_codecs.encode('a\0\xc2\x80\xc3\xbf' 'latin1')"sv);
}

TEST(Pickle, WhatCannotBeWritten) {
  PickleGraph graph;
  const PickleId loop = graph.list({});
  graph.at(loop).items.push_back(loop);
  EXPECT_THAT(write_pickle(graph, loop).error().message, HasSubstr("itself"));
  PickleId deep = graph.list({});
  for (int i = 0; i < 600; ++i) deep = graph.list({deep});
  EXPECT_THAT(write_pickle(graph, deep).error().message, HasSubstr("deeper"));
  // Chains of tuples, each of which ends in the one before: seen from the top none is deep.
  std::vector<PickleId> chains;
  PickleId end = graph.tuple({});
  for (int chain = 0; chain < 40; ++chain) {
    for (int i = 0; i < 300; ++i) end = graph.tuple({end});
    chains.push_back(end);
  }
  EXPECT_THAT(write_pickle(graph, graph.list(chains)).error().message, HasSubstr("deeper"));
}

TEST(PickleNames, OnlyDataIsKnown) {
  for (const char* name : {"os.system", "posix.system", "builtins.eval", "builtins.getattr",
                           "subprocess.Popen", "torch.load", "torch._utils._import_dotted_name",
                           "numpy.core.multiarray._reconstruct", "collections.defaultdict"}) {
    EXPECT_FALSE(is_plain_name(name)) << name;
    EXPECT_FALSE(is_metadata_name(name)) << name;
  }
  for (const char* name :
       {"collections.OrderedDict", "torch.FloatStorage", "torch.bfloat16",
        "torch.storage.UntypedStorage", "torch.cuda.HalfStorage", "builtins.set"}) {
    EXPECT_TRUE(is_plain_name(name)) << name;
  }
  PickleGraph graph;
  graph.global("torch.Size");
  EXPECT_TRUE(check_names(graph, is_plain_name, "'x'"));
  graph.global("os.system");
  EXPECT_THAT(check_names(graph, is_plain_name, "'x'").error().message, HasSubstr("os.system"));
}

}  // namespace
}  // namespace cairn
