#include "cli/progress.h"

#include <gtest/gtest.h>
#include <pty.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "cli/signals.h"

namespace cairn {
namespace {

TEST(ProgressView, RateAndTimeLeft) {
  ProgressCounters counters;
  ProgressView view("import");
  view.look(counters, 0);
  EXPECT_EQ(view.line(), "import: 0 B, new 0 B, 0 B/s");
  ProgressView waiting("gc");
  waiting.look(counters, 20);
  EXPECT_EQ(waiting.line(), "gc: at work for 20 s");
  counters.total_bytes = 4096 * kKiB;
  counters.done_bytes = 1024 * kKiB;
  counters.new_bytes = 512 * kKiB;
  view.look(counters, 2);
  EXPECT_EQ(view.line(), "import: 1.0 MiB of 4.0 MiB (25.0 %), new 512 KiB, 512 KiB/s, 6.0 s left");
  EXPECT_EQ(view.bar(200), "[#####...............] " + view.line());
  EXPECT_EQ(view.bar(80), "[#....] " + view.line()) << "a bar that leaves the time visible";
  EXPECT_EQ(view.bar(75), view.line()) << "no room for a bar";
  EXPECT_EQ(view.bar(30), view.line().substr(0, 29));
}

TEST(ProgressView, TellsRetriesWhereThereWereAny) {
  ProgressCounters counters;
  counters.done_bytes = kMiB;
  ProgressView view("pull");
  view.look(counters, 1);
  const std::string none = view.line();
  view.look(counters, 1, 1);
  EXPECT_EQ(view.line(), none + ", 1 retry");
  view.look(counters, 1, 3);
  EXPECT_EQ(view.line(), none + ", 3 retries");
  EXPECT_EQ(view.state().retries, 3u);
}

TEST(ProgressView, TheRateIsThatOfTheLastTenSeconds) {
  ProgressCounters counters;
  ProgressView view("x");
  for (int second = 0; second <= 100; ++second) {
    counters.done_bytes = second <= 50 ? 1000u * static_cast<unsigned>(second) : 50'000u;
    view.look(counters, second);
    if (second == 50) {
      EXPECT_DOUBLE_EQ(view.state().bytes_per_s, 1000);
    }
    if (second == 55) {
      EXPECT_DOUBLE_EQ(view.state().bytes_per_s, 500);
    }
  }
  EXPECT_EQ(view.state().bytes_per_s, 0);
  EXPECT_FALSE(view.state().eta_s.has_value());
}

TEST(ProgressView, MoreDoneThanTheTotal) {
  ProgressCounters counters;
  counters.total_bytes = 10;
  counters.done_bytes = 20;
  ProgressView view("x");
  view.look(counters, 1);
  EXPECT_FALSE(view.state().eta_s.has_value());
  EXPECT_EQ(view.bar(200).substr(0, 23), "[####################] ");
}

std::string read_line(int fd) {
  std::string line;
  for (char c = 0; ::read(fd, &c, 1) == 1 && c != '\n';) line += c;
  return line;
}

TEST(Progress, SigUsr1PrintsTheStateEvenWithoutProgress) {
  install_signal_handlers();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    Output output({ends[1], ends[1]});
    ProgressCounters counters;
    counters.done_bytes = 5;
    const Progress progress(output, ProgressMode::kNone, "import", counters);
    raise(SIGUSR1);
    EXPECT_EQ(read_line(ends[0]).substr(0, 11), "import: 5 B");
  }
  close(ends[0]);
  close(ends[1]);
}

TEST(Progress, ATerminalGetsABarThatIsRemovedAgain) {
  int terminal = -1, program = -1;
  winsize size{24, 120, 0, 0};
  ASSERT_EQ(openpty(&terminal, &program, nullptr, nullptr, &size), 0);
  const auto read_until = [&](std::string_view end) {
    std::string text;
    for (char c = 0; !text.ends_with(end) && ::read(terminal, &c, 1) == 1;) text += c;
    return text;
  };
  Output output({program, program});
  ProgressCounters counters;
  counters.total_bytes = 100;
  counters.done_bytes = 50;
  {
    const Progress progress(output, ProgressMode::kAuto, "import", counters);
    EXPECT_EQ(read_until("..] import: 50 B"), "\r\x1b[K[##########..........] import: 50 B");
  }
  output.status_line("end");
  EXPECT_NE(read_until("end").find("\r\x1b[Kend"), std::string::npos);
  close(terminal);
  close(program);
}

TEST(Progress, JsonLinesGoToStdout) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  {
    Output output({ends[1], 2, JsonMode::kLines});
    ProgressCounters counters;
    counters.total_bytes = 7;
    const Progress progress(output, ProgressMode::kAuto, "import", counters);
    const std::string line = read_line(ends[0]);
    EXPECT_EQ(line.substr(0, 38), R"({"type":"progress","total_bytes":7,"do)");
  }
  close(ends[0]);
  close(ends[1]);
}

}  // namespace
}  // namespace cairn
