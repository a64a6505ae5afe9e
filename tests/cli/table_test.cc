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

Table tensors() {
  Table table({{"tensor"}, {"dtype"}, {"size", Align::kRight}, {"encodings"}});
  table.add_row({"layers.0.mlp.weight", "BF16", "5 B", "12 replay 3.90x, 4 raw"});
  table.add_row({"w", "F32", "12 KiB", "1 raw"});
  return table;
}

TEST(Table, LinesThatFitStay) {
  const std::string wide =
      "tensor               dtype    size  encodings\n"
      "layers.0.mlp.weight  BF16      5 B  12 replay 3.90x, 4 raw\n"
      "w                    F32    12 KiB  1 raw\n";
  EXPECT_EQ(tensors().render(), wide);
  EXPECT_EQ(tensors().render(58), wide);
}

TEST(Table, TheLastColumnBreaksAfterCommas) {
  EXPECT_EQ(tensors().render(57),
            "tensor               dtype    size  encodings\n"
            "layers.0.mlp.weight  BF16      5 B  12 replay 3.90x,\n"
            "                                    4 raw\n"
            "w                    F32    12 KiB  1 raw\n");
}

TEST(Table, NamesGetALineOfTheirOwn) {
  EXPECT_EQ(tensors().render(40),
            "tensor\n"
            "  dtype    size  encodings\n"
            "layers.0.mlp.weight\n"
            "  BF16      5 B  12 replay 3.90x, 4 raw\n"
            "w\n"
            "  F32    12 KiB  1 raw\n");
  EXPECT_EQ(tensors().render(20),
            "tensor\n"
            "  dtype    size  encodings\n"
            "layers.0.mlp.weight\n"
            "  BF16      5 B  12 replay 3.90x,\n"
            "                 4 raw\n"
            "w\n"
            "  F32    12 KiB  1 raw\n")
      << "what cannot break stays whole";
}

}  // namespace
}  // namespace cairn
