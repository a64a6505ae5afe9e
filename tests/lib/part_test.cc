// Parts: what is written is read, and numbers that lead nowhere are refused.
#include "lib/part.h"

#include "tests/store/format_damage.h"
#include "tests/store/random_values.h"
#include "tests/support/outcome.h"

namespace cairn {

static auto fields(const AttachmentInfo& attachment) {
  const auto& [name, bytes, edges] = attachment;
  return std::tie(name, bytes, edges);
}
static auto fields(const LayoutBox& box) {
  const auto& [writer, offsets, lengths] = box;
  return std::tie(writer, offsets, lengths);
}
static auto fields(const TensorLayout& tensor) {
  const auto& [role, parameter, boxes] = tensor;
  return std::tie(role, parameter, boxes);
}
static auto fields(const Layout& layout) {
  const auto& [writers, tensors] = layout;
  return std::tie(writers, tensors);
}
static auto fields(const TensorInfo& tensor) {
  const auto& [name, dtype, shape, chunk_count] = tensor;
  return std::tie(name, dtype, shape, chunk_count);
}
static auto fields(const Schema& schema) {
  const auto& [chunk_elements, tensors] = schema;
  return std::tie(chunk_elements, tensors);
}
static auto fields(const Locator& locator) {
  const auto& [copies] = locator;
  return std::tie(copies);
}
static auto fields(const PartUnit& unit) {
  const auto& [item, chunk, piece, content, is_renewed] = unit;
  return std::tie(item, chunk, piece, content, is_renewed);
}
static auto fields(const Part& part) {
  const auto& [session, tag, step, base, warnings, stored_bytes, unread_chunks, weights_age, schema,
               layout, attachments, units, copies] = part;
  return std::tie(session, tag, step, base, warnings, stored_bytes, unread_chunks, weights_age,
                  schema, layout, attachments, units, copies);
}

namespace {

/// A tensor in one piece and one whole chunk, one that lies in its page, and an attachment.
Part small_part(RandomValues& random) {
  Part part;
  part.session = random.session();
  part.tag = "run/step-7";
  part.step = 7;
  part.base = PartBase{"run/step-6", random.digest()};
  part.stored_bytes = random.number<uint64_t>();
  part.warnings = {"the tensor 'w' of rank 1 differs", "\"odd\""};
  part.unread_chunks = 3;
  part.weights_age = 2;
  part.schema.chunk_elements = 1024;
  part.schema.tensors = {{"w", static_cast<uint8_t>(Dtype::kBF16), {64, 32}, 2},
                         {"z", static_cast<uint8_t>(Dtype::kF32), {2}, 1}};
  part.layout.writers = 2;
  part.layout.tensors = {{Role::kWeight, "w", {{1, {0, 0}, {64, 16}}, {1, {32, 16}, {32, 16}}}},
                         {Role::kNone, "", {{1, {0}, {2}}}}};
  part.attachments = {{"note", 300}};
  part.units = {{0, 0, Box{{0, 0}, {32, 16}}, random.digest(), true},
                {0, 1, {}, random.digest(), false},
                {1, 0, {}, Bytes{1, 2, 3, 4, 5, 6, 7, 8}, false},
                {2, 0, {}, random.digest(), false}};
  for (const uint32_t bytes : {1024, 2048, 300}) {
    part.copies.copies.push_back({{part.session, 0}, 4096, bytes, bytes, Encoding::kRaw, {}, {}});
  }
  part.copies.copies[1].encoding = Encoding::kDelta;
  part.copies.copies[1].bases = {{kOwnUnits, 0}, {random.digest(), 9}};
  part.copies.copies[1].parameters = random.bytes(9);
  return part;
}

void refuses(const Part& part, std::string_view words) {
  const auto decoded = decode_part(encode_part(part));
  ASSERT_TRUE(fails_with(Code::kCorrupt, decoded));
  EXPECT_NE(decoded.error().message.find(words), std::string::npos) << decoded.error().message;
}

TEST(Part, ReadsWhatItWrote) {
  RandomValues random(1);
  Part part = small_part(random);
  expect_read_back(part, encode_part(part), decode_part);
  part.attachments = {{"note", 300, ChunkEdges::told({300})}};
  expect_read_back(part, encode_part(part), decode_part);
  part.step.reset();
  part.base.reset();
  part.attachments.clear();
  part.units.pop_back();
  part.copies.copies.pop_back();
  expect_read_back(part, encode_part(part), decode_part);
}

TEST(Part, SurvivesDamage) {
  RandomValues random(2);
  const Bytes bytes = encode_part(small_part(random));
  expect_cuts_refused(bytes, decode_part);
  expect_appendices_refused(bytes, decode_part);
  expect_changes_harmless(bytes, decode_part, encode_part);
  expect_noise_survived({}, decode_part, random);
  expect_noise_survived(ByteSpan(bytes).first(8), decode_part, random);
  expect_noise_survived(ByteSpan(bytes).first(bytes.size() / 2), decode_part, random);
}

TEST(Part, ALaterVersionIsSaidToBe) {
  RandomValues random(3);
  Bytes bytes = encode_part(small_part(random));
  bytes[4] = 2;
  EXPECT_TRUE(fails_with(Code::kNewerFormat, decode_part(bytes)));
}

TEST(Part, NumbersMustLeadSomewhere) {
  RandomValues random(4);
  const Part good = small_part(random);
  Part part = good;
  part.units.back().item = 3;
  refuses(part, "a unit of nothing");
  part = good;
  std::swap(part.units[0], part.units[1]);
  refuses(part, "its units are in no order");
  part = good;
  part.units.back().piece = Box{{0}, {300}};
  refuses(part, "a piece of an attachment");
  part = good;
  part.copies.copies.pop_back();
  refuses(part, "its copies are not those of its units");
  for (const uint32_t slot : {2u, 4u, UINT32_MAX}) {
    part = good;
    part.copies.copies[1].bases[0].slot = slot;
    refuses(part, "a copy is made from a unit that it has not stored");
  }
  part = good;
  part.schema.tensors[0].dtype = 200;
  refuses(part, "a tensor of an unknown dtype");
  part = good;
  part.units[2].content = Bytes(257, 1);
  refuses(part, "more bytes than lie in a page");
}

TEST(Part, ItsBoxesAreThoseOfItsLayout) {
  RandomValues random(5);
  const auto sources = sources_of(small_part(random));
  ASSERT_EQ(sources.size(), 3u);
  EXPECT_EQ(sources[1].name, "w");
  EXPECT_EQ(sources[1].dtype, Dtype::kBF16);
  EXPECT_EQ(sources[1].shape, (Shape{64, 32}));
  EXPECT_EQ(sources[1].box, (Box{{32, 16}, {32, 16}}));
  EXPECT_EQ(sources[1].writer, 1u);
  EXPECT_EQ(sources[1].role, Role::kWeight);
  EXPECT_EQ(sources[1].parameter, "w");
  EXPECT_EQ(sources[2].name, "z");
  EXPECT_EQ(sources[2].data, nullptr);
}

TEST(PartName, IsParsed) {
  RandomValues random(6);
  for (int i = 0; i < 100; ++i) {
    const Reference reference = random.reference();
    const auto parsed = parse_part_name(part_name(reference));
    ASSERT_TRUE(succeeds(parsed));
    EXPECT_EQ(*parsed, reference);
  }
}

TEST(PartName, OtherTextsAreRefused) {
  RandomValues random(7);
  const std::string name = part_name(random.reference());
  for (size_t count = 0; count < name.size(); ++count) {
    ASSERT_TRUE(fails_with(Code::kUsage, parse_part_name(name.substr(0, count)))) << count;
  }
  for (const std::string& text :
       {name + "0", name + ":", " " + name, "x" + name.substr(1), std::string(":::"),
        name.substr(0, 32) + "-0:-1:5:" + random.digest().hex(),
        name.substr(0, 32) + "-0:99999999999999999999:5:" + random.digest().hex()}) {
    EXPECT_TRUE(fails_with(Code::kUsage, parse_part_name(text))) << text;
  }
}

}  // namespace
}  // namespace cairn
