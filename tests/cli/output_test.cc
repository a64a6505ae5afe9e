#include "cli/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

namespace cairn {
namespace {

class Pipe {
 public:
  Pipe() { EXPECT_EQ(pipe(ends_), 0); }
  ~Pipe() {
    close_reader();
    close_writer();
  }
  int writer() const { return ends_[1]; }
  void close_reader() { close_one(ends_[0]); }
  /// All that was written; closes the writer.
  std::string text() {
    close_writer();
    std::string text;
    for (char c = 0; ::read(ends_[0], &c, 1) == 1;) text += c;
    return text;
  }

 private:
  void close_writer() { close_one(ends_[1]); }
  static void close_one(int& fd) {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  int ends_[2] = {-1, -1};
};

TEST(Output, DataAndWordsGoToTheirStreams) {
  Pipe out, err;
  Output output({out.writer(), err.writer()});
  EXPECT_TRUE(output.print("data\n"));
  output.note("note");
  output.detail("detail");
  output.warn("odd \x1b name");
  EXPECT_EQ(output.fail({Code::kNotFound, "no tag 'x'", "try y"}), 15);
  EXPECT_EQ(output.finish(15), 15);
  EXPECT_EQ(out.text(), "data\n");
  EXPECT_EQ(err.text(), "note\nwarning: odd \\x1b name\nerror: no tag 'x'\nhint: try y\n");
}

TEST(Output, QuietDropsNotesAndKeepsWarnings) {
  Pipe out, err;
  Output output({out.writer(), err.writer(), JsonMode::kNone, true, 1});
  output.note("note");
  output.detail("detail");
  output.warn("w");
  EXPECT_EQ(output.finish(0), 0);
  EXPECT_EQ(err.text(), "detail\nwarning: w\n");
}

TEST(Output, JsonSurvivesNamesThatAreNoUtf8) {
  Pipe out, err;
  Output output({out.writer(), err.writer(), JsonMode::kDocument});
  output.result({{"name", "\xff"}});
  output.fail({Code::kUsage, "bad '\xff'", ""});
  output.finish(2);
  EXPECT_TRUE(nlohmann::json::accept(out.text()));
  EXPECT_TRUE(nlohmann::json::accept(err.text()));
}

TEST(Output, AClosedPipeEndsQuietly) {
  signal(SIGPIPE, SIG_IGN);
  Pipe out, err;
  out.close_reader();
  Output output({out.writer(), err.writer()});
  const std::string much(1 << 20, 'x');
  EXPECT_FALSE(output.print(much));
  EXPECT_FALSE(output.print("more"));
  EXPECT_EQ(output.finish(0), 0);
  EXPECT_EQ(err.text(), "");
}

TEST(Output, AFullDeviceIsReportedOnce) {
  const int full = open("/dev/full", O_WRONLY);
  ASSERT_GE(full, 0);
  for (const bool failed_already : {false, true}) {
    Pipe err;
    Output output({full, err.writer()});
    output.print("data");
    EXPECT_EQ(output.finish(failed_already ? 12 : 0), failed_already ? 12 : 13);
    EXPECT_EQ(err.text(),
              "error: cannot write to stdout: No space left on device\n"
              "hint: free space on that file system and repeat the command\n");
  }
  close(full);
}

TEST(Output, LinesGoAboveTheBar) {
  Pipe out, err;
  Output output({out.writer(), err.writer()});
  output.show_bar("[#.]");
  output.warn("w");
  output.show_bar("");
  output.finish(0);
  EXPECT_EQ(err.text(), "\r\x1b[K[#.]\r\x1b[Kwarning: w\n[#.]\r\x1b[K");
}

}  // namespace
}  // namespace cairn
