#include "cli/run.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <new>
#include <nlohmann/json.hpp>

namespace cairn {
namespace {

// Stands in for `ls`: says what reached it.
int fake_ls(const Context& context, const LsOptions& options) {
  context.output.result({{"store", context.store},
                         {"pattern", options.pattern},
                         {"limit", options.limit.value_or(0)},
                         {"exclusive", options.exclusive},
                         {"quiet", context.output.quiet()},
                         {"plain", context.progress == ProgressMode::kPlain}});
  return 0;
}

int fake_import(const Context& context, const ImportOptions& options) {
  nlohmann::ordered_json metadata;
  for (const KeyValue& pair : options.metadata) metadata[pair.key] = pair.value;
  context.output.result({{"tag", options.tag}, {"paths", options.paths}, {"meta", metadata}});
  return context.output.fail({Code::kCorrupt, "pack 'x' is damaged", "run 'cairn check'"});
}

int throwing(const Context&, const StatsOptions&) { throw std::bad_alloc(); }

struct Ran {
  int status = -1;
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out, nullptr, false); }
};

std::string slurp(std::FILE* file) {
  std::string text;
  std::rewind(file);
  for (int c = 0; (c = std::fgetc(file)) != EOF;) text += static_cast<char>(c);
  std::fclose(file);
  return text;
}

class RunTest : public testing::Test {
 protected:
  Ran run_words(std::vector<std::string> words) {
    const Command commands[] = {command("ls", Needs::kStore, fake_ls),
                                command("import", Needs::kStore, fake_import),
                                command("stats", Needs::kStore, throwing)};
    std::FILE* out = std::tmpfile();
    std::FILE* err = std::tmpfile();
    const auto environment = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = variables_.find(name);
      if (found == variables_.end()) return std::nullopt;
      return found->second;
    };
    Ran ran;
    ran.status = run(commands, words, {environment, fileno(out), fileno(err)});
    ran.out = slurp(out);
    ran.err = slurp(err);
    return ran;
  }

  void write_settings(std::string_view text) {
    const std::string folder = testing::TempDir() + "run_test_" + std::to_string(getpid());
    std::filesystem::create_directories(folder + "/cairn");
    std::ofstream(folder + "/cairn/config.toml") << text;
    variables_["XDG_CONFIG_HOME"] = folder;
  }

  std::map<std::string, std::string> variables_;
};

TEST_F(RunTest, GlobalFlagsStandBeforeOrAfterTheCommand) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"-s", "/a", "-q", "--progress", "plain", "ls", "x", "--limit", "3"},
           {"ls", "x", "--limit=3", "-q", "--store=/a", "--progress=plain"},
           {"--store", "/a", "ls", "--limit", "3", "x", "-q", "--progress", "plain"},
           {"-q", "ls", "-s/a", "--progress", "plain", "--limit", "3", "--", "x"}}) {
    const Ran ran = run_words(words);
    EXPECT_EQ(ran.status, 0) << ran.err;
    EXPECT_EQ(ran.json(), nlohmann::json::parse(R"({"store": "/a", "pattern": "x", "limit": 3,
        "exclusive": false, "quiet": true, "plain": true})"));
  }
}

TEST_F(RunTest, MisspeltWordsSuggestTheNearest) {
  const struct {
    std::vector<std::string> words;
    const char *message, *hint;
  } kTable[] = {
      {{"sl"}, "unknown command 'sl'", "did you mean 'ls'?"},
      {{"improt", "t", "p"}, "unknown command 'improt'", "did you mean 'import'?"},
      {{"gc"}, "unknown command 'gc'", "cairn --help"},
      {{"ls", "-s", "a", "--exclusiv"}, "unknown flag '--exclusiv'", "'--exclusive'"},
      {{"ls", "--stroe=a"}, "unknown flag '--stroe'", "did you mean '--store'?"},
      {{"--stroe", "a", "ls"}, "unknown flag '--stroe'", "'--store'"},
      {{"--limit", "3", "ls"}, "unknown flag '--limit'", ""},
      {{"ls", "-x"}, "unknown flag '-x'", "cairn help ls"},
      {{"ls", "--limit"}, "needs a value", "cairn help ls"},
      {{"ls", "--limit", "many"}, "flag '--limit': 'many' is not a whole number", ""},
      {{"ls", "--sort", "nwe"}, "'nwe' is not one of newest", "'new'"},
      {{"ls", "-s", "a", "x", "y"}, "unexpected argument 'y'", "cairn help ls"},
      {{"import", "-s", "a", "t"}, "PATH is missing", "cairn help import"},
      {{"import", "-s", "a"}, "TAG is missing", "cairn help import"},
      {{"import", "-s", "a", "t", "p", "--meta", "x"}, "not of the form NAME=VALUE", ""},
      {{"ls", "--exclusive=maybe"}, "flag '--exclusive': 'maybe' is neither", ""},
  };
  for (const auto& row : kTable) {
    const Ran ran = run_words(row.words);
    EXPECT_EQ(ran.status, 2) << row.message;
    EXPECT_EQ(ran.out, "");
    EXPECT_NE(ran.err.find(row.message), std::string::npos) << row.message << "\n" << ran.err;
    EXPECT_NE(ran.err.find(row.hint), std::string::npos) << row.hint << "\n" << ran.err;
  }
}

TEST_F(RunTest, WithoutAStoreItSaysHowToNameOne) {
  const Ran ran = run_words({"ls"});
  EXPECT_EQ(ran.status, 2);
  EXPECT_NE(ran.err.find("--store DIR"), std::string::npos);
  EXPECT_NE(ran.err.find("CAIRN_STORE"), std::string::npos);
}

TEST_F(RunTest, SettingsCountInOrder) {
  EXPECT_EQ(run_words({"ls", "-s", "x"}).json()["limit"], 0);
  write_settings("store = '/file'\nlimit = 1\n[ls]\nlimit = 2\nexclusive = true\n");
  EXPECT_EQ(run_words({"ls"}).json()["limit"], 2);
  EXPECT_EQ(run_words({"ls"}).json()["store"], "/file");
  EXPECT_EQ(run_words({"ls"}).json()["exclusive"], true);
  variables_["CAIRN_LIMIT"] = "3";
  variables_["CAIRN_STORE"] = "/environment";
  variables_["CAIRN_EXCLUSIVE"] = "0";
  EXPECT_EQ(run_words({"ls"}).json()["limit"], 3);
  EXPECT_EQ(run_words({"ls"}).json()["exclusive"], false);
  EXPECT_EQ(run_words({"ls"}).json()["store"], "/environment");
  EXPECT_EQ(run_words({"ls", "--limit", "4"}).json()["limit"], 4);
  EXPECT_EQ(run_words({"-s", "/flag", "ls"}).json()["store"], "/flag");
}

TEST_F(RunTest, BadSettingsNameTheirOrigin) {
  variables_["CAIRN_LIMIT"] = "x";
  EXPECT_NE(run_words({"ls"}).err.find("environment variable CAIRN_LIMIT: 'x'"), std::string::npos);
  variables_.clear();
  write_settings("store = 'a'\n[ls]\nlimit = true\n");
  EXPECT_NE(run_words({"ls"}).err.find("config.toml', line 3, 'limit': 'true'"), std::string::npos);
  write_settings("store = 'a'\n[ls]\nlimt = 3\n");
  const Ran warned = run_words({"ls"});
  EXPECT_EQ(warned.status, 0);
  EXPECT_NE(warned.err.find("did you mean 'limit'?"), std::string::npos);
  write_settings("store = a\n");
  EXPECT_EQ(run_words({"ls"}).status, 2);
}

TEST_F(RunTest, RepeatedFlagsAndOddWordsReachTheCommand) {
  const Ran ran = run_words({"-s", "a", "import", "--meta", "a=1", "t", "--meta=b=", "[x]", "p,q"});
  EXPECT_EQ(ran.json()["meta"], nlohmann::json::parse(R"({"a": "1", "b": ""})"));
  EXPECT_EQ(ran.json()["paths"], nlohmann::json::parse(R"(["[x]", "p,q"])"));
}

TEST_F(RunTest, ErrorsOfACommandKeepItsResult) {
  const Ran ran = run_words({"-s", "a", "import", "t", "p"});
  EXPECT_EQ(ran.status, 12);
  EXPECT_EQ(ran.json()["tag"], "t");
  EXPECT_EQ(ran.err, "error: pack 'x' is damaged\nhint: run 'cairn check'\n");
}

TEST_F(RunTest, JsonErrorsAreJson) {
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"--json", "sl"}, {"ls", "--json"}, {"ls", "--bad", "--json"}, {"--json"}}) {
    const Ran ran = run_words(words);
    EXPECT_EQ(ran.status, 2);
    EXPECT_EQ(ran.out, "");
    const auto error = nlohmann::json::parse(ran.err, nullptr, false);
    ASSERT_TRUE(error.is_object()) << ran.err;
    EXPECT_EQ(error["error"]["code"], "usage");
    EXPECT_TRUE(error["error"]["message"].is_string());
    EXPECT_TRUE(error["error"]["hint"].is_string());
  }
}

TEST_F(RunTest, JsonLinesHaveTypes) {
  const Ran ran = run_words({"-s", "a", "import", "t", "p", "--json=lines"});
  const size_t end = ran.out.find('\n');
  const auto first = nlohmann::json::parse(ran.out.substr(0, end), nullptr, false);
  const auto second = nlohmann::json::parse(ran.out.substr(end + 1), nullptr, false);
  EXPECT_EQ(first["type"], "result");
  EXPECT_EQ(first["tag"], "t");
  EXPECT_EQ(second["type"], "error");
  EXPECT_EQ(second["error"]["code"], "corrupt");
  EXPECT_EQ(nlohmann::json::parse(ran.err, nullptr, false)["error"]["code"], "corrupt");
}

TEST_F(RunTest, AnExceptionIsAnErrorLikeOthers) {
  const Ran ran = run_words({"-s", "a", "stats", "--json"});
  EXPECT_EQ(ran.status, 1);
  EXPECT_EQ(nlohmann::json::parse(ran.err, nullptr, false)["error"]["code"], "failed");
}

TEST_F(RunTest, NoCommandIsUsage) {
  const Ran ran = run_words({});
  EXPECT_EQ(ran.status, 2);
  EXPECT_EQ(ran.out, "");
  EXPECT_NE(ran.err.find("Commands:\n    ls"), std::string::npos);
}

}  // namespace
}  // namespace cairn
