// Packs: header, table and trailer name every damaged byte, so that a check and a salvage can trust
// what they read.
#include "store/pack_format.h"

#include <gtest/gtest.h>

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"

namespace cairn {

static auto fields(const PackedCopy& copy) {
  const auto& [digest, offset, stored_bytes, decoded_bytes, encoding, bases, parameters] = copy;
  return std::tie(digest, offset, stored_bytes, decoded_bytes, encoding, bases, parameters);
}
static auto fields(const PackedObject& object) {
  const auto& [kind, offset, bytes, digest] = object;
  return std::tie(kind, offset, bytes, digest);
}

namespace {

/// The bytes between header and table of the packs below.
constexpr size_t kContentBytes = 40;

std::vector<PackedCopy> random_copies(RandomValues& random, size_t count) {
  std::vector<PackedCopy> copies(count);
  for (PackedCopy& copy : copies) {
    copy.digest = random.digest();
    copy.offset = random.number<uint64_t>();
    copy.stored_bytes = random.number<uint32_t>();
    copy.decoded_bytes = random.number<uint32_t>();
    copy.encoding = static_cast<Encoding>(random.number<uint8_t>());
    copy.bases.resize(random.coin() ? 0 : random.below(9));
    for (Digest& base : copy.bases) base = random.digest();
    if (random.coin()) copy.parameters = random.bytes(random.below(30));
  }
  return copies;
}

std::vector<PackedObject> random_objects(RandomValues& random, size_t count) {
  std::vector<PackedObject> objects(count);
  for (PackedObject& object : objects) {
    object = {static_cast<ObjectKind>(1 + random.below(8)), random.number<uint64_t>(),
              random.number<uint64_t>(), random.digest()};
  }
  return objects;
}

Bytes pack_of(FileKind kind, const FileId& file, const Bytes& footer) {
  Bytes bytes = encode_pack_header(kind, file);
  bytes.resize(bytes.size() + kContentBytes);
  append_bytes(bytes, footer);
  return bytes;
}
Bytes data_pack(const FileId& file, const std::vector<PackedCopy>& copies) {
  return pack_of(
      FileKind::kPack, file,
      encode_pack_footer(file, {copies.begin(), copies.end()}, kPackHeaderBytes + kContentBytes));
}
Bytes meta_pack(const FileId& file, const std::vector<PackedObject>& objects) {
  return pack_of(FileKind::kMeta, file,
                 encode_meta_footer(file, objects, kPackHeaderBytes + kContentBytes));
}

/// Reads a whole pack: trailer, then the table where the trailer says it lies.
template <class DecodeTable>
auto decode_pack(ByteSpan pack, DecodeTable decode_table) -> decltype(decode_table({}, {}, {})) {
  if (pack.size() < kPackHeaderBytes + kPackTrailerBytes) return fail(Code::kCorrupt, "too short");
  CAIRN_TRY(const Footer footer,
            decode_pack_trailer(pack.last(kPackTrailerBytes), pack.size(), "a/pack"));
  const ByteSpan rest = pack.first(pack.size() - kPackTrailerBytes);
  return decode_table(footer, pack.first(kPackHeaderBytes), rest.subspan(footer.table_offset));
}
auto data_pack_decoder(const FileId& file) {
  return [file](ByteSpan pack) {
    return decode_pack(pack, [&](const Footer& footer, ByteSpan header, ByteSpan table) {
      return decode_pack_table(file, footer, header, table, "a/pack");
    });
  };
}
auto meta_pack_decoder(const FileId& file) {
  return [file](ByteSpan pack) {
    return decode_pack(pack, [&](const Footer& footer, ByteSpan header, ByteSpan table) {
      return decode_meta_table(file, footer, header, table, "a/pack");
    });
  };
}

/// Every byte but those of the content, which have digests of their own.
template <class Decode>
void expect_changes_outside_content_refused(const Bytes& pack, Decode decode) {
  for_each_changed_byte(pack, [&](ByteSpan changed, size_t position) {
    const bool in_content =
        position >= kPackHeaderBytes && position < kPackHeaderBytes + kContentBytes;
    const auto decoded = decode(changed);
    ASSERT_EQ(decoded.has_value(), in_content) << "byte " << position;
    ASSERT_TRUE(in_content || decoded.error().code == Code::kCorrupt);
  });
}

TEST(DataPack, ReadsWhatItWrote) {
  RandomValues random(1);
  for (size_t i = 0; i < 200; ++i) {
    const FileId file = random.file();
    const auto copies = random_copies(random, i % 30);
    const auto decoded = data_pack_decoder(file)(data_pack(file, copies));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_TRUE(*decoded == copies) << "pack " << i;
  }
}

TEST(MetaPack, ReadsWhatItWrote) {
  RandomValues random(2);
  for (size_t i = 0; i < 200; ++i) {
    const FileId file = random.file();
    const auto objects = random_objects(random, i % 30);
    const auto decoded = meta_pack_decoder(file)(meta_pack(file, objects));
    ASSERT_TRUE(decoded.has_value()) << decoded.error().message;
    EXPECT_TRUE(*decoded == objects) << "pack " << i;
  }
}

TEST(DataPack, DamageIsNamed) {
  RandomValues random(3);
  const FileId file = random.file();
  for (const size_t count : {0, 1, 3}) {
    auto copies = random_copies(random, count);
    if (count > 0) copies[0].bases = {random.digest()};
    const Bytes pack = data_pack(file, copies);
    const auto decode = data_pack_decoder(file);
    expect_cuts_refused(pack, decode);
    expect_appendices_refused(pack, decode);
    expect_changes_outside_content_refused(pack, decode);
  }
}

TEST(MetaPack, DamageIsNamed) {
  RandomValues random(4);
  const FileId file = random.file();
  for (const size_t count : {0, 1, 3}) {
    const Bytes pack = meta_pack(file, random_objects(random, count));
    const auto decode = meta_pack_decoder(file);
    expect_cuts_refused(pack, decode);
    expect_appendices_refused(pack, decode);
    expect_changes_outside_content_refused(pack, decode);
  }
}

TEST(Packs, AreRefusedUnderAnotherNameOrKind) {
  RandomValues random(5);
  const FileId file = random.file();
  FileId other = file;
  ++other.number;
  const Bytes data = data_pack(file, random_copies(random, 2));
  const Bytes meta = meta_pack(file, random_objects(random, 2));
  EXPECT_EQ(data_pack_decoder(other)(data).error().code, Code::kCorrupt);
  EXPECT_EQ(meta_pack_decoder(other)(meta).error().code, Code::kCorrupt);
  EXPECT_EQ(meta_pack_decoder(file)(data).error().code, Code::kCorrupt);
  EXPECT_EQ(data_pack_decoder(file)(meta).error().code, Code::kCorrupt);
}

TEST(Packs, MessagesNameTheFile) {
  const auto decoded = data_pack_decoder(FileId{})(Bytes(200));
  EXPECT_NE(decoded.error().message.find("'a/pack'"), std::string::npos);
}

TEST(PackTrailer, NumbersMustAddUpToTheFile) {
  const struct {
    uint64_t count, table_offset, aux_bytes, file_bytes;
    bool good;
  } kTable[] = {
      {0, 32, 0, 96, true},
      {2, 40, 7, 40 + 112 + 7 + 64, true},
      {2, 40, 7, 40 + 112 + 7 + 63, false},
      {2, 40, 7, 40 + 112 + 7 + 65, false},
      {0, 24, 0, 88, false},   // the table would lie in the header
      {0, 36, 0, 100, false},  // not at a multiple of 8
      {0, 0, 0, 64, false},
      {uint64_t{1} << 61, 32, 0, 96, false},  // count * 56 is 0 modulo 2^64
      {UINT64_MAX, 32, 0, 96, false},
      {0, 32, UINT64_MAX, 95, false},
      {0, UINT64_MAX - 7, 104, 160, false},
      {0, UINT64_MAX - 63, 0, 0, false},  // only the trailer's own length overflows
  };
  for (const auto& row : kTable) {
    Bytes trailer;
    append_le(trailer, row.count);
    append_le(trailer, row.table_offset);
    append_le(trailer, row.aux_bytes);
    append_digest(trailer, Digest{});
    append_bytes(trailer, as_bytes("CAIRNEND"));
    const auto footer = decode_pack_trailer(trailer, row.file_bytes, "p");
    ASSERT_EQ(footer.has_value(), row.good) << row.count << ", " << row.table_offset;
    if (row.good) {
      EXPECT_EQ(footer->count, row.count);
      EXPECT_EQ(footer->table_offset, row.table_offset);
      EXPECT_EQ(footer->aux_bytes, row.aux_bytes);
    } else {
      EXPECT_EQ(footer.error().code, Code::kCorrupt);
    }
  }
}

TEST(Packs, RowsThatPointOutsideTheAuxiliaryBytesAreRefused) {
  RandomValues random(6);
  const FileId file = random.file();
  auto copies = random_copies(random, 1);
  copies[0].bases = {random.digest()};
  copies[0].parameters = {1, 2, 3};
  const Bytes header = encode_pack_header(FileKind::kPack, file);
  const Bytes footer = encode_pack_footer(file, {copies.begin(), copies.end()}, kPackHeaderBytes);
  const Bytes table(footer.begin(), footer.end() - kPackTrailerBytes);
  // Base count, parameter length and auxiliary offset of the row, with a digest that fits them.
  const struct {
    uint8_t base_count;
    uint16_t parameter_bytes;
    uint32_t aux_offset;
    bool good;
  } kTable[] = {{1, 3, 0, true},       {1, 0, 3, true},  {2, 0, 0, false},
                {1, 4, 0, false},      {1, 3, 1, false}, {0, 0, UINT32_MAX, false},
                {255, 65535, 0, false}};
  for (const auto& row : kTable) {
    Bytes changed = table;
    store_le(changed, 49, row.base_count);
    store_le(changed, 50, row.parameter_bytes);
    store_le(changed, 52, row.aux_offset);
    Blake3 hasher;
    hasher.update(header);
    hasher.update(changed);
    const Footer trailer{1, kPackHeaderBytes, 35, hasher.finish()};
    const auto decoded = decode_pack_table(file, trailer, header, changed, "p");
    ASSERT_EQ(decoded.has_value(), row.good) << row.aux_offset;
    EXPECT_TRUE(row.good || decoded.error().code == Code::kCorrupt);
  }
}

TEST(Packs, LargeCopiesAreAlignedForDirectReads) {
  EXPECT_EQ(copy_alignment(0), 8u);
  EXPECT_EQ(copy_alignment(64 * kKiB - 1), 8u);
  EXPECT_EQ(copy_alignment(64 * kKiB), 4096u);
  EXPECT_EQ(copy_alignment(64 * kKiB + 1), 8u);
  EXPECT_EQ(copy_alignment(kGiB), 4096u);
}

}  // namespace
}  // namespace cairn
