#include "cli/table.h"

#include <gtest/gtest.h>

namespace cairn {
namespace {

TEST(Table, AlignsAndTrims) {
  Table table({{"tag"}, {"size", Align::kRight}, {"note"}});
  EXPECT_TRUE(table.empty());
  table.add_row({"run7", "5 B", ""});
  table.add_row({"é", "12 KiB", "pinned"});
  table.add_row({"x\ny"});
  EXPECT_EQ(table.render(),
            "tag       size  note\n"
            "run7       5 B\n"
            "é       12 KiB  pinned\n"
            "x\\x0ay\n");
}

TEST(Table, ALongNameMovesItsOwnRowAlone) {
  Table table({{"tensor"}, {"size", Align::kRight}});
  const std::string name(61, 'n');
  table.add_row({"w", "5 B"});
  table.add_row({name, "12 B"});
  EXPECT_EQ(table.render(), "tensor  size\nw        5 B\n" + name + "  12 B\n");
}

}  // namespace
}  // namespace cairn
