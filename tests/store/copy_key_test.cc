#include "store/copy_key.h"

#include <gtest/gtest.h>

#include <set>

namespace cairn {
namespace {

PackedCopy row_of(const std::string& chunk) {
  PackedCopy row;
  row.digest = blake3(as_bytes(chunk));
  row.offset = 32;
  row.stored_bytes = 100;
  row.decoded_bytes = 200;
  row.encoding = Encoding::kZstd;
  row.bases = {blake3(as_bytes("base"))};
  row.parameters = {1, 2};
  return row;
}

TEST(CopyKey, EverythingThatDecidesWhatACopyDecodesToTellsItApart) {
  std::vector<PackedCopy> rows(8, row_of("chunk"));
  rows[1].digest = blake3(as_bytes("another"));
  rows[2].stored_bytes = 101;
  rows[3].decoded_bytes = 201;
  rows[4].encoding = Encoding::kRaw;
  rows[5].bases = {blake3(as_bytes("another"))};
  rows[6].bases.clear();
  rows[7].parameters = {1, 3};
  std::set<CopyKey> keys;
  for (const PackedCopy& row : rows) keys.insert(key_of(row));
  EXPECT_EQ(keys.size(), rows.size());
}

TEST(CopyKey, WhereItLiesDoesNot) {
  PackedCopy row = row_of("chunk");
  const CopyKey key = key_of(row);
  row.offset = 4096;
  EXPECT_EQ(key_of(row), key);
  Copy copy;
  copy.pack.number = 7;
  copy.offset = 1024;
  copy.stored_bytes = row.stored_bytes;
  copy.decoded_bytes = row.decoded_bytes;
  copy.encoding = row.encoding;
  copy.parameters = row.parameters;
  // By what its bases decode to, and not by where these lie.
  copy.bases = {{blake3(as_bytes("page")), 3}};
  EXPECT_EQ(key_of(row.digest, copy, row.bases), key);
}

TEST(CopyKey, WhatIsStoredAsItIsHasTheDigestForAKey) {
  PackedCopy row = row_of("chunk");
  row.encoding = Encoding::kRaw;
  row.bases.clear();
  row.parameters.clear();
  EXPECT_EQ(key_of(row), (CopyKey{row.digest, 0, row.stored_bytes}));
}

}  // namespace
}  // namespace cairn
